"""Answers of probes kept for some seconds, so that a monitor that asks often does not make us ask a vendor often.

Not here: answers of tools (cache.py), what is probed (health/).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from matokit_pipelines.clock import Clock

T = TypeVar("T")
MOST = 500


class Remembered:
    """What was found lately, by a key. Whoever asks while somebody is finding out waits for that."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._found: dict[Hashable, tuple[datetime, datetime, Any]] = {}
        self._finding: dict[Hashable, threading.Lock] = {}

    def found(self, key: Hashable, find: Callable[[], T], seconds: Callable[[T], float]) -> T:
        """What `find` gives, or gave less than `seconds` of it ago. What it raises is raised and not kept."""
        with self._lock:
            finding = self._finding.setdefault(key, threading.Lock())
        with finding:
            known = self._found.get(key)
            if known and known[0] <= self._clock.now() < known[1]:  # not of a time to come: the clock was put back
                value: T = known[2]
                return value
            value = find()
            with self._lock:
                self._found.pop(key, None)
                now = self._clock.now()
                self._found[key] = (now, now + timedelta(seconds=seconds(value)), value)
                while len(self._found) > MOST:
                    oldest = next(iter(self._found))
                    self._found.pop(oldest)
                    self._finding.pop(oldest, None)
            return value
