"""All that is no tool: probes, discovery, metrics, statistics, documents for people, and the pages.

Not here: who may come in (gate.py, pages/door.py decide before), the tools.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from matokit_pipelines.toolserver import opal
from matokit_pipelines.toolserver.cache import ReportCache
from matokit_pipelines.toolserver.health.probes import is_ready
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.metrics import Metrics
from matokit_pipelines.toolserver.openapi import openapi
from matokit_pipelines.toolserver.pages.door import Door
from matokit_pipelines.toolserver.pages.routes import page_routes
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.tools import Tool
from matokit_pipelines.toolserver.wire import SECURITY

_HEADERS = {name.decode(): value.decode() for name, value in SECURITY}


def routes(kit: Kit, cache: ReportCache[Any], metrics: Metrics, door: Door, tools: Sequence[Tool[Any]]) -> list[Route]:
    """The routes; each answers GET and HEAD but for the log-in form."""
    manifest = opal.discovery_bytes(tools)
    document = json.dumps(openapi(tools), ensure_ascii=False).encode()

    async def discovery(request: Request) -> Response:
        return _json(manifest)

    async def up(request: Request) -> Response:
        return _json(b'{"ok":true}')

    async def ready(request: Request) -> Response:
        good = is_ready(kit)
        return _json(b'{"ok":true}' if good else b'{"ok":false}', 200 if good else 503)

    async def numbers(request: Request) -> Response:
        text = await asyncio.to_thread(metrics.render)  # reads the store and a snapshot, whose readers may be busy
        return Response(text, headers=_HEADERS, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def statistics(request: Request) -> Response:
        return _json(json.dumps(cache.statistics()).encode())

    async def described(request: Request) -> Response:
        return _json(document)

    return [
        Route("/discovery", discovery),
        Route("/healthz", up),
        Route("/health", up),
        Route("/readyz", ready),
        Route("/metrics", numbers),
        Route("/cache-statistics", statistics),
        Route("/openapi.json", described),
        *page_routes(kit, door, tools),
    ]


async def refusal(request: Request, error: Exception) -> Response:
    """What no route answers, in the shape of all errors: 404, 405 with the methods there are, 500 for a defect."""
    if isinstance(error, HTTPException) and error.status_code == 404:
        problem = Problem("not-found", "There is nothing at this address.")
    elif isinstance(error, HTTPException):
        allowed = (error.headers or {}).get("Allow", "")
        told = f"Use {allowed}." if allowed else ""
        problem = Problem("client", "This address is not asked that way.", told, status=error.status_code)
    else:
        problem = Problem("unknown", "matokit failed by a defect of its own.")
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return Response(
        opal.problem_bytes(problem), problem.status, headers={**_HEADERS, **headers}, media_type="application/json"
    )


REFUSALS: Mapping[Any, Any] = {HTTPException: refusal, Exception: refusal}


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, headers=_HEADERS, media_type="application/json")
