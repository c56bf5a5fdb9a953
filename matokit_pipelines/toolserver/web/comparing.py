"""Figures beside those of the span before: `previous`, and `change`, which is the figure less the one before.

A change of a rate is in percentage points. What is not known on either side is null. Not here: which span is before
(dates.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from matokit_pipelines.toolserver.web.dates import Span
from matokit_pipelines.toolserver.web.shaping import RATES, Number, number

NOT_OVER = "The period is not over, the one it is compared with is whole."
_BESIDE = frozenset({"as_of", "note", "date", "label", "currency", "previous", "change"})


def with_previous(value: dict[str, Any], before: Mapping[str, Any] | None, span: Span) -> dict[str, Any]:
    """An object with the same one of the span before it; None: that one is not known."""
    earlier = span.before()
    known = before is not None and before.get("nb_visits", 0) is not None and value.get("nb_visits", 0) is not None
    previous = None
    if before is not None and known:
        previous = {"date": earlier.label, **{k: v for k, v in before.items() if k not in ("as_of", "date")}}
    compared = {**value, "previous": previous, "change": changes(value, before, value) if known and before else None}
    if previous is not None and not span.is_over:
        compared.setdefault("note", NOT_OVER)
    return last(compared, "note", "as_of")


def with_previous_row(
    row: dict[str, Any], before: Mapping[str, Any] | None, figures: Iterable[str], *, is_whole: bool
) -> dict[str, Any]:
    """A row with its main figures before. Not there before: zeros where all rows of then are known, else null."""
    named = [key for key in figures if key in row]
    if before is None and not is_whole:
        return last({**row, "previous": None, "change": None}, "note", "as_of")
    earlier = before or {key: None if key in RATES else 0 for key in named}
    previous = {key: earlier.get(key) for key in named}
    return last({**row, "previous": previous, "change": changes(row, previous, named)}, "note", "as_of")


def changes(now: Mapping[str, Any], before: Mapping[str, Any] | None, keys: Iterable[str]) -> dict[str, Any]:
    """Key -> difference, for the keys that are figures; null where one side is not known."""
    found = {}
    for key in keys:
        if key in _BESIDE or _figure(key, now.get(key)) is None:
            continue
        found[key] = difference(key, now.get(key), (before or {}).get(key))
    return found


def difference(key: str, now: Any, before: Any) -> Number | None:
    """now - before; percentage points of a rate. None when either is not known."""
    here, there = _figure(key, now), _figure(key, before)
    return None if here is None or there is None else number(round(here - there, 9))


def noted(value: dict[str, Any], note: str | None) -> dict[str, Any]:
    """The same with the note, where there is one, behind what it notes already."""
    if not note:
        return value
    return last({**value, "note": f"{value['note']} {note}" if value.get("note") else note}, "note", "as_of")


def of_before(note: str | None) -> str | None:
    """The note of the figures of the span before, as one beside a comparison with them."""
    return f"Of the span before: {note}" if note else None


def last(value: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """The same with these keys at the end, where they are."""
    ends = {key: value[key] for key in keys if key in value}
    return {**{key: one for key, one in value.items() if key not in ends}, **ends}


def _figure(key: str, value: Any) -> Number | None:
    if isinstance(value, str) and value.endswith("%"):
        return number(value[:-1])
    return None if isinstance(value, str) else number(value)
