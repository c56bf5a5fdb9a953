"""Putting the server together from the settings of a home. SettingsError when it may not start.

Not here: listening (listening.py), what the parts do.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from matokit_pipelines.clock import Clock
from matokit_pipelines.settings import Loaded
from matokit_pipelines.toolserver.addresses import in_address, reached
from matokit_pipelines.toolserver.app import ToolServer
from matokit_pipelines.toolserver.cache import ReportCache
from matokit_pipelines.toolserver.calling import Made
from matokit_pipelines.toolserver.gate import Gate
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.live import LiveConnections
from matokit_pipelines.toolserver.metrics import Metrics
from matokit_pipelines.toolserver.pages.door import Door
from matokit_pipelines.toolserver.registry import all_tools
from matokit_pipelines.toolserver.sites import Sites
from matokit_pipelines.toolserver.tokens import Tokens
from matokit_pipelines.toolserver.tracking.queue import TrackingQueue
from matokit_pipelines.warehouse.serving import SnapshotStore


def build_server(loaded: Loaded, clock: Clock, host: str | None = None) -> ToolServer:
    """The application. Opens no connection and no port; SettingsError names what is missing.

    `host`: what it is to listen on, and so a name it is asked under; default: toolserver.host.
    """
    settings = loaded.settings.toolserver
    tokens = Tokens(loaded, clock)
    public = urlsplit(loaded.settings.links.public_url)
    metrics = Metrics(clock)
    cache: ReportCache[Made] = ReportCache(clock, seconds=settings.cache_seconds, entries=settings.cache_entries)
    kit = build_kit(loaded, clock, cache, metrics)
    kit.sites.check_tokens()
    metrics.watch(kit)
    gate = Gate(
        tokens,
        clock,
        hosts=(
            *settings.allowed_hosts,
            in_address(reached(settings.host if host is None else host)),
            *([in_address(public.hostname)] if public.hostname else []),
        ),
        origins=(*settings.allowed_origins, *([f"{public.scheme}://{public.netloc}"] if public.hostname else [])),
        calls_per_minute=settings.calls_per_minute,
    )
    door = Door(tokens, clock, is_secure=public.scheme == "https")
    return ToolServer(kit, cache, gate, door, metrics, all_tools(tracking=settings.tracking))


def build_kit(loaded: Loaded, clock: Clock, cache: ReportCache[Any], metrics: Metrics) -> Kit:
    """What the tools work with."""
    settings = loaded.settings.toolserver
    sites = Sites.of(loaded)
    return Kit(
        loaded=loaded,
        clock=clock,
        snapshots=SnapshotStore(loaded.home, clock, readers=settings.calls_at_once),
        sites=sites,
        live=LiveConnections(loaded, clock, hook=metrics.upstream_hook),
        cache=cache,
        tracking=TrackingQueue(loaded.home, sites, clock) if settings.tracking else None,
    )
