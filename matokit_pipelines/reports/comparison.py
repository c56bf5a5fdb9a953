"""Whether a difference is more than chance: the guard of the alert rules, put to the use of reports.

Counts in, verdicts out. Not here: the formulas (statistics.py) and the words around a verdict (weekly/words.py).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from matokit_pipelines.statistics import (
    ENOUGH_UNITS,
    Z_95_ONE_SIDED,
    Counted,
    chance,
    chances,
    mix_adjusted_chance,
    wilson,
)

ALPHA = 0.01
FALSE_MARKS = 0.05  # share of the marked rows of a table that may be marked by chance
SMALL_NUMBER = 10  # events below which a rate is grey, never first and never a headline
LOW_RATE = 0.75  # the line drawn in charts and named in sentences
LARGEST_MACHINE_SHARE = 0.3
MIN_FAILING_MACHINES = 2
NEW_COMPONENT_SHARE = 0.10

Verdict = Literal["worse", "better", "could be chance", "too few"]
Row = TypeVar("Row", bound=Hashable)


@dataclass(frozen=True)
class Tally:
    """What was counted of one part (a component) in one window."""

    events: int = 0
    failures: int = 0
    units: int = 0
    unit_failures: int = 0
    machines_failing: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.events + other.events,
            self.failures + other.failures,
            self.units + other.units,
            self.unit_failures + other.unit_failures,
            max(self.machines_failing, other.machines_failing),  # distinct machines do not add up
        )


def keys_are_shared(largest_machine_events: int, events: int) -> bool:
    """Whether one machine key holds so much of a week that keys cannot be machines (alert-rules, section 2)."""
    return largest_machine_events > LARGEST_MACHINE_SHARE * events


def counted(tally: Tally, *, shared_keys: bool) -> Counted:
    """Units of a tally; with shared keys half its events, failures rounded down and events up."""
    if shared_keys:
        return Counted(tally.failures // 2, -(-tally.events // 2))
    return Counted(tally.unit_failures, tally.units)


def verdict(
    now: Mapping[str, Tally], before: Mapping[str, Tally], *, shared_keys: bool
) -> tuple[Verdict, float | None]:
    """`(verdict, chance)` of the parts seen now against the baseline, allowing for another mix of parts.

    The chance is the smaller of the two sides; None with fewer than ten units on a side ("too few").
    """
    seen = {name: counted(tally, shared_keys=shared_keys) for name, tally in now.items()}
    base = {name: counted(tally, shared_keys=shared_keys) for name, tally in before.items()}
    both = (sum(part.units for part in seen.values()), sum(part.units for part in base.values()))
    found = mix_adjusted_chance(seen, base)
    if min(both) < ENOUGH_UNITS or found is None:
        return "too few", None
    more, fewer = found
    if more < ALPHA:
        return "worse", more
    if fewer < ALPHA:
        return "better", fewer
    return "could be chance", min(more, fewer)


def verdicts_of_rows(
    now: Mapping[str, Tally], before: Mapping[str, Tally], *, shared_keys: bool
) -> dict[str, tuple[Verdict, float | None]]:
    """A verdict for each part against the same part before.

    Many rows are judged at once, so a row is marked only if its chance is below ALPHA and it also stands after
    Benjamini and Hochberg (1995), which holds the share of marks that are chance at one in twenty.
    """
    found: dict[str, tuple[Verdict, float | None]] = {}
    for name, tally in now.items():
        seen = counted(tally, shared_keys=shared_keys)
        base = counted(before.get(name, Tally()), shared_keys=shared_keys)
        if min(seen.units, base.units) < ENOUGH_UNITS:
            found[name] = ("too few", None)
            continue
        more, fewer = chances(seen, base)
        found[name] = ("worse", more) if more <= fewer else ("better", fewer)
    return _marked(found)


def verdicts_of_mixed_rows(
    rows: Mapping[Row, tuple[Mapping[str, Tally], Mapping[str, Tally]]], *, shared_keys: bool
) -> dict[Row, tuple[Verdict, float | None]]:
    """A verdict for each row, `(parts seen, parts of its baseline)`, allowing for another mix of parts in the baseline.

    Marked as in `verdicts_of_rows`, since many rows are judged at once.
    """
    found: dict[Row, tuple[Verdict, float | None]] = {}
    for name, (now, before) in rows.items():
        seen = {part: counted(tally, shared_keys=shared_keys) for part, tally in now.items()}
        base = {part: counted(tally, shared_keys=shared_keys) for part, tally in before.items()}
        units = min(sum(one.units for one in side.values()) for side in (seen, base))
        both = mix_adjusted_chance(seen, base)
        if units < ENOUGH_UNITS or both is None:
            found[name] = ("too few", None)
            continue
        more, fewer = both
        found[name] = ("worse", more) if more <= fewer else ("better", fewer)
    return _marked(found)


def is_new_failing(now: Tally, week_before: Tally, four_weeks_before: Tally, *, shared_keys: bool) -> bool:
    """Whether a component began to fail this week: the guard of rule `new_component_failure`, for a week.

    No failure in the week before; failures on two machines; and either more than chance against the four weeks
    before, or hardly seen in them and surely above 10 % failures.
    """
    if not now.failures or week_before.failures or now.events < SMALL_NUMBER:
        return False
    if not shared_keys and now.machines_failing < MIN_FAILING_MACHINES:
        return False
    seen = counted(now, shared_keys=shared_keys)
    base = counted(four_weeks_before, shared_keys=shared_keys)
    if base.units >= ENOUGH_UNITS:
        return chance(seen, base) < ALPHA
    bounds = wilson(seen.failures, seen.units, Z_95_ONE_SIDED)
    return bounds is not None and bounds[0] > NEW_COMPONENT_SHARE


def _marked(found: Mapping[Row, tuple[Verdict, float | None]]) -> dict[Row, tuple[Verdict, float | None]]:
    limit = _limit([value for _, value in found.values() if value is not None])
    return {
        name: (word, value) if value is None or value <= limit else ("could be chance", value)
        for name, (word, value) in found.items()
    }


def _limit(chances: Sequence[float]) -> float:
    """The largest chance that is marked; -1 when none is."""
    ranked = enumerate(sorted(chances), 1)
    stands = (value for rank, value in ranked if value <= FALSE_MARKS * rank / len(chances) and value < ALPHA)
    return max(stands, default=-1.0)
