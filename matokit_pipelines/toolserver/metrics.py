"""What the server counts of itself, as Prometheus reads it: calls, seconds, cache, Matomo, queue, snapshot.

A registry of its own, nothing global, so that several servers in one process do not count together. What is seen only
when asked for (queue, snapshot) is read when it is rendered. Not here: the address it is served at (routes.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from matokit_pipelines import __version__
from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import MatokitError

if TYPE_CHECKING:
    from matokit_pipelines.toolserver.kit import Kit

Face = Literal["opal", "mcp", "page"]

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0)
UPSTREAM_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0)


class Metrics:
    """All counts of one server."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._registry = CollectorRegistry()
        self._calls = Counter(
            "matokit_tool_calls",
            "Calls of tools and pages by HTTP status; 499: the caller went away.",
            ("tool", "face", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "matokit_tool_seconds",
            "Seconds from the first to the last byte of a call.",
            ("tool", "face"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._upstream = Counter(
            "matokit_upstream_calls",
            'Questions to Matomo; outcome is "ok" or why none was answered ("left-alone": not asked).',
            ("method", "outcome"),
            registry=self._registry,
        )
        self._upstream_seconds = Histogram(
            "matokit_upstream_seconds",
            "Seconds that questions to Matomo took, waits for its rate limit included.",
            ("method",),
            buckets=UPSTREAM_SECONDS,
            registry=self._registry,
        )
        # looking a child up by its labels costs more than counting, so each is kept
        self._kept_calls: dict[tuple[str, str, int], Counter] = {}
        self._kept_seconds: dict[tuple[str, str], Histogram] = {}

    def observe(self, tool: str, face: Face, status: int, seconds: float) -> None:
        """Count one call."""
        calls = self._kept_calls.get((tool, face, status))
        if calls is None:
            calls = self._kept_calls[tool, face, status] = self._calls.labels(tool, face, str(status))
        calls.inc()
        taken = self._kept_seconds.get((tool, face))
        if taken is None:
            taken = self._kept_seconds[tool, face] = self._seconds.labels(tool, face)
        taken.observe(seconds)

    def upstream_hook(self, method: str, outcome: str, seconds: float) -> None:
        """Count one question to Matomo."""
        self._upstream.labels(method, outcome).inc()
        self._upstream_seconds.labels(method).observe(seconds)

    def watch(self, kit: Kit) -> None:
        """Tell of this kit's snapshot, cache and queue too, whenever asked. Once a server."""
        self._registry.register(_Watched(kit, self._clock))

    def render(self) -> bytes:
        """Everything, in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)


class _Watched(Collector):
    """What is read when somebody asks. A thing that is not known has no sample: no snapshot is not generation 0."""

    def __init__(self, kit: Kit, clock: Clock) -> None:
        self._kit = kit
        self._clock = clock

    def describe(self) -> Iterator[Metric]:
        """Nothing: asked at registration, when no snapshot need be there."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("matokit_build_info", "The version that runs; always 1.", labels=("version",))
        build.add_metric((__version__,), 1)
        yield build
        yield GaugeMetricFamily(
            "matokit_event_sources",
            "Sources of installer events in the settings, mirrors not counted.",
            value=sum(one.has_events and one.mirror_of is None for one in self._kit.loaded.settings.sources),
        )
        yield from self._snapshot()
        yield self._cache_events()
        yield GaugeMetricFamily(
            "matokit_cache_entries",
            "Answers kept in the cache.",
            value=self._kit.cache.statistics()["total"]["entries"],
        )
        yield self._left_alone()
        yield from self._queue()

    def _left_alone(self) -> Metric:
        made = GaugeMetricFamily(
            "matokit_upstream_left_alone_seconds",
            "Seconds for which tools do not ask a Matomo because it did not answer lately; 0: they ask.",
            labels=("connection",),
        )
        for connection in {site.connection.url.lower(): site.connection for site in self._kit.sites.all}.values():
            made.add_metric((connection.name,), self._kit.live.left_alone(connection))
        return made

    def _cache_events(self) -> Metric:
        made = CounterMetricFamily(
            "matokit_cache_events",
            "What happened in the cache of answers: hit, miss, set, stale_eviction, shared (waited for another's).",
            labels=("feature", "event"),
        )
        for feature, counts in sorted(self._kit.cache.counts.items()):
            for event, times in (
                ("hit", counts.hits),
                ("miss", counts.misses),
                ("set", counts.sets),
                ("stale_eviction", counts.stale_evictions),
                ("shared", counts.shared),
            ):
                made.add_metric((feature, event), times)
        return made

    def _snapshot(self) -> Iterator[Metric]:
        try:
            manifest = self._kit.snapshots.manifest
        except MatokitError:
            yield GaugeMetricFamily("matokit_ready", "1 when a snapshot of the tables is in service.", value=0)
            return
        yield GaugeMetricFamily("matokit_ready", "1 when a snapshot of the tables is in service.", value=1)
        yield GaugeMetricFamily(
            "matokit_snapshot_generation", "Number of the snapshot in service.", value=manifest.generation
        )
        yield GaugeMetricFamily(
            "matokit_snapshot_age_seconds",
            "Seconds since the snapshot in service was published.",
            value=self._age(manifest.published_at),
        )
        yield GaugeMetricFamily(
            "matokit_snapshot_trouble",
            "1 when what was published last cannot be put in service.",
            value=int(self._kit.snapshots.trouble is not None),
        )
        if manifest.watermark is not None:
            yield GaugeMetricFamily(
                "matokit_data_age_seconds",
                "Seconds between now and the moment to which the data of all sources are complete.",
                value=self._age(manifest.watermark),
            )

    def _queue(self) -> Iterator[Metric]:
        queue = self._kit.tracking
        if queue is None:
            return
        try:
            depth, oldest, dead = queue.depth, queue.oldest_age, queue.dead
        except MatokitError:
            return  # the health tool says why
        yield GaugeMetricFamily("matokit_tracking_queue_depth", "Hits that Matomo has not taken yet.", value=depth)
        if oldest is not None:
            yield GaugeMetricFamily(
                "matokit_tracking_queue_oldest_seconds", "Seconds the oldest of these hits has waited.", value=oldest
            )
        yield GaugeMetricFamily(
            "matokit_tracking_queue_dead", "Hits that were given up and wait for a person.", value=dead
        )

    def _age(self, moment: datetime) -> float:
        return (self._clock.now() - moment).total_seconds()
