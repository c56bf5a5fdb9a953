"""Putting the server together from the settings of a home. SettingsError when it may not start.

Not here: listening (listening.py), what the parts do.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from matokit_pipelines.clock import Clock
from matokit_pipelines.settings import Loaded
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


def reached(host: str) -> str:
    """The name under which programs of this machine reach what listens on `host`."""
    try:
        address = ip_address(host or "0.0.0.0")  # noqa: S104 - what a person gave, not what we bind
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "::1"
    return address.compressed


def in_address(host: str) -> str:
    """A host as it stands in a web address: `[::1]`."""
    return f"[{host}]" if ":" in host else host


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
