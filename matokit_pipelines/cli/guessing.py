"""Which custom dimension carries what, guessed by the names people gave them, and how to say so.

Not here: which column a dimension is read from (warehouse/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matokit_pipelines.cli.frame import shortened

if TYPE_CHECKING:
    from matokit_pipelines.sources.sites import Dimension

READABLE_SCOPES = ("action", "event", "session")  # of Matomo the first, of Piwik PRO the others
_WORDS = {"os": ("os", "operating"), "architecture": ("arch",), "commit": ("commit", "sha", "version")}


def guess_dimensions(found: Sequence[Dimension]) -> dict[str, int]:
    """Meaning -> the number that scripts send, by the names of active dimensions; what no name tells is left out."""
    chosen: dict[str, int] = {}
    for dimension in sorted(found, key=lambda d: d.number):
        label = dimension.name.strip().lower()
        for meaning, marks in _WORDS.items():
            fits = any(label == mark or (len(mark) > 2 and mark in label) or label.startswith(mark) for mark in marks)
            if dimension.active and dimension.scope in READABLE_SCOPES and meaning not in chosen and fits:
                chosen[meaning] = dimension.number
                break
    return chosen


def dimension_lines(found: Sequence[Dimension], chosen: Mapping[str, int], *, guessed: bool, kind: str) -> list[str]:
    """One line a dimension: number, name, where it is kept, what it is read as; and what none carries."""
    meaning_of = {number: meaning for meaning, number in chosen.items()}
    why = ", by its name" if guessed else ", as told"
    lines = []
    for dimension in sorted(found, key=lambda d: d.number):
        meaning = meaning_of.get(dimension.number)
        read = f"read as {meaning}{why}" if meaning else "not read"
        lines.append(f"dimension{dimension.number} {described(dimension)}: {read}{_remark(dimension, meaning)}")
    missing = [meaning for meaning in _WORDS if meaning not in chosen]
    if missing and found:
        lines.append(f"none for {' and '.join(missing)}: say which with --dimensions, such as {missing[0]}=4")
    if not found:
        scope = "event" if kind == "piwik_pro" else "action"
        lines.append(f"none at all: add {scope} dimensions for operating system, architecture and commit")
    return lines


def described(dimension: Dimension) -> str:
    """Name, scope and slot of a dimension, for a person."""
    place = f"{dimension.scope} slot {dimension.slot}" if dimension.slot else dimension.scope
    return f'"{shortened(dimension.name)}" ({place})'


def _remark(dimension: Dimension, meaning: str | None) -> str:
    if not dimension.active:
        return "; it is not active, so nothing sent to it is kept"
    if meaning and dimension.scope == "session":
        return "; a session keeps one value, which machines that share it share too: an event dimension is better"
    if meaning and not dimension.case_sensitive:
        return "; the server may fold its letters, as it is not case-sensitive"
    return ""
