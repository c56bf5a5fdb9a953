"""Homes and kits for the tests of health: an upstream, a snapshot of known age, an optional Piwik PRO.

Not here: the upstreams (upstreams.py), a whole server (serving.py), what must hold.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from matokit_pipelines.clock import Clock, FixedClock
from matokit_pipelines.settings import Loaded
from matokit_pipelines.toolserver.building import build_kit
from matokit_pipelines.toolserver.cache import ReportCache
from matokit_pipelines.toolserver.health.tools import HEALTH_TOOLS
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.metrics import Metrics
from matokit_pipelines.toolserver.parameters import read
from matokit_pipelines.warehouse.refresh import Home, build_and_publish
from tests.dashboard_marts import landed
from tests.serving import loaded_with
from tests.upstreams import TOKEN

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SOURCE = """
[[sources]]
name = "installers"
kind = "matomo"
url = "{url}"
site_id = "1"
start_date = 2026-11-01
"""
TOOLS = {tool.name: tool for tool in HEALTH_TOOLS}


def settings_of(folder: Path, url: str, more: str = "", **environ: str) -> Loaded:
    """A home whose Matomo source `installers` is at `url`; its token is the one that upstreams take."""
    return loaded_with(folder, SOURCE.format(url=url) + more, **{"MATOKIT_INSTALLERS_TOKEN": TOKEN, **environ})


def publish(
    loaded: Loaded,
    *,
    complete_to: datetime = NOW - timedelta(minutes=10),
    failed: str | None = None,
    web_read_at: datetime | None = None,
) -> None:
    """Put a snapshot in service that is complete to a moment.

    failed: what the last pass said. web_read_at: when its web reports were read, None where they were not.
    """
    made = Path(_made(complete_to, failed, web_read_at).name) / "home" / "serving"
    shutil.copytree(made, loaded.home / "serving")


@cache
def _made(complete_to: datetime, failed: str | None, web_read_at: datetime | None) -> tempfile.TemporaryDirectory[str]:
    """A home with a day of events, read, derived and published; made once for all tests that want it."""
    folder = tempfile.TemporaryDirectory()
    loaded = settings_of(Path(folder.name), "https://matomo.example.org")
    home = Home.of(loaded, FixedClock(NOW))
    rows = landed([{"event_ts": complete_to - timedelta(hours=hour)} for hour in range(1, 25)])
    with home.warehouse.writer() as connection:
        connection.execute(
            "insert into ledger.sources (source, kind, site_id, zone, url, proven_from, proven_to, watermark, "
            "last_read_at, last_error) "
            "values ('installers', 'matomo', '1', 'UTC', $url, $first, $to, $to, $to, $error)",
            {
                "url": loaded.settings.sources[0].url, "first": complete_to - timedelta(days=3), "to": complete_to,
                "error": failed,
            },
        )  # fmt: skip
        connection.register("given", rows.to_arrow())
        connection.execute("insert into raw.matomo_events by name select * from given")
        connection.unregister("given")
        if web_read_at:
            connection.execute(
                "insert into ledger.web_sites (source, site_id, zone, url, name, has_ecommerce, read_at) "
                "values ('installers', '1', 'UTC', $url, 'Shop', false, $at)",
                {"url": loaded.settings.sources[0].url, "at": web_read_at},
            )
    build_and_publish(home)
    return folder


@contextmanager
def kit_of(loaded: Loaded, clock: Clock | None = None) -> Iterator[Kit]:
    """The kit as the server builds it."""
    at = clock or FixedClock(NOW)
    metrics = Metrics(at)
    cache: ReportCache[Any] = ReportCache(at, seconds=60, entries=100)
    kit = build_kit(loaded, at, cache, metrics)
    kit.snapshots.look()
    try:
        yield kit
    finally:
        kit.snapshots.close()
        kit.live.close()


def ask(kit: Kit, name: str, **arguments: Any) -> Any:
    """The answer of a health tool as a caller gets it, held to its model."""
    tool = TOOLS[name]
    value = json.loads(json.dumps(tool.function(kit, read(tool.parameters, arguments)).value, allow_nan=False))
    TypeAdapter(tool.result).validate_python(value)
    assert list(value)[-1] == "as_of"
    return value


def health(kit: Kit, **arguments: Any) -> tuple[str, dict[str, dict[str, Any]]]:
    """The overall status, and each check by its name."""
    value = ask(kit, "GetHealthStatus", **arguments)
    return value["status"], {check["name"]: check for check in value["checks"]}
