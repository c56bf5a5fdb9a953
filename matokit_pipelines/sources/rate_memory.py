"""What a service says of its limit in the headers of its answers, remembered so that nobody asks in vain.

Understands `x-matomo-rate-limit-*`, `x-ratelimit-*`, `ratelimit-*` (limit, remaining, reset) and `retry-after`. Not
here: sending (http.py), the pace a vendor documents (pacing.py).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import SourceBusy
from matokit_pipelines.sources.http import Answer
from matokit_pipelines.sources.pacing import told_wait

_FAMILIES = ("x-matomo-rate-limit-", "x-ratelimit-", "ratelimit-")
SHORTEST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(hours=1)
_SECONDS, _MILLISECONDS = 10**8, 10**11  # a number below the first is seconds from now, from the second on epoch ms
_LATEST = 4_102_444_800  # 2100: no reset lies behind it


@dataclass(frozen=True)
class RateState:
    """What was last said. None: not said. `resets_at`: when the count begins anew, UTC."""

    limit: int | None = None
    remaining: int | None = None
    resets_at: datetime | None = None

    @property
    def is_told(self) -> bool:
        return self.remaining is not None


class RateMemory:
    """What one service said of its limit. Threads may share it."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._state = RateState()
        self._paused_until: datetime | None = None
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    @property
    def state(self) -> RateState:
        """What is known now: after a reset nothing is known of what remains."""
        with self._lock:
            state, now = self._state, self._clock.now()
            return replace(state, remaining=None) if state.resets_at and state.resets_at <= now else state

    @property
    def paused_seconds(self) -> float:
        """Seconds in which the service wants no request; 0 when it takes them."""
        with self._lock:
            left = (self._paused_until - self._clock.now()).total_seconds() if self._paused_until else 0.0
        return max(0.0, left)

    def hear(self, answer: Answer) -> None:
        """Remember what an answer says of the limit."""
        now = self._clock.now()
        told = state_in(answer.headers, now)
        with self._lock:
            if told.is_told:
                self._state = told
            if told.remaining == 0:
                self._pause(now, told.resets_at)
        if answer.status == 429:
            self.pause(told_wait(answer.headers.get("Retry-After"), now))

    def pause(self, seconds: float) -> None:
        """Want no request for so long."""
        now = self._clock.now()
        with self._lock:
            self._pause(now, now + timedelta(seconds=seconds))

    def wait(self, seconds: float) -> None:
        """Come back when requests are taken again; SourceBusy at once when that is later than in `seconds`."""
        began = self._clock.now()
        if not self._turn.acquire(timeout=seconds):  # whoever waits longer goes first
            raise self._busy()
        try:
            while (left := self.paused_seconds) > 0:
                if left > seconds - (self._clock.now() - began).total_seconds():
                    raise self._busy()
                self._clock.sleep(left)
        finally:
            self._turn.release()

    def _busy(self) -> SourceBusy:
        left = max(1.0, self.paused_seconds)
        return SourceBusy(f"{self._name} wants no request for {left:.0f} s; ask again then.", left)

    def _pause(self, now: datetime, until: datetime | None) -> None:
        least = now + SHORTEST_PAUSE
        self._paused_until = min(max(until or least, least), now + LONGEST_PAUSE)


def state_in(headers: Mapping[str, str], now: datetime) -> RateState:
    """What headers say; the first family of names that tells what remains counts."""
    for family in _FAMILIES:
        remaining = _count(headers.get(f"{family}remaining"))
        if remaining is not None:
            return RateState(
                _count(headers.get(f"{family}limit")), remaining, _moment(headers.get(f"{family}reset"), now)
            )
    return RateState()


def _count(said: str | None) -> int | None:
    found = re.match(r"\s*(\d{1,12})(?:\.\d+)?\s*(?:[,;]|$)", said or "", re.ASCII)
    return int(found[1]) if found else None


def _moment(said: str | None, now: datetime) -> datetime | None:
    """Seconds from now, epoch seconds, epoch milliseconds, or a date."""
    text = (said or "").strip()
    if re.fullmatch(r"\d{1,15}(\.\d{1,9})?", text, re.ASCII):
        number = float(text)
        if number < _SECONDS:
            return now + timedelta(seconds=number)
        seconds = number / 1000 if number >= _MILLISECONDS else number
        return datetime.fromtimestamp(seconds, UTC) if seconds < _LATEST else None
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = parse(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None
