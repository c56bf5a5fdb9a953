"""CI beside production: chance and verdict over the counts of the query of marts.ci_vs_production.

Counts in, one row a window and component out. Not here: the windows (the SQL), the formulas (statistics.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from matokit_pipelines.statistics import Counted, chances, mix_adjusted_chance
from matokit_pipelines.warehouse.commit_verdicts import ALL, verdict

MOST_ERRORS = 3
SIDES = ("production", "ci")
_SIDE: dict[str, type[pl.DataType]] = {
    "events": pl.Int64, "successes": pl.Int64, "failures": pl.Int64, "success_rate": pl.Float64,
    "success_rate_low": pl.Float64, "success_rate_high": pl.Float64, "units": pl.Int64, "unit_failures": pl.Int64,
}  # fmt: skip
_COLUMNS: dict[str, type[pl.DataType]] = (
    {"window_days": pl.Int64, "component": pl.String}
    | {f"{side}_{name}": kind for side in SIDES for name, kind in (_SIDE | {"errors": pl.String}).items()}
    | {"gap_points": pl.Float64, "chance_worse": pl.Float64, "chance_better": pl.Float64, "verdict": pl.String}
    | {"first_date": pl.Date, "last_date": pl.Date}
)
_NOTHING: dict[str, Any] = {name: 0 if kind == pl.Int64 else None for name, kind in _SIDE.items()}


def of_windows(counts: pl.DataFrame) -> pl.DataFrame:
    """One row a window and component (`all` included).

    `counts` has rows of `window_days, environment, component`: those without an `error_type` hold the counts of
    component_window, the others the `failures` of a kind of error.
    """
    rows: list[dict[str, Any]] = []
    for (window_days,), group in counts.sort("window_days").group_by("window_days", maintain_order=True):
        rows += _rows_of_window(window_days, group.to_dicts())
    return pl.DataFrame(rows, schema=_COLUMNS, orient="row")


def _rows_of_window(window_days: object, given: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    counted = {(row["environment"], row["component"]): row for row in given if row["error_type"] is None}
    errors = _errors(row for row in given if row["error_type"] is not None)
    for component in sorted({name for _, name in counted}):
        sides = {side: counted.get((side, component), _NOTHING) for side in SIDES}
        worse, better = _chances(component, counted)
        some = counted.get(("production", component)) or counted[("ci", component)]
        row: dict[str, Any] = {"window_days": window_days, "component": component}
        for side, numbers in sides.items():
            row |= {f"{side}_{name}": numbers[name] for name in _SIDE}
            row[f"{side}_errors"] = errors.get((side, component))
        yield row | {
            "gap_points": _gap_points(sides["production"], sides["ci"]),
            "chance_worse": worse,
            "chance_better": better,
            "verdict": verdict(_units(sides["production"]), _units(sides["ci"]), worse, better),
            "first_date": some["first_date"],
            "last_date": some["last_date"],
        }


def _chances(component: str, counted: Mapping[tuple[str, str], Mapping[str, Any]]) -> tuple[float | None, float | None]:
    """`(chance of so many failed production units or more, of so few or fewer)` had CI's share held.

    All components together allow for another mix of them. None without units on a side.
    """
    now, base = (_units(counted.get((side, component), _NOTHING)) for side in SIDES)
    if not now.units or not base.units:
        return None, None
    if component != ALL:
        return chances(now, base)
    parts = {
        side: {name: _units(row) for (of, name), row in counted.items() if of == side and name != ALL} for side in SIDES
    }
    return mix_adjusted_chance(parts["production"], parts["ci"]) or (None, None)


def _errors(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """The most frequent kinds of error of a side and component as text, by failures, ties by name."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for row in rows:
        for component in (row["component"], ALL):
            found.setdefault((row["environment"], component), Counter())[row["error_type"]] += row["failures"]
    return {
        key: ", ".join(
            f"{name} ({failures})"
            for name, failures in sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))[:MOST_ERRORS]
        )
        for key, kinds in found.items()
    }


def _units(row: Mapping[str, Any]) -> Counted:
    return Counted(row["unit_failures"], row["units"])


def _gap_points(production: Mapping[str, Any], ci: Mapping[str, Any]) -> float | None:
    if not production["events"] or not ci["events"]:
        return None
    gap: float = ci["successes"] / ci["events"] - production["successes"] / production["events"]
    return 100 * gap
