"""What the three trackers are asked with: checked here, since a Matomo answers success to much that it drops.

Not here: what becomes of it (tools.py).
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from matokit_pipelines.toolserver.parameters import Parameters, Whole

LONGEST_TEXT = 4_096  # characters; one more and a Matomo refuses the hit
LONGEST_SHORT = 200
LONGEST_REFERRER = 1_500
LARGEST = 1e15
_VISITOR = re.compile(r"[0-9a-f]{16}")
_PAGE_VIEW = re.compile(r"[A-Za-z0-9]{6}")
_UNSEEN = re.compile(r"[\x00-\x20\x7f]")


def _absolute(value: str) -> str:
    """A web address, as it was given."""
    try:
        parts = urlsplit(value)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and not _UNSEEN.search(value)
    except ValueError:
        is_right = False
    if not is_right:
        raise ValueError("must be an absolute http or https address")
    return value


def _some_address(value: str) -> str:
    """Any absolute address: applications refer by schemes of their own."""
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = None
    if parts is None or not parts.scheme or not parts.netloc or _UNSEEN.search(value):
        raise ValueError("must be an absolute address, such as https://www.example.org/")
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


def _visitor(value: str) -> str:
    if not _VISITOR.fullmatch(value.lower()):
        raise ValueError("must be 16 hexadecimal digits")
    return value.lower()


def _page_view(value: str) -> str:
    if not _PAGE_VIEW.fullmatch(value):
        raise ValueError("must be 6 letters or digits")
    return value


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _site(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a whole number or the name of a site")
    return value


Number = Annotated[float, BeforeValidator(_no_truth), Field(allow_inf_nan=False)]
Text = Annotated[str, AfterValidator(_not_blank)]
ShortText = Annotated[str, Field(max_length=LONGEST_SHORT), AfterValidator(_not_blank)]
Address = Annotated[str, AfterValidator(_absolute)]

_OF_PAGE = "Absolute http or https address of the page it happened on, 4,096 characters at most. Default: none."


class Tracking(Parameters):
    """What every tracker takes."""

    model_config = ConfigDict(str_max_length=LONGEST_TEXT)

    siteId: Annotated[int | str | None, BeforeValidator(_site)] = Field(
        None,
        description="Number or configured name of the site in Matomo. Default: the configured default site.",
        json_schema_extra={"published": "integer"},
    )
    visitorId: Annotated[str, AfterValidator(_visitor)] | None = Field(
        None,
        description="The visitor in Matomo: 16 hexadecimal digits. Hits of one visitor arrive in the order in which "
        "they were accepted. Default: none, each hit for itself.",
    )
    uid: ShortText | None = Field(
        None, description="User id of a person who is logged in, 200 characters at most. Default: none."
    )
    referrer: Annotated[str, Field(max_length=LONGEST_REFERRER), AfterValidator(_some_address)] | None = Field(
        None, description="Absolute address the visitor came from, 1,500 characters at most. Default: none."
    )
    timestamp: Whole | None = Field(
        None,
        description="When it happened: milliseconds since 1970-01-01 in UTC; not in the future, and at most 10 years "
        "ago. More than 24 hours ago needs a token with write access. Default: now.",
    )
    idempotencyKey: ShortText | None = Field(
        None,
        description="Any text of 1 to 200 characters that names this hit: within 24 hours the same key is sent to "
        "Matomo at most once, and the same answer comes back. Without one a hit may be counted twice after a failure. "
        "Default: none.",
    )


class TrackPageview(Tracking):
    """Arguments of TrackPageview."""

    url: Address = Field(description="Absolute http or https address of the page, 4,096 characters at most.")
    actionName: Text | None = Field(None, description="Title of the page, 4,096 characters at most. Default: the url.")
    pvId: Annotated[str, AfterValidator(_page_view)] | None = Field(
        None,
        description="Id of the page view, by which Matomo joins what happens on it: 6 letters or digits. Default: a "
        "new one, which is answered.",
    )


class TrackEvent(Tracking):
    """Arguments of TrackEvent."""

    category: Text = Field(description="Category of the event, not blank, 4,096 characters at most.")
    action: Text = Field(description="Action of the event, not blank, 4,096 characters at most.")
    name: Text | None = Field(None, description="Name of the event, 4,096 characters at most. Default: none.")
    value: Number | None = Field(
        None, ge=-LARGEST, le=LARGEST,
        description="Value of the event: a number, a fraction is kept. Default: none.",
        json_schema_extra={"published": "integer"},
    )  # fmt: skip
    url: Address | None = Field(None, description=_OF_PAGE)


class TrackGoal(Tracking):
    """Arguments of TrackGoal."""

    goalId: Whole = Field(ge=1, le=2**31 - 1, description="Number of the goal in Matomo, from 1.")
    revenue: Number | None = Field(
        None, ge=-LARGEST, le=LARGEST,
        description="Revenue of the conversion in the site's currency; a fraction is kept. Default: the goal's own.",
    )  # fmt: skip
    url: Address | None = Field(None, description=_OF_PAGE)
