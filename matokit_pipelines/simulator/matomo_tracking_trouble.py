"""Trouble that a test or a demo orders for the next tracking requests: refusals, and connections that break.

Belongs here: what is ordered and what is due next. Does not belong here: storing hits (matomo_tracking).
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Literal

from matokit_pipelines.simulator.wire import Answer

_TEXT = "text/html; charset=UTF-8"


@dataclass(frozen=True)
class Trouble:
    """What happens to one request: an answer in place of storing it, or a connection that breaks before or after."""

    answer: Answer | None = None
    dropped: Literal["before", "after"] | None = None


class TrackingTrouble:
    """The trouble ordered, in order; safe for threads."""

    def __init__(self) -> None:
        self._due: deque[Trouble] = deque()
        self._lock = threading.Lock()

    def refuse(self, times: int, status: int, retry_after: int | str | None = None) -> None:
        """Answer the next `times` requests with a status and nothing stored; retry_after: seconds or an HTTP date."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._order(times, Trouble(Answer(status, _TEXT, b"This is a simulated refusal.", headers)))

    def drop(self, times: int, when: Literal["before", "after"]) -> None:
        """Close the connection of the next `times` requests without an answer, before or after storing the hit."""
        self._order(times, Trouble(dropped=when))

    def clear(self) -> None:
        """Forget what is still due."""
        with self._lock:
            self._due.clear()

    @property
    def left(self) -> int:
        """How many requests are still to meet trouble."""
        with self._lock:
            return len(self._due)

    def next(self) -> Trouble:
        """What the request now arriving meets."""
        with self._lock:
            return self._due.popleft() if self._due else Trouble()

    def _order(self, times: int, trouble: Trouble) -> None:
        with self._lock:
            self._due.extend([trouble] * times)
