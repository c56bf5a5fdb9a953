"""What benchmarks/derive.py found, as numbers, tables and verdicts.

Ratios between steps of one process are taken of seconds of a core, which other work on the machine disturbs least;
those between whole processes by the clock. Not here: measuring.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from groups import ADDITIVE, CUBE, GROUP_OF, GROUPS, KNOWN, MACHINES, STAGING

CHECKS = "checks of "
CLOCK, CORE = 0, 1
MOST_CUBE, MOST_MACHINES, MOST_GROWTH, MOST_MARTS_S, LEAST_DBT, MOST_MB = 8.0, 40.0, 1.5, 1.0, 10.0, 2048.0
SLOWEST = 8


@dataclass
class Found:
    """What each step told, round by round."""

    rounds: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, step: str, told: dict[str, Any]) -> None:
        """One more round of a step."""
        self.rounds.setdefault(step, []).append(told)

    def last(self, step: str) -> dict[str, Any]:
        """What its last round told."""
        return self.rounds[step][-1]

    def median(self, step: str, figure: str) -> float:
        """Of `seconds`, by the clock, or `cpu`, of a core, or another figure."""
        return statistics.median(told[figure] for told in self.rounds[step])

    def most(self, step: str, figure: str) -> float:
        """The greatest."""
        return max(told[figure] for told in self.rounds[step])

    def spent(self, step: str, which: int, groups: Sequence[str], *, checks: bool | None = None) -> float:
        """The median of the seconds of all models of some groups; `checks` False without them, True nothing else."""
        return statistics.median(_spent(told["spent"], which, groups, checks) for told in self.rounds[step])

    def rest(self, step: str, which: int) -> float:
        """The median of what belongs to no model: opening, what is touched, the commit."""
        all_groups = [
            sum(value[which] for value in told["spent"].values()) - _spent(told["spent"], which, GROUPS, None)
            for told in self.rounds[step]
        ]
        return statistics.median(all_groups)

    def of_models(self, step: str, which: int, models: Sequence[str]) -> float:
        """The median of the seconds of some models, without checks."""
        return statistics.median(
            sum(told["spent"].get(model, (0.0, 0.0))[which] for model in models) for told in self.rounds[step]
        )


def _spent(spent: dict[str, tuple[float, float]], which: int, groups: Sequence[str], checks: bool | None) -> float:
    total = 0.0
    for what, seconds in spent.items():
        is_check = what.startswith(CHECKS)
        if checks in (None, is_check) and GROUP_OF.get(what.removeprefix(CHECKS)) in groups:
            total += seconds[which]
    return total


@dataclass(frozen=True)
class Size:
    """All about one size. `polars`: the tables that polars made; `left_out`: those that dbt cannot make."""

    millions: float
    landed: dict[str, Any]
    found: Found
    polars: list[str]
    left_out: list[str]

    def as_json(self) -> dict[str, Any]:
        """Every number."""
        return {
            "millions": self.millions, "landed": self.landed, "rounds": self.found.rounds, "polars": self.polars,
            "left_out_by_dbt": self.left_out,
        }  # fmt: skip


def show_size(size: Size) -> None:
    """Print the tables of one size."""
    found = size.found
    unit = found.median("scan", "cpu")
    print(f"\n{size.millions:g} million events; unit, one grouped scan: {unit:.3f} s of a core, ", end="")
    print(f"{found.median('scan', 'seconds'):.3f} by the clock")
    print(f"{'full build':<22}{'seconds':>9}{'of a core':>11}{'x unit':>8}{'checks':>9}{'of a core':>11}")
    for group in GROUPS:
        _group_line(found, "full", group, unit)
    _rest_line(found, "full")
    print(f"slowest of the full build, of a core: {_slowest(found.last('full'))}")
    for step, name in (("day", "newest complete day"), ("running day", "running day")):
        print(f"\n{name:<22}{'seconds':>9}{'of a core':>11}{'x unit':>8}{'checks':>9}{'of a core':>11}")
        for group in GROUPS:
            _group_line(found, step, group, unit)
        _rest_line(found, step)
        print(f"slowest, of a core: {_slowest(found.last(step))}")
    _whole_processes(size)


def _group_line(found: Found, step: str, group: str, unit: float) -> None:
    clock, core = (found.spent(step, which, [group], checks=False) for which in (CLOCK, CORE))
    checks, checks_core = (found.spent(step, which, [group], checks=True) for which in (CLOCK, CORE))
    print(f"  {group:<20}{clock:>9.2f}{core:>11.2f}{core / unit:>8.1f}{checks:>9.2f}{checks_core:>11.2f}")


def _rest_line(found: Found, step: str) -> None:
    print(f"  {'opening, commit, rest':<20}{found.rest(step, CLOCK):>8.2f}{found.rest(step, CORE):>11.2f}")
    print(f"  {'all':<20}{found.median(step, 'seconds'):>9.2f}{found.median(step, 'cpu'):>11.2f}", end="")
    print(f"   at most {found.most(step, 'peak'):,.0f} MB")


def _slowest(told: dict[str, Any]) -> str:
    ranked = sorted(told["spent"].items(), key=lambda entry: -entry[1][CORE])[:SLOWEST]
    return ", ".join(f"{what} {seconds[CORE]:.2f}" for what, seconds in ranked)


def _whole_processes(size: Size) -> None:
    found = size.found
    print(f"\n{'whole processes':<42}{'seconds':>9}{'of a core':>11}{'peak MB':>9}")
    steps = [
        ("full, dbt", "dbt run, everything"),
        ("day, whole process", "matokit build, one day, published"),
        ("day, dbt", "dbt run, one day"),
        ("polars", f"polars, {len(size.polars)} tables of sums"),
    ]
    for step, name in steps:
        if step in found.rounds:
            taken = f"{found.median(step, 'seconds'):>9.2f}{found.median(step, 'cpu'):>11.2f}"
            print(f"  {name:<40}{taken}{found.most(step, 'peak'):>9,.0f}")
    print(f"  {'of which publishing':<40}{found.median('day', 'published'):>9.2f}")
    ours = [found.of_models("full", which, size.polars) for which in (CLOCK, CORE)]
    print(f"  {'ours, the tables that polars made':<40}{ours[CLOCK]:>9.2f}{ours[CORE]:>11.2f}")
    if size.left_out:
        print(f"left out by dbt, made by us: {', '.join(size.left_out)}")


def verdicts(sizes: Sequence[Size]) -> int:
    """Print which aims are reached at the largest size, and return how many are not."""
    least, most = sizes[0], sizes[-1]
    found, unit = most.found, most.found.median("scan", "cpu")
    cube = found.spent("full", CORE, [CUBE, ADDITIVE], checks=False) / unit
    machines = found.spent("full", CORE, [MACHINES], checks=False) / unit
    marts = found.spent("day", CLOCK, [ADDITIVE, MACHINES, KNOWN])
    peak = max(found.most(step, "peak") for step in ("full", "day", "running day"))
    lines = [
        (f"cube and additive marts at most {MOST_CUBE:g}x a scan", f"{cube:.1f}x", cube <= MOST_CUBE),
        (f"first tries and counts at most {MOST_MACHINES:g}x", f"{machines:.1f}x", machines <= MOST_MACHINES),
        (f"one day's marts under {MOST_MARTS_S:g} s", f"{marts:.2f} s", marts < MOST_MARTS_S),
        (f"peak under {MOST_MB:,.0f} MB", f"{peak:,.0f} MB", peak < MOST_MB),
    ]
    if most is not least:
        ratio = _day(most) / _day(least)
        what = f"staging and cube of one day, {most.millions:g} beside {least.millions:g} million"
        lines.append((what, f"{ratio:.2f}x", ratio <= MOST_GROWTH))
    if "day, dbt" in found.rounds:
        taken = (told["seconds"] for told in found.rounds["day, whole process"])
        ratio = statistics.median(
            theirs["seconds"] / ours for theirs, ours in zip(found.rounds["day, dbt"], taken, strict=True)
        )
        lines.append((f"one day at least {LEAST_DBT:g}x faster than dbt", f"{ratio:.1f}x", ratio >= LEAST_DBT))
    print(f"\nat {most.millions:g} million events")
    for aim, reached, is_reached in lines:
        print(f"  {aim:<58}{reached:>10}  {'reached' if is_reached else 'MISSED'}")
    return sum(not is_reached for _, _, is_reached in lines)


def _day(size: Size) -> float:
    """Seconds of a core that staging and cube of one touched day take, checks included."""
    return size.found.spent("day", CORE, [STAGING, CUBE])


def show_sizes(sizes: Sequence[Size]) -> None:
    """Print what one touched day costs, size by size."""
    print(f"\n{'one touched day, of a core':<28}" + "".join(f"{size.millions:>9g} m" for size in sizes))
    for name, groups in (("staging and cube", [STAGING, CUBE]), ("marts", [ADDITIVE, MACHINES, KNOWN])):
        print(f"  {name:<26}" + "".join(f"{size.found.spent('day', CORE, groups):>11.2f}" for size in sizes))
    print(f"  {'rest':<26}" + "".join(f"{size.found.rest('day', CORE):>11.2f}" for size in sizes))
