"""What a refusal of Piwik PRO means, as one of our errors in one sentence.

Branches on status only: the parameter a server names differs from one to the next, and words change. Not here: the
token endpoint's refusals (piwik_pro_token.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from matokit_pipelines.errors import AccessRefused, AnswerNotUnderstood, MatokitError, SourceError, SourceMissing
from matokit_pipelines.sources.http import Answer, HttpSession

LONGEST_QUOTE = 160
LONGEST_TITLE = 40
MOST_SITES = 5

Sites = Sequence[tuple[str, str]]


def is_json(answer: Answer) -> bool:
    """Whether the answer says it is JSON: plain, JSON:API, or a document a line."""
    return answer.kind in ("application/json", "application/x-ndjson") or answer.kind.endswith("+json")


def refusal(
    answer: Answer, session: HttpSession, site_id: str, what: str, visible: Callable[[], Sites | None] | None
) -> MatokitError:
    """The error for an answer that is not good.

    `what` the server should have done, in words that follow "refuses to". `visible` gives the (id, name) of the sites
    that the credentials may see, None when that cannot be told; it is asked only where the site may be the reason.
    """
    host, name = session.host, session.name
    said = _quoted(_said(answer))
    if answer.status == 200:
        return AnswerNotUnderstood(
            f"{host} answers source {name} with a page instead of data when asked to {what}; check that the url is the "
            "address of a Piwik PRO account."
        )
    if answer.status in (402, 403):
        return AccessRefused(
            f"{host} refuses to {what} for source {name}{said}{_seen(visible, site_id)}; check the licence and give "
            f"the user of the credentials the right to view site {site_id}."
        )
    if answer.status == 404 and visible:
        return SourceMissing(
            f"{host} finds no site {site_id} when asked to {what} for source {name}{said}{_seen(visible, site_id)}; "
            "correct its site_id, or let the user of the credentials view it."
        )
    return SourceError(
        f"{host} refuses to {what} for source {name} with status {answer.status}{said}; check its url, site_id and "
        "dimensions."
    )


def _seen(visible: Callable[[], Sites | None] | None, site_id: str) -> str:
    """Which sites the credentials may see, in words that follow a refusal; nothing where that cannot be told."""
    sites = visible() if visible else None
    if sites is None:
        return ""
    if not sites:
        return " (the credentials may see no site at all)"
    if site_id in {identity for identity, _ in sites}:
        return " (the credentials may see that site in the list, but not this of it)"
    named = ", ".join(f"{identity} ({_plain(title)[:LONGEST_TITLE]})" for identity, title in sites[:MOST_SITES])
    more = f" and {len(sites) - MOST_SITES:,} more" if len(sites) > MOST_SITES else ""
    return f"; the credentials may see: {named}{more}"


def _said(answer: Answer) -> str:
    """The server's words: `errors[].detail` of analytics, `error` of management, or plain text; of no web page."""
    if answer.kind == "text/plain":
        return answer.text
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(found, dict):
        return ""
    errors = found.get("errors")
    if isinstance(errors, list):
        return "; ".join(filter(None, (_detail(error) for error in errors)))
    said = found.get("error") or found.get("message")
    return said if isinstance(said, str) else ""


def _detail(error: Any) -> str:
    said = (error.get("detail") or error.get("title") or "") if isinstance(error, dict) else ""
    return said if isinstance(said, str) else ""


def _plain(text: str) -> str:
    """One line of text that nothing can be hidden in."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _quoted(said: str) -> str:
    words = _plain(said).replace('"', "'")
    if len(words) > LONGEST_QUOTE:
        words = words[:LONGEST_QUOTE].rstrip() + "…"
    return f': "{words.rstrip(".")}"' if words else ""
