"""What a message says, before it is written as mail, text or blocks: sentences, facts, tables. Plain text throughout.

Not here: finding the sentences (stories.py), writing them (composing.py, blocks.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Fact:
    """A label and what stands beside it."""

    label: str
    text: str


@dataclass(frozen=True)
class Table:
    """Rows with most failures first: the name, then a cell for each of `head[1:]`. `more`: what is left out."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: str = ""


@dataclass(frozen=True)
class Line:
    """One entry of a list: what it is about, details below it, and where a link leads ("" for none)."""

    text: str
    details: tuple[str, ...] = ()
    url: str = ""
    link: str = ""


@dataclass(frozen=True)
class To:
    """A link from the settings; `is_web`: a browser can open it."""

    label: str
    address: str
    is_web: bool


@dataclass(frozen=True)
class Part:
    """A stretch of a digest: a heading, its lines, then what surrounds them."""

    heading: str
    lines: tuple[Line, ...]
    tables: tuple[Table, ...] = ()
    notes: tuple[Line, ...] = ()
    runbook: To | None = None
    more: str = ""


@dataclass(frozen=True)
class Story:
    """One message.

    tone: `critical`, `warning`, `over` or `note`, which colours it. over: the line above the headline. notices: what
    must be known to read the numbers. look: what to look at first. rule_settings: the rule's settings, for its
    template. All texts are single lines.
    """

    kind: str
    rule: str
    tone: str
    over: str
    subject: str
    headline: str
    lead: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    look: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    lines: tuple[Line, ...] = ()
    more: str = ""
    tables: Mapping[str, Table] = field(default_factory=dict)
    changes: tuple[Line, ...] = ()
    ci: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    links: tuple[To, ...] = ()
    footer: tuple[str, ...] = ()
    rule_settings: Any = None
