"""The routes of the pages: files that reports and dashboards wrote, alerts, runbook, list of tools, log-in and log-out.

Not here: who may see them (door.py decides before), how they leave (answers.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from matokit_pipelines.toolserver.gate import REALM
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.pages import alert_pages
from matokit_pipelines.toolserver.pages.answers import HEADERS, file, page
from matokit_pipelines.toolserver.pages.door import Door, local, token_in
from matokit_pipelines.toolserver.pages.runbook import runbook
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.tools import Tool
from matokit_pipelines.toolserver.wire import body_of

_LOG_IN_BYTES = 4_096
_UNKNOWN = "This token is not known here. Ask the operator for the one of the pages."


def page_routes(kit: Kit, door: Door, tools: Sequence[Tool[Any]]) -> list[Route]:
    """The routes of all pages. Those that read a file or a table run in a worker thread."""
    home = kit.loaded.home

    def start(request: Request) -> Response:
        return file(request, home, "index.json" if request.url.path.endswith(".json") else "index.html")

    def report(request: Request) -> Response:
        return file(request, home / "reports", request.path_params["kind"], request.path_params["name"])

    def dashboard(request: Request) -> Response:
        return file(request, home / "dashboards", *request.path_params.values())

    def alerts(request: Request) -> Response:
        return alert_pages.listed(request, kit)

    def alert(request: Request) -> Response:
        return alert_pages.explained(request, kit, request.path_params["id"])

    def described(request: Request) -> Response:
        return page(request, "tools.html", here="docs", tools=tools)

    async def to_alerts(request: Request) -> Response:
        return _elsewhere("alerts/")

    async def log_in(request: Request) -> Response:
        if request.method != "POST":
            wanted = local(request.query_params.get("next", "/"))
            return page(request, "login.html", has_form=True, wanted=wanted, wrong="")
        try:
            token, wanted = token_in(await body_of(request.scope, request.receive, _LOG_IN_BYTES))
        except Problem as problem:
            slow = page(request, "login.html", problem.status, has_form=True, wanted="/", wrong=problem.message)
            slow.headers["connection"] = "close"  # what still comes is not read
            return slow
        except ValueError:
            token, wanted = "", "/"
        cookie = door.cookie_for(token)
        if cookie is None:
            again = page(request, "login.html", 401, has_form=True, wanted=wanted, wrong=_UNKNOWN)
            again.headers["www-authenticate"] = f'Bearer realm="{REALM}"'
            return again
        return _elsewhere(f".{wanted}", cookie)

    async def log_out(request: Request) -> Response:
        if request.method != "POST":
            return page(request, "logout.html", has_form=True, here="logout")
        out = _elsewhere("login", door.log_out())
        out.headers["clear-site-data"] = '"cache"'  # else the button "back" still shows pages to whoever comes next
        return out

    return [
        Route("/", start),
        Route("/index.html", start),
        Route("/index.json", start),
        Route("/reports/{kind}/{name}", report),
        Route("/dashboards/{name}", dashboard),
        Route("/dashboards/{page}/{name}", dashboard),
        Route("/alerts", to_alerts),
        Route("/alerts/", alerts),
        Route("/alerts/{id}", alert),
        Route("/docs", described),
        Route("/runbook", runbook),
        Route("/login", log_in, methods=["GET", "POST"]),
        Route("/logout", log_out, methods=["GET", "POST"]),
    ]


def _elsewhere(address: str, cookie: str | None = None) -> Response:
    """To another page, seen from this one: `./docs`. A browser takes the fragment of this one's address along."""
    headers = {**HEADERS, "cache-control": "no-store"}
    return RedirectResponse(address, 303, headers={**headers, "set-cookie": cookie} if cookie else headers)
