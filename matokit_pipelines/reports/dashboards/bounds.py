"""What a page shows without its scripts of rows that may be many: the most telling names, cut where they are long.

With scripts a page shows more of them, from its facts, which have bounds of their own (facts.py); the CSV has all.
Not here: which rows there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matokit_pipelines.reports.dashboards.facts_names import shortened

Row = dict[str, Any]
MOST = 60
# by widget: what its rows name, how many names a page holds, and whether the rows are in an order of merit
_BOUNDS: Mapping[str, tuple[str, int, bool]] = {
    "os_versions": ("os_release", MOST, True),
    "component_success": ("component", MOST, True),
    "component_matrix": ("component", MOST, False),
    "commit_table": ("commit_sha", MOST, True),
    "ci_comparison": ("component", MOST, False),
}
_NAMES = ("component", "error_type", "os_release", "commit_sha", "from_commit", "to_commit", "architecture")


@dataclass(frozen=True)
class Bounded:
    """`others`: how many names are only in the CSV."""

    rows: list[Row]
    parts: dict[str, list[Row]]
    others: int


def bounded(widget: str, rows: Sequence[Row], parts: Mapping[str, Sequence[Row]]) -> Bounded:
    """The rows that a page shows, in their order, and those of the parts which belong to them."""
    name, most, is_ordered = _BOUNDS.get(widget, ("", 0, True))
    kept, others = list(rows), 0
    shown_parts = {part: list(of_part) for part, of_part in parts.items()}
    if name:
        ranked = _ranked(rows, name, is_ordered)
        names = set(ranked[:most])
        others = len(ranked) - len(names)
        kept = [row for row in kept if row[name] in names or row[name] == "all"]
        shown_parts = {
            part: [row for row in of_part if name not in row or row[name] in names or row[name] == "all"]
            for part, of_part in shown_parts.items()
        }
    return Bounded(_short(kept), {part: _short(of_part) for part, of_part in shown_parts.items()}, others)


def _ranked(rows: Sequence[Row], name: str, is_ordered: bool) -> list[str]:
    """The names, the most telling first: as the rows are ordered, else those marked, then those with most failures."""
    if is_ordered:
        return list(dict.fromkeys(row[name] for row in rows))
    weights: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        if row[name] == "all":
            continue
        side = "production_" if "production_events" in row else ""
        weight = weights[row[name]]
        weight[0] += bool(row.get("is_marked"))
        weight[1] += row[f"{side}events"] - row[f"{side}successes"]
        weight[2] += row[f"{side}events"]
    return sorted(weights, key=lambda one: (*(-number for number in weights[one]), one))


def _short(rows: Sequence[Row]) -> list[Row]:
    texts = {
        name: (values := list(dict.fromkeys(row[name] for row in rows)), shortened(values))
        for name in (_NAMES if rows else ())
        if name in rows[0]
    }
    shown = {name: dict(zip(values, short, strict=True)) for name, (values, short) in texts.items()}
    return [{**row, **{name: short[row[name]] for name, short in shown.items()}} for row in rows]
