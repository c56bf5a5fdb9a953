"""The routes of the pages: files that reports and dashboards wrote, the log-in, the list of tools.

Not here: who may see them (door.py decides before).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from matokit_pipelines.reports.rendering import templates
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.pages.door import Door, local, token_in
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.tools import Tool
from matokit_pipelines.toolserver.wire import ClientGone, body_of

_HEADERS = {
    "cache-control": "private, no-cache",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}
# Each page brings its own policy for what it loads; these can only be said by a header.
_POLICY = "frame-ancestors 'none'; base-uri 'none'; form-action {form}"
_FILE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,80}(\.[a-z]{1,20})?\.(html|txt|json|csv)$")
_KINDS = {
    "html": "text/html; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
    "csv": "text/csv",
}
_LOG_IN_BYTES = 4_096


def page_routes(kit: Kit, door: Door, tools: Sequence[Tool[Any]]) -> list[Route]:
    """The routes of all pages."""
    home = kit.loaded.home

    async def start(request: Request) -> Response:
        return _file(home, "index.json" if request.url.path.endswith(".json") else "index.html")

    async def report(request: Request) -> Response:
        return _file(home / "reports", request.path_params["kind"], request.path_params["name"])

    async def dashboard(request: Request) -> Response:
        return _file(home / "dashboards", *request.path_params.values())

    async def described(request: Request) -> Response:
        return _page("toolserver/tools.html", tools=tools)

    async def log_in(request: Request) -> Response:
        if request.method != "POST":
            return _page("toolserver/login.html", wanted=local(request.query_params.get("next", "/")), wrong=False)
        try:
            token, wanted = token_in(await body_of(request.scope, request.receive, _LOG_IN_BYTES))
        except (Problem, ValueError, ClientGone):
            token, wanted = "", "/"
        cookie = door.cookie_for(token)
        if cookie is None:
            return _page("toolserver/login.html", 401, wanted=wanted, wrong=True)
        return RedirectResponse(wanted, 303, headers={**_HEADERS, "set-cookie": cookie})

    async def log_out(request: Request) -> Response:
        return RedirectResponse("/login", 303, headers={**_HEADERS, "set-cookie": door.log_out()})

    return [
        Route("/", start),
        Route("/index.html", start),
        Route("/index.json", start),
        Route("/reports/{kind}/{name}", report),
        Route("/dashboards/{name}", dashboard),
        Route("/dashboards/{page}/{name}", dashboard),
        Route("/docs", described),
        Route("/login", log_in, methods=["GET", "POST"]),
        Route("/logout", log_out, methods=["POST"]),
    ]


def _file(folder: Path, *parts: str) -> Response:
    """A file of ours: plain names only, and nothing that leads out of the folder."""
    *folders, name = parts
    known = _FILE.match(name) and all(re.fullmatch(r"[a-z_]{1,40}", part) for part in folders)
    path = folder.joinpath(*parts)
    if not known or path.name.endswith(".message.json") or not path.is_file():
        return _missing()
    if not path.resolve().is_relative_to(folder.resolve()):
        return _missing()
    kind = _KINDS.get(name.rpartition(".")[2])
    policy = _POLICY.format(form="'none'") if name.endswith(".html") else "default-src 'none'"
    return FileResponse(path, media_type=kind, headers={**_HEADERS, "content-security-policy": policy})


def _missing() -> Response:
    return _page("toolserver/missing.html", 404)


def _page(template: str, status: int = 200, **values: Any) -> Response:
    html = templates().get_template(template).render(root="/", here="", **values)
    policy = _POLICY.format(form="'self'")
    return HTMLResponse(html, status, headers={**_HEADERS, "content-security-policy": policy})
