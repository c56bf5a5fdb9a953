"""Calling a tool: arguments checked, an answer from the cache or made in a worker thread, bounded in time and number.

Both faces call through here, so that they answer alike. Not here: HTTP (opal.py), MCP (mcp_face.py), the tools.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json

from matokit_pipelines.errors import MatokitError
from matokit_pipelines.toolserver.cache import ReportCache
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import Parameters, read
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.tools import Answer, Tool
from matokit_pipelines.toolserver.upstream import problem_of

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """A ready answer. `as_of`: the moment it is true of, ISO 8601 in UTC, None where it is of now."""

    body: bytes
    as_of: bytes | None


class Caller:
    """Calls tools for any number of requests of one event loop."""

    def __init__(self, kit: Kit, cache: ReportCache[Made]) -> None:
        limits = kit.loaded.settings.toolserver
        self._kit = kit
        self._cache = cache
        self._seconds = limits.call_seconds
        self._most = limits.calls_at_once + limits.calls_waiting
        self._pending = 0
        self._pool = ThreadPoolExecutor(limits.calls_at_once, thread_name_prefix="tool")

    async def call(self, tool: Tool[Any], arguments: Mapping[str, Any]) -> Made:
        """The answer of a tool. Raises Problem, nothing else."""
        parameters = read(tool.parameters, arguments)
        if tool.feature is None:
            return await self._made(tool, parameters)
        generation = self._kit.snapshots.generation if tool.uses_tables else 0
        key = (tool.name, *parameters.meaning)
        found = self._cache.lookup(tool.feature, key, generation)
        if found is not None:
            return found
        return await self._cache.made_once(tool.feature, key, generation, lambda: self._made(tool, parameters))

    def close(self) -> None:
        """Take no more calls; what runs is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _made(self, tool: Tool[Any], parameters: Parameters) -> Made:
        if self._pending >= self._most:
            raise Problem("rate-limit", "Too many calls are being worked on.", status=503, retry_after=1.0)
        self._pending += 1
        work = asyncio.get_running_loop().run_in_executor(self._pool, self._worked_out, tool, parameters)
        work.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(asyncio.shield(work), self._seconds)
        except TimeoutError:
            raise Problem(
                "network",
                f"{tool.name} was not answered within {self._seconds:.0f} s.",
                "Ask for a shorter span or fewer rows, or try again later: what the upstream server has computed once "
                "it answers quickly.",
                status=504,
                retry_after=self._seconds,
            ) from None

    def _done(self, work: asyncio.Future[Made]) -> None:
        self._pending -= 1
        if not work.cancelled():
            work.exception()  # of a call that was given up nobody hears

    def _worked_out(self, tool: Tool[Any], parameters: Parameters) -> Made:
        try:
            answer: Answer = tool.function(self._kit, parameters)
            return Made(to_json(answer.value, inf_nan_mode="null"), _stamp(answer.as_of))
        except Problem:
            raise
        except MatokitError as error:
            raise problem_of(error) from error
        except Exception as error:
            _LOG.exception("Tool %s failed", tool.name)
            raise Problem("unknown", f"{tool.name} failed by a defect of matokit.") from error


def _stamp(moment: datetime | None) -> bytes | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
