"""What a rule found at many ticks, as columns: one row a subject and stretch of ticks over which nothing changed.

Rules fill them in, the evaluation unfolds them into verdicts. Not here: how a rule comes to its figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matokit_pipelines.alert_settings import GuardSettings
from matokit_pipelines.alerts.verdicts import Input, State, Verdict
from matokit_pipelines.warehouse.event_columns import Bools, Ints, instant_of

OK, NO_DATA, NOT_EVALUABLE = 0, 1, 2
STATES: tuple[State, ...] = ("ok", "no_data", "not_evaluable")


@dataclass
class Asked:
    """The guard at one row: the numbers it rests on, and the first part of it that is not met (None: it is met).

    is_thorough: go on after a part that is not met, so that all numbers are told.
    """

    is_thorough: bool = False
    why_not: str | None = None
    inputs: dict[str, Input] = field(default_factory=dict)

    def need(self, is_met: bool, part: str) -> bool:
        """Note a part of the guard; whether there is reason to look at further parts."""
        if not is_met and self.why_not is None:
            self.why_not = part
        return is_met or self.is_thorough


@dataclass(frozen=True)
class Rows:
    """Which subject (place in `subjects`) each row is about, and its first and last tick (places in the ticks), both
    included; by subject, then by tick."""

    subjects: tuple[str, ...]
    subject: Ints
    first: Ints
    last: Ints

    @classmethod
    def one(cls, subject: str, ticks: int) -> Rows:
        """A row a tick, of a single subject."""
        places = np.arange(ticks, dtype=np.int64)
        return cls((subject,), np.zeros(ticks, dtype=np.int64), places, places)


@dataclass(frozen=True)
class Findings:
    """Rows with what was found: state (OK, NO_DATA, NOT_EVALUABLE), raw, guarded, counts that every row has, and
    further inputs of single rows."""

    rule: str
    environment: str
    ticks: Ints
    rows: Rows
    state: NDArray[np.int8]
    raw: Bools
    guarded: Bools
    counts: Mapping[str, list[Any]]
    inputs: Mapping[int, Mapping[str, Input]]

    def verdict(self, row: int, tick: int) -> Verdict:
        """The verdict of a row at one of its ticks."""
        found: dict[str, Input] = {name: column[row] for name, column in self.counts.items()}
        found.update(self.inputs.get(row, {"guard": "not_asked"}))
        return Verdict(
            self.rule,
            self.rows.subjects[self.rows.subject[row]],
            self.environment,
            instant_of(self.ticks[tick]),
            STATES[self.state[row]],
            bool(self.raw[row]),
            bool(self.guarded[row]),
            found,
        )

    def verdicts(self) -> Iterator[Verdict]:
        """A verdict for every row and tick."""
        for row, (first, last) in enumerate(zip(self.rows.first.tolist(), self.rows.last.tolist(), strict=True)):
            for tick in range(first, last + 1):
                yield self.verdict(row, tick)

    def runs(self) -> Iterator[Run]:
        """Neighbouring rows of a subject with equal state, raw and guarded as one."""
        if not len(self.state):
            return
        rows, code = self.rows, self.state * 4 + self.raw * 2 + self.guarded
        is_next = (rows.subject[1:] == rows.subject[:-1]) & (rows.first[1:] == rows.last[:-1] + 1)
        edges = np.flatnonzero(np.concatenate([[True], ~is_next | (code[1:] != code[:-1]), [True]])).tolist()
        for begin, end in pairwise(edges):
            yield self._run(begin, end - 1)

    def _run(self, begin: int, end: int) -> Run:
        worst = max(range(begin, end + 1), key=self._share) if self.raw[begin] and end > begin else begin
        first, last = int(self.rows.first[begin]), int(self.rows.last[end])
        return Run(
            self.verdict(begin, first),
            self.verdict(end, last),
            self.verdict(worst, int(self.rows.first[worst])),
            last - first + 1,
        )

    def _share(self, row: int) -> float:
        n, failures = self.counts["n"][row], self.counts["failures"][row]
        return failures / n if n else 0.0


@dataclass(frozen=True)
class Run:
    """The verdicts of one rule and subject over `ticks` neighbouring evaluations with equal state, raw and guarded.

    first, last: at the first and the last of them; worst: where the largest share failed.
    """

    first: Verdict
    last: Verdict
    worst: Verdict
    ticks: int

    @property
    def verdict(self) -> Verdict:
        """What all of them say."""
        return self.first

    @property
    def first_tick(self) -> datetime:
        return self.first.at

    @property
    def last_tick(self) -> datetime:
        return self.last.at


@dataclass(frozen=True)
class Raw:
    """What a rule says without its guard: state and raw of each row, and its counts."""

    rows: Rows
    state: NDArray[np.int8]
    raw: Bools
    counts: Mapping[str, NDArray[Any] | list[Any]]
    inputs: Mapping[int, Mapping[str, Input]] = field(default_factory=dict)


def guarded(
    rule: str,
    environment: str,
    ticks: Ints,
    found: Raw,
    settings: GuardSettings,
    guard: Callable[[int, Asked], None],
    *,
    is_thorough: bool,
) -> Findings:
    """The findings of a rule. The guard is asked where raw holds, and everywhere where `is_thorough`."""
    is_met = found.raw.copy()
    inputs: dict[int, Mapping[str, Input]] = {row: {**more, "guard": "not_asked"} for row, more in found.inputs.items()}
    asked_at = np.flatnonzero((found.state == OK) & (found.raw | is_thorough))
    for row in asked_at.tolist():
        asked = Asked(is_thorough)
        guard(row, asked)
        answer: dict[str, Input] = {**found.inputs.get(row, {}), **asked.inputs}
        if not settings.enabled:
            answer["guard"] = "off"
        else:
            answer["guard"] = "not_met" if asked.why_not else "met"
            if asked.why_not:
                answer["why_not"] = asked.why_not
                is_met[row] = False
        inputs[row] = answer
    counts = {
        name: column.tolist() if isinstance(column, np.ndarray) else column for name, column in found.counts.items()
    }
    return Findings(rule, environment, ticks, found.rows, found.state, found.raw, is_met, counts, inputs)
