"""Pages and files as answers: the headers that all of them carry, their version for a browser's store, the navigation.

Not here: which pages there are (routes.py, alert_pages.py), who may see them (door.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from matokit_pipelines.reports.rendering import templates
from matokit_pipelines.toolserver.pages.door import root_of

HEADERS: Mapping[str, str] = {
    "cache-control": "private, no-cache",  # kept by the browser, shown only after asking again
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
}
# Each page brings its own policy for what it loads; these can only be said by a header.
_PAGE = "frame-ancestors 'none'; base-uri 'none'; form-action {form}"
_DATA = "default-src 'none'; frame-ancestors 'none'"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}(\.[a-z]{1,20})?\.(html|txt|json|csv)")
_FOLDER = re.compile(r"[a-z_]{1,40}")
_KINDS = {
    "html": "text/html; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
}
# What a server has beside the files: the navigation of each page gets it as it leaves, the files on disk do not.
_FURTHER = (("alerts", "alerts/", "Alerts"), ("docs", "docs", "Tools"), ("logout", "logout", "Log out"))
_END = b"</nav>"
_templates = cache(templates)  # made once: reading them anew takes longer than a page does


def page(request: Request, template: str, status: int = 200, *, has_form: bool = False, **values: Any) -> Response:
    """A page made now of a template of `report_templates/toolserver/`.

    `has_form`: it posts to this server, so the browser has to say where a post comes from.
    """
    path = request.url.path
    values = {"root": root_of(path), "here": "", **values}
    html = _templates().get_template(f"toolserver/{template}").render(**values)
    headers = {"content-security-policy": _PAGE.format(form="'self'" if has_form else "'none'")}
    if has_form:
        headers |= {"referrer-policy": "same-origin", "cache-control": "no-store"}
    return _answer(request, _navigable(html.encode(), path, values["here"]), "html", status, headers)


def file(request: Request, folder: Path, *parts: str) -> Response:
    """A file that was written for readers: a plain name below `folder`, and nothing that leads out of it."""
    *folders, name = parts
    is_known = _NAME.fullmatch(name) and all(_FOLDER.fullmatch(part) for part in folders)
    if not is_known or name.endswith(".message.json"):  # what is sent, not what is shown
        return missing(request)
    path = folder.joinpath(*parts)
    try:
        if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
            return missing(request)
        body = path.read_bytes()
    except OSError:
        return missing(request)
    kind = name.rpartition(".")[2]
    headers = {"content-security-policy": _PAGE.format(form="'none'") if kind == "html" else _DATA}
    if kind == "csv":
        headers["content-disposition"] = f'attachment; filename="{name}"'
    if kind == "html":
        body = _navigable(body, request.url.path, "")
    return _answer(request, body, kind, 200, headers)


def missing(request: Request, template: str = "missing.html") -> Response:
    """404, for a person."""
    return page(request, template, 404, is_start=request.url.path in ("/", "/index.html"))


def _answer(request: Request, body: bytes, kind: str, status: int, headers: Mapping[str, str]) -> Response:
    """The answer, or 304 when the browser has these very bytes."""
    known = {**HEADERS, **headers}
    if status == 200 and known["cache-control"] != "no-store":
        known["etag"] = tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
        asked = (one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(","))
        if any(one in (tag, "*") for one in asked):
            return Response(status_code=304, headers=known)
    return Response(body, status, headers=known, media_type=_KINDS[kind])


def _navigable(html: bytes, path: str, here: str) -> bytes:
    """The page with what this server has beside it in its navigation; a page without navigation stays as it is."""
    links = ""
    for name, address, title in _FURTHER:
        mark = ' aria-current="page"' if name == here else ""
        links += f'<a href="{root_of(path)}{address}"{mark}>{title}</a>\n'
    return html.replace(_END, links.encode() + _END, 1)
