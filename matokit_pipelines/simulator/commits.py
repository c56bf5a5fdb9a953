"""The commits that machines run over time: a new one about every three days, one bad one, one rollback.

Belongs here: which commit leads when and whether its scripts log with the basic or the enhanced function.
Does not belong here: what a bad commit does to success (incidents).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY = 86_400.0
EVERY_DAYS = 3.0
QUIET = 1.5 * DAY


@dataclass(frozen=True)
class Timeline:
    """Who leads from when: since (epoch seconds, ascending) and the commit's number; a commit may lead twice.

    sha: 7 hex digits by number. enhanced: by number, whether its scripts send durations and error suffixes.
    A whole commit uses one function: the rule for value 0 looks for evidence within a commit, so mixing both
    there would leave zeros nobody can read.
    """

    since: NDArray[np.float64]
    commit: NDArray[np.int64]
    sha: tuple[str, ...]
    enhanced: NDArray[np.bool_]

    def at(self, when: NDArray[np.float64]) -> NDArray[np.int64]:
        """Numbers of the commits leading at these epoch seconds."""
        return self.commit[np.maximum(np.searchsorted(self.since, when, side="right") - 1, 0)]


@dataclass(frozen=True)
class BadCommit:
    """When a bad commit is published and when the commit before it leads again (epoch seconds)."""

    published: float
    rolled_back: float


def timeline(start: float, end: float, bad: BadCommit | None, rng: np.random.Generator) -> tuple[Timeline, int | None]:
    """A timeline over [start, end) epoch seconds, and the number of the bad commit if there is one."""
    gaps = rng.exponential(EVERY_DAYS * DAY, size=int((end - start) / DAY) + 20)
    since = [start - DAY, *(t for t in start + np.cumsum(gaps) if t < end)]
    if bad is not None:
        # Around the bad commit nothing else changes, so that its predecessor and the rollback are plain to see.
        since = [t for t in since if t <= start or not bad.published - QUIET < t < bad.rolled_back + QUIET]
    number = list(range(len(since)))
    wrong = None
    if bad is not None:
        wrong = len(since)
        before = int(np.searchsorted(since, bad.published)) - 1
        since[before + 1 : before + 1] = [bad.published, bad.rolled_back]
        number[before + 1 : before + 1] = [wrong, before]
    enhanced = rng.random(max(number) + 1) < 0.6
    # Both functions are in use however few commits there are.
    enhanced[:2] = [True, False][: len(enhanced)]
    if wrong is not None:
        enhanced[wrong] = enhanced[before]
    return Timeline(np.array(since), np.array(number, dtype=np.int64), shas(len(enhanced), rng), enhanced), wrong


def shas(count: int, rng: np.random.Generator) -> tuple[str, ...]:
    """`count` different texts of seven hexadecimal digits."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[f"{int(rng.integers(1, 16**7)):07x}"] = None
    return tuple(found)
