"""Whether a commit made things worse: verdicts over the counts of staging.commit_comparison.

Counts in, one row a commit, or a commit and component, out. Not here: what is compared with what (the SQL), the
formulas (statistics.py), who is told (alerts).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from matokit_pipelines.statistics import (
    ENOUGH_UNITS,
    Counted,
    chances,
    expected_share,
    mix_adjusted_chance,
    rate,
)

ALL = "all"
MORE_THAN_CHANCE = 0.01
RAW_POINTS = 10  # percentage points of the success rate over events
GUARD_POINTS = 0.05  # of the share of units that failed
MIN_MACHINES = 3
_HEAD = ["predecessor_sha", "deployed_at", "compared_until", "is_final"]
_COMPONENTS: dict[str, type[pl.DataType] | pl.DataType] = {
    "commit_sha": pl.String, "component": pl.String, "predecessor_sha": pl.String,
    "deployed_at": pl.Datetime("us", "UTC"), "compared_until": pl.Datetime("us", "UTC"), "is_final": pl.Boolean,
    "events": pl.Int64, "failures": pl.Int64, "units": pl.Int64, "unit_failures": pl.Int64,
    "machines_failing": pl.Int64, "baseline_units": pl.Int64, "baseline_unit_failures": pl.Int64,
    "expected_share": pl.Float64, "chance_worse": pl.Float64, "chance_better": pl.Float64, "verdict": pl.String,
}  # fmt: skip
_COMMITS: dict[str, type[pl.DataType] | pl.DataType] = {
    "commit_sha": pl.String, "predecessor_sha": pl.String,
    "deployed_at": pl.Datetime("us", "UTC"), "compared_until": pl.Datetime("us", "UTC"), "is_final": pl.Boolean,
    "events": pl.Int64, "successes": pl.Int64, "failures": pl.Int64, "success_rate": pl.Float64,
    "predecessor_events": pl.Int64, "predecessor_successes": pl.Int64, "predecessor_success_rate": pl.Float64,
    "difference_points": pl.Float64, "units": pl.Int64, "unit_failures": pl.Int64, "machines_failing": pl.Int64,
    "baseline_commits": pl.Int64, "baseline_units": pl.Int64, "baseline_unit_failures": pl.Int64,
    "expected_share": pl.Float64, "chance_worse": pl.Float64, "chance_better": pl.Float64,
    "raw_met": pl.Boolean, "guard_met": pl.Boolean, "verdict": pl.String, "affected_components": pl.String,
}  # fmt: skip


def of_components(counts: pl.DataFrame) -> pl.DataFrame:
    """One row a commit and component: counts of staging.commit_comparison in, its verdict out."""
    rows = [_component_row(row) for row in counts.to_dicts() if row["component"] != ALL]
    return pl.DataFrame(rows, schema=_COMPONENTS, orient="row")


def _component_row(row: Mapping[str, Any]) -> dict[str, Any]:
    now, before = _now(row), _before(row)
    share = before.failures / before.units if before.units else None
    worse, better = chances(now, before) if now.units and before.units else (None, None)
    head = {name: row[name] for name in ("commit_sha", "component", *_HEAD)}
    return head | {
        "events": row["events"],
        "failures": row["failures"],
        "units": now.units,
        "unit_failures": now.failures,
        "machines_failing": row["machines_failing"],
        "baseline_units": before.units,
        "baseline_unit_failures": before.failures,
        "expected_share": share,
        "chance_worse": worse,
        "chance_better": better,
        "verdict": verdict(now, before, worse, better),
    }


def of_commits(counts: pl.DataFrame) -> pl.DataFrame:
    """One row a commit: the sums of its components, mix adjusted, with the components that made it worse."""
    rows = []
    for _, group in counts.group_by("commit_sha", maintain_order=True):
        parts = group.to_dicts()
        whole = next((part for part in parts if part["component"] == ALL), None)
        if whole is not None:
            rows.append(_commit_row(whole, [part for part in parts if part["component"] != ALL]))
    return pl.DataFrame(rows, schema=_COMMITS, orient="row")


def _commit_row(whole: Mapping[str, Any], parts: list[dict[str, Any]]) -> dict[str, Any]:
    now = {part["component"]: _now(part) for part in parts if part["units"]}
    before = {part["component"]: _before(part) for part in parts if part["baseline_units"]}
    seen, base = _now(whole), _before(whole)
    both = mix_adjusted_chance(now, before) if base.units else None
    share = expected_share({name: part.units for name, part in now.items()}, before) if base.units else None
    worse, better = both or (None, None)
    raw_met = _raw_met(whole)
    guard_met = (
        min(seen.units, base.units) >= ENOUGH_UNITS
        and whole["machines_failing"] >= MIN_MACHINES
        and worse is not None
        and worse < MORE_THAN_CHANCE
        and share is not None
        and seen.failures / seen.units - share > GUARD_POINTS
    )
    head = {name: whole[name] for name in ("commit_sha", *_HEAD)}
    return head | {
        "events": whole["events"],
        "successes": whole["successes"],
        "failures": whole["failures"],
        "success_rate": rate(whole["successes"], whole["events"]),
        "predecessor_events": whole["predecessor_events"],
        "predecessor_successes": whole["predecessor_successes"],
        "predecessor_success_rate": rate(whole["predecessor_successes"], whole["predecessor_events"]),
        "difference_points": _difference(whole),
        "units": seen.units,
        "unit_failures": seen.failures,
        "machines_failing": whole["machines_failing"],
        "baseline_commits": whole["baseline_commits"],
        "baseline_units": base.units,
        "baseline_unit_failures": base.failures,
        "expected_share": share,
        "chance_worse": worse,
        "chance_better": better,
        "raw_met": raw_met,
        "guard_met": guard_met,
        "verdict": verdict(seen, base, worse, better),
        "affected_components": ", ".join(_affected(parts)) or None,
    }


def verdict(now: Counted, before: Counted, worse: float | None, better: float | None) -> str:
    """`too few`, `worse` or `better` (more than chance), or `could be chance`."""
    if min(now.units, before.units) < ENOUGH_UNITS or worse is None or better is None:
        return "too few"
    if worse < MORE_THAN_CHANCE:
        return "worse"
    return "better" if better < MORE_THAN_CHANCE else "could be chance"


def _affected(parts: list[dict[str, Any]]) -> Iterator[str]:
    """Components that fail more often than chance allows, the most surprising first."""
    found = []
    for part in parts:
        row = _component_row(part)
        if row["verdict"] == "worse":
            found.append((row["chance_worse"], row["component"]))
    return (component for _, component in sorted(found))


def _now(row: Mapping[str, Any]) -> Counted:
    return Counted(row["unit_failures"], row["units"])


def _before(row: Mapping[str, Any]) -> Counted:
    return Counted(row["baseline_unit_failures"], row["baseline_units"])


def _difference(whole: Mapping[str, Any]) -> float | None:
    """Points by which the success rate fell (negative: rose) since the predecessor."""
    if not whole["events"] or not whole["predecessor_events"]:
        return None
    fell: float = whole["predecessor_successes"] / whole["predecessor_events"] - whole["successes"] / whole["events"]
    return 100 * fell


def _raw_met(whole: Mapping[str, Any]) -> bool:
    """Rate of the predecessor - rate of the commit > 10 points, in integers so that exactly 10 does not fire."""
    now, before = whole["events"], whole["predecessor_events"]
    return bool(
        now
        and before
        and 100 * (whole["predecessor_successes"] * now - whole["successes"] * before) > RAW_POINTS * now * before
    )
