"""The delivered runbook as a page: each rule under its own name, so that a message leads to the heading about it.

Not here: what it says (docs/runbook.md), where messages lead (alerts/content/links.py).
"""

from __future__ import annotations

from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from starlette.requests import Request
from starlette.responses import Response

from matokit_pipelines import resources
from matokit_pipelines.alerts.content.links import RUNBOOK
from matokit_pipelines.toolserver.pages.answers import page


def runbook(request: Request) -> Response:
    """The runbook."""
    return page(request, "runbook.html", text=rendered())


@cache
def rendered() -> str:
    """The document as HTML. Its other documents are not served here, so what links to them is text."""
    tokens = _parser().parse(resources.path(RUNBOOK).read_text(encoding="utf-8"))
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", _anchor(tokens[at + 1].content))
        elif token.type == "inline" and token.children:
            token.children = _within(token.children)
    html: str = _parser().renderer.render(tokens, _parser().options, {})
    return html


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def _anchor(heading: str) -> str:
    """As web pages of repositories write it: `notices-to-operators`."""
    return heading.lower().replace(" ", "-")


def _within(children: list[Token]) -> list[Token]:
    """Without links that lead out of the document."""
    kept, is_outside = [], False
    for child in children:
        if child.type == "link_open":
            is_outside = not str(child.attrGet("href") or "").startswith("#")
        if not (is_outside and child.type in ("link_open", "link_close")):
            kept.append(child)
    return kept
