"""The tool server as one ASGI application: the gate, the tools, and beside them probes, metrics, documents and pages.

The way of a tool call is short on purpose, gate, body, answer, without a framework in between: most answers lie ready
in the cache. Not here: what is behind each (gate.py, calling.py, mcp_face.py, routes.py, pages/).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.responses import Response

from matokit_pipelines.toolserver import opal
from matokit_pipelines.toolserver.access_log import AccessLog
from matokit_pipelines.toolserver.cache import ReportCache
from matokit_pipelines.toolserver.calling import Caller, Made
from matokit_pipelines.toolserver.cross_origin import CrossOrigin, answer_preflight, is_preflight, shared
from matokit_pipelines.toolserver.gate import OPEN, REALM, Gate, Turned
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.mcp_face import McpFace
from matokit_pipelines.toolserver.metrics import Metrics
from matokit_pipelines.toolserver.pages.door import LOG_IN, Door, is_page
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.routes import REFUSALS, routes
from matokit_pipelines.toolserver.tools import Tool
from matokit_pipelines.toolserver.wire import (
    CLOSE,
    JSON,
    ClientGone,
    Header,
    Receive,
    Scope,
    Send,
    answer,
    body_of,
    header,
    request_id,
)

_LOG = logging.getLogger(__name__)
MCP_PATH = "/mcp"
DEFECT = Problem("unknown", "This answer failed by a defect of matokit.")
_NAMED = frozenset({MCP_PATH, *OPEN, "/metrics", "/cache-statistics", "/openapi.json", "/docs", "/"})


class ToolServer:
    """The application. It owns the kit: what the kit holds open is closed when the server ends."""

    def __init__(
        self,
        kit: Kit,
        cache: ReportCache[Made],
        gate: Gate,
        door: Door,
        metrics: Metrics,
        tools: Sequence[Tool[Any]],
    ) -> None:
        limits = kit.loaded.settings.toolserver
        self.kit = kit
        self._gate = gate
        self._cross_origin = CrossOrigin(limits.allowed_origins)
        self._door = door
        self._metrics = metrics
        self._log = AccessLog(kit.clock)
        self._caller = Caller(kit, cache)
        self._tools = {tool.endpoint: tool for tool in tools}
        self._largest_body = limits.largest_body
        self._errors_are_ok = limits.error_status == "ok"
        self._mcp = McpFace(
            tools,
            self._caller,
            lambda tool, status, seconds: metrics.observe(tool, "mcp", status, seconds),
            largest_body=limits.largest_body,
        )
        self._rest = Starlette(
            routes=routes(kit, cache, metrics, door, tools), lifespan=self._lifespan, exception_handlers=REFUSALS
        )
        self._rest.router.redirect_slashes = False  # a path that is spelt another way is another path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._rest(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(self.kit.snapshots.look)
        watching = asyncio.create_task(self._watch())
        if self.kit.tracking:
            await asyncio.to_thread(self.kit.tracking.start)
        try:
            async with self._mcp.running():
                yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            self._log.flush()
            self._caller.close()
            if self.kit.tracking:
                await asyncio.to_thread(self.kit.tracking.stop)
            self.kit.snapshots.close()
            self.kit.live.close()

    async def _watch(self) -> None:
        """Have the newest snapshot in service soon, also while nobody asks."""
        while True:
            await asyncio.sleep(0.25)
            try:
                await asyncio.to_thread(self.kit.snapshots.look)
            except Exception:  # a fault here must not end the looking
                _LOG.exception("Looking for the newest snapshot failed")

    # -- one request --------------------------------------------------------------------------------------------------

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        request = request_id(scope)
        path: str = scope["path"]
        tool = self._tools.get(path)
        status, caller = 499, ""
        try:
            verdict = self._gate.admit(scope)
            if elsewhere := self._cross_origin.origin(scope):
                send = shared(elsewhere, send)
                if is_preflight(scope) and not (isinstance(verdict, Turned) and verdict.status in (400, 421, 501)):
                    tool = None  # it is no call
                    status = await answer_preflight(send, request)
                    return
            if isinstance(verdict, Turned):
                caller = self._door.caller(scope, verdict) or ""
                if caller:
                    status = await self._elsewhere(scope, receive, send, request)
                else:
                    status = await self._turn_away(scope, send, verdict, request)
                return
            caller = verdict.caller
            if tool is not None:
                status = await self._tool(tool, scope, receive, send, request)
            else:
                status = await self._elsewhere(scope, receive, send, request)
        except ClientGone:
            pass
        finally:
            seconds = time.perf_counter() - began
            what = tool.name if tool else path if path in _NAMED else ""
            if tool is not None:
                self._metrics.observe(tool.name, "opal", status, seconds)
            elif path == LOG_IN or is_page(path):
                self._metrics.observe("login" if path == LOG_IN else "pages", "page", status, seconds)
            self._log.note(scope, request, caller, what, status, seconds)

    async def _tool(self, tool: Tool[Any], scope: Scope, receive: Receive, send: Send, request: bytes) -> int:
        headers: tuple[Header, ...] = (JSON, (b"x-request-id", request))
        try:
            if scope["method"] == "POST":
                body = await body_of(scope, receive, self._largest_body)
                arguments = opal.arguments_in(body)
            elif scope["method"] == "GET" and tool.also_get:
                arguments = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
            else:
                allowed = b"GET, POST" if tool.also_get else b"POST"
                problem = Problem("client", f"{tool.name} is called by POST.", "Send a POST request.", status=405)
                await answer(send, 405, opal.problem_bytes(problem), (*headers, (b"allow", allowed)))
                return 405
            made = await self._caller.call(tool, arguments)
        except Problem as problem:
            return await self._problem(send, problem, headers)
        if made.as_of is not None:
            headers = (*headers, (b"x-as-of", made.as_of))
        await answer(send, 200, made.body, headers)
        return 200

    async def _problem(self, send: Send, problem: Problem, headers: tuple[Header, ...]) -> int:
        status = problem.status
        if problem.retry_after is not None:
            headers = (*headers, (b"retry-after", str(max(1, round(problem.retry_after))).encode()))
        if status == 408:
            headers = (*headers, CLOSE)
        elif self._errors_are_ok and status != 413:
            status = 200
        await answer(send, status, opal.problem_bytes(problem), headers)
        return status

    async def _turn_away(self, scope: Scope, send: Send, verdict: Turned, request: bytes) -> int:
        headers: list[Header] = [JSON, (b"x-request-id", request)]
        if verdict.status == 401:
            if to := self._door.log_in_first(scope):
                await answer(send, 303, b"", [(b"location", to), (b"content-type", b"text/plain"), *headers[1:]])
                return 303
            challenge = f'Bearer realm="{REALM}"' + (', error="invalid_token"' if verdict.token_sent else "")
            headers.append((b"www-authenticate", challenge.encode()))
            problem = Problem("unauthorized", verdict.message)
        elif verdict.status == 429:
            problem = Problem("rate-limit", verdict.message + ".", status=429, retry_after=verdict.retry_after)
            headers.append((b"retry-after", str(max(1, round(verdict.retry_after or 1))).encode()))
        elif verdict.status in (400, 501):
            problem = Problem("client", verdict.message, "Send HTTP/1.1 as its RFC says.", status=verdict.status)
            headers.append(CLOSE)
        else:
            which = "toolserver.allowed_hosts" if verdict.status == 421 else "toolserver.allowed_origins"
            told = f"The operator lists the names under which this server is asked in {which}."
            problem = Problem("client", verdict.message, told, status=verdict.status)
        if header(scope, b"content-length") not in (None, b"0") and CLOSE not in headers:
            headers.append(CLOSE)  # what a stranger still wants to send is not read
        await answer(send, verdict.status, opal.problem_bytes(problem), headers)
        return verdict.status

    async def _elsewhere(self, scope: Scope, receive: Receive, send: Send, request: bytes) -> int:
        """MCP, and all that is no tool call."""
        seen = 499

        async def noting(message: Any) -> None:
            nonlocal seen
            if message["type"] == "http.response.start":
                seen = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request)]
            await send(message)

        try:
            if scope["path"] == MCP_PATH:
                await self._mcp(scope, receive, noting)
            else:
                await self._rest(scope, receive, noting)
        except ClientGone:
            raise
        except Exception:  # logged once, with the id that the answer carries; uvicorn would log it without
            _LOG.exception("Request %s failed", request.decode("ascii"))
            if seen == 499:
                seen = await self._problem(send, DEFECT, (JSON, (b"x-request-id", request)))
        return seen


async def _defect(request: Any, error: Exception) -> Response:
    """In place of Starlette's own words; it raises the error again afterwards."""
    return Response(opal.problem_bytes(DEFECT), DEFECT.status, media_type="application/json")
