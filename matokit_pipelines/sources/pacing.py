"""When the next request may begin: the pace a service allows, and the wait it asks for.

Waits go through the clock. Not here: sending (http.py), tries after failures.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from matokit_pipelines.clock import Clock

# A second more than a minute: a request arrives later than it begins, and not each as much later.
WINDOW = timedelta(seconds=61)
UNTOLD_WAIT = 60.0
LONGEST_WAIT = 15 * 60.0
SHORTEST_WAIT = 1.0


@dataclass(frozen=True)
class RateLimit:
    """How many requests may begin within any minute: GET and HEAD, and everything else."""

    reads_per_minute: int = 600
    others_per_minute: int = 60

    def __post_init__(self) -> None:
        if self.reads_per_minute < 1 or self.others_per_minute < 1:
            raise ValueError("a rate limit lets at least one request a minute begin")


class Pace:
    """Lets at most `most` callers go within any 60 s, whatever the number of threads."""

    def __init__(self, most: int, clock: Clock) -> None:
        self._clock = clock
        self._begun: deque[datetime] = deque(maxlen=most)
        self._most = most
        self._lock = threading.Lock()

    def wait_for_turn(self) -> None:
        """Come back when one more may begin, and count it as begun."""
        while (wait := self._seconds_to_wait()) > 0:
            self._clock.sleep(wait)

    def _seconds_to_wait(self) -> float:
        """0 when the caller may go, which is then counted. Others may be faster, so ask again after waiting."""
        with self._lock:
            now = self._clock.now()
            if self._begun and self._begun[-1] > now:  # the clock was put back: forget what lies in its future
                self._begun = deque((min(begun, now) for begun in self._begun), maxlen=self._most)
            if len(self._begun) == self._most and (left := self._begun[0] + WINDOW - now) > timedelta():
                return left.total_seconds()
            self._begun.append(now)
            return 0.0


class Pacing:
    """The two paces of a `RateLimit`."""

    def __init__(self, limit: RateLimit, clock: Clock) -> None:
        self._reads = Pace(limit.reads_per_minute, clock)
        self._others = Pace(limit.others_per_minute, clock)

    def wait_for_turn(self, method: str) -> None:
        """Come back when a request of this method may begin."""
        (self._reads if method in ("GET", "HEAD") else self._others).wait_for_turn()


def told_wait(retry_after: str | None, now: datetime) -> float:
    """Seconds to wait by a `Retry-After` header (RFC 9110, 10.2.3: seconds, or a date); 60 where it tells nothing.

    Never more than 15 minutes nor less than a second.
    """
    said = (retry_after or "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", said, re.ASCII):
        seconds = float(said)
    else:
        try:
            moment = parsedate_to_datetime(said)
            seconds = (moment - now).total_seconds()
        except (TypeError, ValueError, OverflowError):  # no date, or one without a zone
            seconds = UNTOLD_WAIT
    return min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT)
