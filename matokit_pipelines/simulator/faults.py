"""Faults of a service, switchable and reproducible, each counted when it strikes.

Belongs here: the switches and the dice. Does not belong here: how a fault looks on the wire (the servers).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np

TRANSIENT = ("dropped", "half", "slow", "html", "sqlstate", "maintenance")


@dataclass(frozen=True)
class Faults:
    """All off by default.

    Probabilities an API request: dropped (closed before an answer), half (closed in the middle of one), slow
    (answered after slow_seconds), html (an HTML page with status 200), sqlstate (500), maintenance (503); together
    at most most_in_a_row times one after the other, so that retries can win. page_repeats: probability that a full
    page of visits is answered once more in place of the next one.

    memory_visits: more visits a page use up the memory (500). not_archived: so many first requests of a report and
    day are answered as if there were nothing. lies: day -> what its event count is off by, always or (lies_once)
    only the first time a report is asked for it; the web site's reports do not lie. late_share of the events arrives
    late_seconds after event_ts.
    locked, visits_log_disabled, recording_off: as an administrator or too many failed log-ins leave a server.

    archived_after_seconds: reports know a day only so long after its end; 0: everything at once. first_seconds: by
    period (day, week, month, year, range), how much longer the first request of a report and period takes.
    """

    seed: int = 0
    dropped: float = 0.0
    half: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 1.0
    html: float = 0.0
    sqlstate: float = 0.0
    maintenance: float = 0.0
    most_in_a_row: int = 2
    page_repeats: float = 0.0
    memory_visits: int | None = None
    not_archived: int = 0
    lies: Mapping[date, int] = field(default_factory=dict)
    lies_once: bool = False
    late_share: float = 0.0
    late_seconds: int = 6 * 3_600
    locked: bool = False
    visits_log_disabled: bool = False
    recording_off: bool = False
    archived_after_seconds: int = 0
    first_seconds: Mapping[str, float] = field(default_factory=dict)


class Dice:
    """Decides when the faults strike; the same requests in the same order meet the same faults."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.struck: Counter[str] = Counter()
        self._rng = np.random.default_rng([faults.seed, 104_729])
        self._in_a_row = 0
        self._asked: Counter[tuple[str, date]] = Counter()
        self._lied: set[tuple[str, date]] = set()
        self._computed: set[Hashable] = set()
        self._owed = 0.0

    def transient(self) -> str | None:
        """The passing fault this request meets, if any; draws as often whatever strikes."""
        drawn = self._rng.random(len(TRANSIENT))
        hit = next(
            (name for name, luck in zip(TRANSIENT, drawn, strict=True) if luck < getattr(self.faults, name)), None
        )
        if hit is None or self._in_a_row >= self.faults.most_in_a_row:
            self._in_a_row = 0
            return None
        self._in_a_row += 1
        self.struck[hit] += 1
        return hit

    def repeats(self) -> bool:
        """Whether a full page of visits is answered once more."""
        hit = bool(self._rng.random() < self.faults.page_repeats)
        if hit:
            self.struck["page_repeats"] += 1
        return hit

    def unarchived(self, report: str, day: date) -> bool:
        """Whether this report of a day is not archived yet; counts the request."""
        self._asked[report, day] += 1
        hit = self._asked[report, day] <= self.faults.not_archived
        if hit:
            self.struck["not_archived"] += 1
        return hit

    def first_time(self, what: Hashable, period: str) -> None:
        """Note that a report of a period is asked for; the first time costs seconds that `owed` tells."""
        seconds = self.faults.first_seconds.get(period, 0.0)
        if seconds and what not in self._computed:
            self._computed.add(what)
            self._owed += seconds
            self.struck["first_time"] += 1

    def owed(self) -> float:
        """Seconds the answer just made has still to take; asked once an answer."""
        owed, self._owed = self._owed, 0.0
        return owed

    def lie(self, report: str, day: date) -> int:
        """What the event count of that day is off by."""
        off = self.faults.lies.get(day, 0)
        if off and self.faults.lies_once and (report, day) in self._lied:
            return 0
        if off:
            self._lied.add((report, day))
            self.struck["lies"] += 1
        return off
