"""Answers kept for a while: bounded, counted, made once for all who wait for the same one.

An answer ends when its time is over, when the tables it was made of are replaced (their generation is part of the
key), or when it is the one least recently asked for and room is needed. Used from one event loop only, so that no lock
is needed. Not here: what an answer is, how it is made (calling.py).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeVar

from matokit_pipelines.clock import Clock

T = TypeVar("T")
Kind = Literal["hit", "miss", "set", "stale-eviction"]


@dataclass(frozen=True)
class CacheEvent:
    """What happened, for the hook. ttl_ms: what is left of an answer's time (hit), or all of it (set)."""

    type: Kind
    feature: str
    key: str
    expires_at: datetime | None = None
    ttl_ms: float | None = None


@dataclass
class Counts:
    """Of one feature, or of all. `shared`: lookups that waited for an answer somebody else was making. `failed`: that
    found nothing, and no answer came about either."""

    hits: int = 0
    misses: int = 0
    sets: int = 0
    stale_evictions: int = 0
    shared: int = 0
    failed: int = 0
    entries: int = 0

    def as_json(self) -> dict[str, int]:
        """The keys of the predecessor's statistics."""
        return {
            "hits": self.hits, "misses": self.misses, "sets": self.sets, "staleEvictions": self.stale_evictions,
            "entries": self.entries,
        }  # fmt: skip


@dataclass(frozen=True)
class _Entry(Generic[T]):
    value: T
    feature: str
    generation: int
    expires_at: datetime


class ReportCache(Generic[T]):
    """A cache of answers by feature and arguments. `hook` hears of every event; what it raises is not caught."""

    def __init__(
        self, clock: Clock, *, seconds: float, entries: int, hook: Callable[[CacheEvent], None] | None = None
    ) -> None:
        self._clock = clock
        self._ttl = timedelta(seconds=seconds)
        self._most = entries
        self._hook = hook
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()
        self._making: dict[Hashable, asyncio.Future[T]] = {}
        self._counts: dict[str, Counts] = {}

    def lookup(self, feature: str, key: Hashable, generation: int) -> T | None:
        """The answer, when there is one that is still good. Counts a hit or a miss."""
        counts = self._counts_of(feature)
        entry = self._entries.get(key)
        if entry is not None:
            now = self._clock.now()
            # one that ends later than any made now was made before the clock was put back
            if now < entry.expires_at <= now + self._ttl and entry.generation == generation:
                counts.hits += 1
                self._entries.move_to_end(key)
                self._tell("hit", feature, key, entry.expires_at, entry.expires_at - now)
                return entry.value
            self._drop(key)
            counts.stale_evictions += 1
            self._tell("stale-eviction", feature, key)
        counts.misses += 1
        self._tell("miss", feature, key)
        return None

    async def made_once(self, feature: str, key: Hashable, generation: int, make: Callable[[], Awaitable[T]]) -> T:
        """The answer that `make` gives, made once for all who ask for it meanwhile; kept unless it raises.

        It is made to its end whoever goes away, also the one who asked first.
        """
        flight = (key, generation)
        making = self._making.get(flight)
        if making is None:
            making = asyncio.ensure_future(self._made(feature, key, generation, make))
            making.add_done_callback(_heard)
            self._making[flight] = making
        else:
            self._counts_of(feature).shared += 1
        try:
            return await asyncio.shield(making)
        except Exception:
            self._counts_of(feature).failed += 1
            raise

    async def _made(self, feature: str, key: Hashable, generation: int, make: Callable[[], Awaitable[T]]) -> T:
        try:
            value = await make()
            self._keep(feature, key, generation, value)
            return value
        finally:
            del self._making[key, generation]

    def statistics(self) -> dict[str, Any]:
        """The predecessor's shape: totals, and the same by feature."""
        total = Counts()
        features = []
        for feature in sorted(self._counts):
            counts = self._counts[feature]
            features.append({"feature": feature, **counts.as_json()})
            for name in vars(total):
                setattr(total, name, getattr(total, name) + getattr(counts, name))
        return {"total": total.as_json(), "features": features}

    @property
    def counts(self) -> dict[str, Counts]:
        """The counts of each feature."""
        return self._counts

    def _keep(self, feature: str, key: Hashable, generation: int, value: T) -> None:
        known = self._entries.get(key)
        if not self._ttl or (known is not None and known.generation > generation):
            return  # what was made of older tables does not replace what was made of newer ones
        expires = self._clock.now() + self._ttl
        if known is not None:
            self._drop(key)
        self._entries[key] = _Entry(value, feature, generation, expires)
        counts = self._counts_of(feature)
        counts.sets += 1
        counts.entries += 1
        self._tell("set", feature, key, expires, self._ttl)
        while len(self._entries) > self._most:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key)
        self._counts_of(entry.feature).entries -= 1

    def _counts_of(self, feature: str) -> Counts:
        counts = self._counts.get(feature)
        if counts is None:
            counts = self._counts[feature] = Counts()
        return counts

    def _tell(
        self,
        kind: Kind,
        feature: str,
        key: Hashable,
        expires_at: datetime | None = None,
        left: timedelta | None = None,
    ) -> None:
        if self._hook is not None:
            left_ms = None if left is None else left / timedelta(milliseconds=1)
            self._hook(CacheEvent(kind, feature, str(key), expires_at, left_ms))


def _heard(making: asyncio.Future[T]) -> None:
    """Of an error nobody waits for nobody has to hear."""
    if not making.cancelled():
        making.exception()
