"""The first tries of each component that slow_regression walks over, and what is usual on each local day.

Only as far back as it matters: a walk that starts at the most evidence there can be and reaches 0 has forgotten all
that was before. Where keys are not machines, each event is a try that counts half. Not here: the verdict
(slow_regression.py). Days are counted from 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf

import numpy as np
from numpy.typing import NDArray

from matokit_pipelines.alert_settings import SlowRegression
from matokit_pipelines.alerts.guard import Context
from matokit_pipelines.statistics import cusum_steps
from matokit_pipelines.warehouse.event_columns import Bools, Ints, Keys, Tries, day_number, day_of, instant_of
from matokit_pipelines.windows import local_date

Floats = NDArray[np.float64]
ABOVE = 3.0  # evidence counts up to so much beyond the threshold, so that its end is not put off
ENDS_DAYS_AGO = 2  # a change of yesterday is not usual yet
LEAST_SHARE, MOST_SHARE, MOST_WORSE = 0.01, 0.60, 0.95
FIRST_SEEN = (
    8  # days before the first one; a component not seen for a week is not measured any more (7 x 24 h may touch 8)
)
LOOKS = (1, FIRST_SEEN, 28, 112, 448, 1_000_000)  # days before the first one that are read, the next where one is short
TAIL, FURTHER = 500, 8  # tries that are walked over at first, and how many times as many where those do not do


@dataclass(frozen=True)
class Usual:
    """By day (rows, from `first_day` on) and component: first tries and failures of the weeks before, the usual share
    of failures (NaN without enough tries); by day: the threshold of the evidence; by component: whether it was seen
    from a week before the first day on."""

    first_day: int
    components: tuple[str, ...]
    units: Ints
    failures: Ints
    share: Floats
    threshold: Floats
    is_seen: Bools

    @cached_property
    def places(self) -> dict[str, int]:
        """The column of each component."""
        return {name: place for place, name in enumerate(self.components)}


@dataclass(frozen=True)
class Walk:
    """The tries of one component in time order, and what each adds to the evidence; before them it is 0."""

    component: str
    ts: Ints
    failed: Bools
    machine: Keys
    steps: Floats
    thresholds: Floats

    def since(self, place: int) -> Walk:
        """The walk from one of its tries on."""
        rest = slice(place, None)
        return Walk(
            self.component, self.ts[rest], self.failed[rest], self.machine[rest], self.steps[rest],
            self.thresholds[rest],
        )  # fmt: skip


def usual_of(context: Context, rule: SlowRegression, days: tuple[int, int], *, is_shared: bool) -> Usual:
    """What is usual from the first to the last of the days."""
    first, last = days
    length = rule.baseline_days
    counts = context.history.day_counts(
        day_of(first - length - ENDS_DAYS_AGO + 1), day_of(last), context.zone, is_shared=is_shared
    )
    units, failures = (_over_days(values[:-ENDS_DAYS_AGO], length) for values in (counts.units, counts.failures))
    share = np.where(
        units >= rule.guard.min_units, np.clip((failures + 0.5) / (units + 5), LEAST_SHARE, MOST_SHARE), np.nan
    )
    lengths = np.clip(np.arange(first, last + 1) - ENDS_DAYS_AGO - _beginning(context) + 1, 1, length)
    a_week = units.sum(axis=1) * 7 / lengths / (2 if is_shared else 1)
    threshold = np.maximum(rule.least_threshold, np.log(np.maximum(a_week, 1.0)))
    is_seen = counts.units[first - FIRST_SEEN - counts.first_day :].sum(axis=0) > 0
    return Usual(first, counts.components, units, failures, share, threshold, is_seen)


def _over_days(values: Ints, length: int) -> Ints:
    """Sums over each `length` neighbouring rows."""
    sums = np.concatenate([np.zeros((1, values.shape[1]), dtype=np.int64), np.cumsum(values, axis=0)])
    return np.asarray(sums[length:] - sums[:-length], dtype=np.int64)


def _beginning(context: Context) -> int:
    """The local day of the first event ever."""
    first = context.history.first()
    return day_number(local_date(instant_of(first if first is not None else context.span[0]), context.zone))


def walks(
    context: Context, rule: SlowRegression, days: tuple[int, int], usual: Usual, *, is_shared: bool
) -> list[Walk]:
    """The walks of the components that are usual on some of the days, or seen from a week before them on.

    Those of usual components with tries are exact from the first tick on. The others, of which too little is known,
    hold tries of the last days only, and none where there is none within a week.
    """
    beginning, names = _beginning(context), np.array(usual.components, dtype=object)
    exact: set[str] = set(names[(~np.isnan(usual.share)).any(axis=0)])
    seen: list[str] = names[usual.is_seen].tolist()
    found = {name: _no_tries(name) for name in exact}
    pending = sorted(seen)
    for length in LOOKS:
        start = max(beginning, days[0] - length)
        tries = context.history.first_tries(day_of(start), day_of(days[1]), context.zone, pending, is_shared=is_shared)
        steps_of = usual_of(context, rule, (start, days[1]), is_shared=is_shared)
        for walk in _by_component(tries, steps_of, rule, is_shared=is_shared):
            known = walk if start <= beginning else _known(walk, context.span[0], is_exact=walk.component in exact)
            if known is None and length >= FIRST_SEEN and walk.component not in exact:
                known = walk
            if known is not None:
                found[walk.component] = known
        pending = [name for name in pending if name not in found or (name in exact and not len(found[name].ts))]
        if start <= beginning or not pending:
            break
    return list(found.values())


def _no_tries(component: str) -> Walk:
    none = np.zeros(0)
    return Walk(component, none.astype(np.int64), none.astype(np.bool_), none.astype(np.uint64), none, none)


def _by_component(tries: Tries, usual: Usual, rule: SlowRegression, *, is_shared: bool) -> list[Walk]:
    worse = np.minimum(usual.share + rule.worse_by_points / 100, MOST_WORSE)
    failure, success = cusum_steps(usual.share, worse)
    order = np.argsort(tries.component, kind="stable")
    edges = np.searchsorted(tries.component[order], np.arange(len(tries.components) + 1))
    found = []
    for code in np.flatnonzero(np.diff(edges)).tolist():
        which, name = order[edges[code] : edges[code + 1]], tries.components[code]
        day, failed = tries.day[which] - usual.first_day, tries.failed[which]
        steps = np.zeros(len(which))
        if (place := usual.places.get(name)) is not None:
            steps = np.nan_to_num(np.where(failed, failure[day, place], success[day, place]))
        found.append(
            Walk(
                name, tries.ts[which], failed, tries.machine[which], steps / 2 if is_shared else steps,
                usual.threshold[day],
            )
        )  # fmt: skip
    return found


def _known(walk: Walk, before: int, *, is_exact: bool) -> Walk | None:
    """The walk from where it is 0 for sure, whatever was before it; None when that is not so before that instant.

    Where it need not be exact, a single try before that instant will do.
    """
    known = int(np.searchsorted(walk.ts, before))
    if not is_exact:
        return walk if known else None
    back = TAIL
    while True:  # the newest tries tell it most often
        start = max(0, known - back)
        zero = _zero(walk.steps[start:known].tolist(), walk.thresholds[start:known].tolist())
        if zero is not None:
            return walk.since(start + zero)  # the try that brought it to 0 keeps the walk there
        if not start:
            return None
        back *= FURTHER


def _zero(steps: list[float], thresholds: list[float]) -> int | None:
    """The first place at which evidence is 0, although it was as great as can be before."""
    evidence = inf
    for place, (step, threshold) in enumerate(zip(steps, thresholds, strict=True)):
        evidence = min(evidence + step, threshold + ABOVE)
        if evidence <= 0:
            return place
    return None
