"""Faults of the simulated Slack, switchable and reproducible. Not here: how they look on the wire (slack.py)."""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass
from typing import Literal

Fault = Literal["dropped_before", "dropped_after", "limited", "error", "error_after", "slow", "html"]
FAULTS: tuple[Fault, ...] = ("dropped_before", "dropped_after", "limited", "error", "error_after", "slow", "html")


@dataclass(frozen=True)
class SlackFaults:
    """All off by default. Probabilities a call:

    dropped_before, dropped_after: the connection ends without an answer, before or after the call was carried out;
    limited: 429 with Retry-After of retry_after seconds, for that method until then; error, error_after: 500, before
    or after it was carried out; slow: answered slow_seconds after it was carried out; html: a page with status 200.
    most_in_a_row: so many faults follow one another at most, so that retries can win.
    """

    seed: int = 0
    dropped_before: float = 0.0
    dropped_after: float = 0.0
    limited: float = 0.0
    error: float = 0.0
    error_after: float = 0.0
    slow: float = 0.0
    html: float = 0.0
    retry_after: int = 30
    slow_seconds: float = 1.0
    most_in_a_row: int = 3


class SlackDice:
    """Decides which call meets which fault: first those put up by hand, then by chance from the seed.

    Not safe for threads: the server takes turns.
    """

    def __init__(self, faults: SlackFaults) -> None:
        self.faults = faults
        self.struck: Counter[str] = Counter()
        self._rng = random.Random(faults.seed)
        self._in_a_row = 0
        self._next: deque[tuple[str | None, Fault]] = deque()

    def put_up(self, fault: Fault, method: str | None = None) -> None:
        """The next call (of a method) meets this fault."""
        self._next.append((method, fault))

    def fault(self, method: str) -> Fault | None:
        """The fault this call meets, if any; draws as often whatever strikes."""
        drawn = [self._rng.random() for _ in FAULTS]
        for entry in self._next:
            if entry[0] in (None, method):
                self._next.remove(entry)
                self.struck[entry[1]] += 1
                return entry[1]
        hits = [name for name, luck in zip(FAULTS, drawn, strict=True) if luck < getattr(self.faults, name)]
        if not hits or self._in_a_row >= self.faults.most_in_a_row:
            self._in_a_row = 0
            return None
        self._in_a_row += 1
        self.struck[hits[0]] += 1
        return hits[0]
