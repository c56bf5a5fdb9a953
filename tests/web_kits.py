"""Kits of real parts for the readers of web reports: settings, a snapshot store, live connections to a given address.

Belongs here: homes whose one site is asked live, calling a reader as the server does, and holding its answer to the
published model. Not here: what answers (web_replay.py, the simulator).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from matokit_pipelines.clock import Clock, FixedClock
from matokit_pipelines.settings import Loaded, load
from matokit_pipelines.toolserver.cache import ReportCache
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.live import LiveConnections
from matokit_pipelines.toolserver.parameters import read
from matokit_pipelines.toolserver.sites import Sites
from matokit_pipelines.toolserver.tools import Tool
from matokit_pipelines.toolserver.web.tools import WEB_TOOLS
from matokit_pipelines.warehouse.serving import SnapshotStore
from tests.replay import TOKEN

TOOLS: Mapping[str, Tool[Any]] = {tool.endpoint: tool for tool in WEB_TOOLS}


def settings_at(
    folder: Path,
    url: str,
    *,
    site: str = "1",
    token: str = TOKEN,
    zone: str = "UTC",
    provides: str = "web_reports",
    first: str = "2026-08-01",
) -> Loaded:
    """Settings with one Matomo source, `shop`, whose events are read from the day `first` on, where it provides any."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "[project]",
        f'timezone = "{zone}"',
        "[[sources]]",
        'name = "shop"',
        'kind = "matomo"',
        f'url = "{url}"',
        f'site_id = "{site}"',
        f"provides = {json.dumps(provides.split(','))}",
        "dimensions = {}",
        f"start_date = {first}",
    ]
    (folder / "matokit.toml").write_text("\n".join(lines), encoding="utf-8")
    return load(environ={"MATOKIT_SHOP_TOKEN": token, "MATOKIT_HOME": str(folder)}, cwd=folder)


@contextmanager
def kit_of(loaded: Loaded, now: datetime | Clock) -> Iterator[Kit]:
    """The kit of a home, at a moment."""
    clock = FixedClock(now) if isinstance(now, datetime) else now
    store = SnapshotStore(loaded.home, clock)
    live = LiveConnections(loaded, clock)
    try:
        yield Kit(loaded, clock, store, Sites.of(loaded), live, ReportCache(clock, seconds=60, entries=10))
    finally:
        live.close()
        store.close()


def asked(kit: Kit, endpoint: str, **arguments: Any) -> Any:
    """The answer of a reader as a client gets it, held to its published model."""
    tool = TOOLS[endpoint if endpoint.startswith("/") else f"/tools/{endpoint}"]
    answer = tool.function(kit, read(tool.parameters, arguments))
    TypeAdapter(tool.result).validate_python(answer.value)
    sent = json.loads(json.dumps(answer.value, allow_nan=False))
    for one in sent if isinstance(sent, list) else [sent]:
        assert "as_of" in one
        assert list(one)[-1] == "as_of"
    return sent


def figures(answer: Any) -> Any:
    """The same without the moment it is of."""
    if isinstance(answer, list):
        return [figures(one) for one in answer]
    return {key: value for key, value in answer.items() if key != "as_of"}
