"""What the three daily rules look at: the events of the last 24 hours by component, and those before. Not here: any
rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matokit_pipelines.alerts.findings import NO_DATA, OK, Rows
from matokit_pipelines.alerts.guard import Context
from matokit_pipelines.alerts.rules.watching import subjects_of
from matokit_pipelines.alerts.verdicts import ALL
from matokit_pipelines.statistics import Counted
from matokit_pipelines.warehouse.event_columns import DAY, Ints

WEEK = 7 * DAY  # the rules speak of what was seen within it and the last day, be it to say that nothing comes any more
_NONE = Counted(0, 0)


@dataclass(frozen=True)
class Daily:
    """Rows by component and tick, of everything first where it is wanted; `components`: of each row, None for
    everything. Counts of the last 24 hours, and of the time before."""

    rows: Rows
    components: tuple[str | None, ...]
    at: Ints
    n: Ints
    failures: Ints
    before_n: Ints
    before_failures: Ints

    @property
    def state(self) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
        return np.where(self.n > 0, OK, NO_DATA).astype(np.int8)


def daily(context: Context, before: int, *, with_all: bool = False) -> Daily:
    """Rows of every component seen within eight days; `before`: microseconds before the last 24 hours."""
    found: dict[str | None, list[tuple[int, Counted, Counted]]] = {None: []} if with_all else {}
    for place, tick in enumerate(context.ticks.tolist()):
        now, week = context.history.counts(tick - DAY, tick), context.history.counts(tick - DAY - WEEK, tick - DAY)
        earlier = week if before == WEEK else context.history.counts(tick - DAY - before, tick - DAY)
        for name in now.keys() | week.keys():
            found.setdefault(name, []).append((place, now.get(name, _NONE), earlier.get(name, _NONE)))
        if with_all:
            found[None].append((place, _total(now), _total(earlier)))
    names = sorted(found, key=lambda name: (name is not None, name or ""))
    rows = [(subject, *row) for subject, name in enumerate(names) for row in found[name]]
    columns = np.array(
        [(subject, place, now.units, now.failures, old.units, old.failures) for subject, place, now, old in rows],
        dtype=np.int64,
    ).reshape(-1, 6)
    subject, tick, n, failures, before_n, before_failures = columns.T
    subjects = tuple(ALL if name is None else subjects_of([name])[0] for name in names)
    return Daily(
        Rows(subjects, subject, tick, tick), tuple(names[place] for place in subject.tolist()), context.ticks[tick], n,
        failures, before_n, before_failures,
    )  # fmt: skip


def _total(parts: dict[str, Counted]) -> Counted:
    return Counted(sum(part.failures for part in parts.values()), sum(part.units for part in parts.values()))
