"""Asking installer tools in tests: a kit over a home, answers held to their result model, and scenes with a story.

Belongs here: homes of plain landed events whose story is known. Not here: what must hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import polars as pl
from pydantic import TypeAdapter

from matokit_pipelines.clock import Clock, FixedClock
from matokit_pipelines.settings import load
from matokit_pipelines.toolserver.installer.tools import INSTALLER_TOOLS
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import read
from matokit_pipelines.toolserver.tools import Tool
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse.landing import Landed, SourceKey
from matokit_pipelines.warehouse.refresh import Home, build_and_publish
from matokit_pipelines.warehouse.serving import SnapshotStore
from matokit_pipelines.windows import Window
from tests import page_homes
from tests.dashboard_marts import landed

TOOLS: dict[str, Tool[Any]] = {tool.name: tool for tool in INSTALLER_TOOLS}
_RESULTS = {name: TypeAdapter(tool.result) for name, tool in TOOLS.items()}
NOW = page_homes.NOW  # 2026-11-22, a Sunday; the last complete day is the 21st
OLD, NEW = "a1b2c3d", "f00dfee"
STEPS = ("system_check", "python_install", "vscode_install", "homebrew_install")
SYSTEMS = (("macOS15.1 (Sequoia)", "arm64"), ("macOS14.2.1 (Sonoma)", "x86_64"))


@contextmanager
def kit_of(folder: Path, clock: Clock | None = None) -> Iterator[Kit]:
    """A kit over a home. Installer tools need neither sites nor live connections nor the cache."""
    loaded = load(folder / "matokit.toml", environ={"MATOKIT_HOME": str(folder)}, cwd=folder)
    at = clock or FixedClock(NOW)
    store = SnapshotStore(folder, at)
    nothing = cast(Any, None)
    try:
        yield Kit(loaded, at, store, nothing, nothing, nothing)
    finally:
        store.close()


def ask(kit: Kit, name: str, **arguments: Any) -> dict[str, Any]:
    """The answer of a tool as a caller gets it, held to the tool's result model."""
    tool = TOOLS[name]
    value = json.loads(json.dumps(tool.function(kit, read(tool.parameters, arguments)).value))
    _RESULTS[name].validate_python(value, strict=False)
    return cast(dict[str, Any], value)


def runs(*, days: int = 28, a_day: int = 12, broken_from: datetime | None = None) -> pl.DataFrame:
    """Runs of four steps on ever new machines, one failure in forty; from `broken_from` on commit NEW, with which
    python_install fails on the newer system."""
    rows: list[dict[str, Any]] = []
    for age in range(days, -1, -1):
        for run in range(a_day):
            at = NOW - timedelta(days=age, minutes=47 * run + 20)
            os_raw, architecture = SYSTEMS[run % 3 == 0]
            is_new = broken_from is not None and at >= broken_from
            for place, step in enumerate(STEPS):
                failed = (7 * age + 3 * run + place) % 40 == 0
                if is_new and step == "python_install" and architecture == "arm64":
                    failed = True
                rows.append({
                    "event_ts": at + timedelta(seconds=30 * place), "visitor_id": f"m{age}-{run}",
                    "visit_id": 100 * age + run, "name": f"{step}_network_error" if failed else step,
                    "value": 1.0 if failed else 20.0 + place, "os_raw": os_raw, "architecture_raw": architecture,
                    "commit_raw": NEW if is_new else OLD,
                })  # fmt: skip
    return landed(rows)


def healthy(folder: Path) -> Home:
    """All is well, rules are evaluated."""
    home = page_homes.home_of(folder, runs())
    page_homes.evaluated(home, 1)
    return home


def broken(folder: Path) -> Home:
    """A commit breaks python_install two days ago; the rules find it."""
    home = page_homes.home_of(folder, runs(broken_from=NOW - timedelta(hours=50)))
    page_homes.evaluated(home, 3)
    return home


def incomplete(folder: Path) -> Home:
    """All is well in what was read, but windows and a day of it are missing."""
    home = page_homes.home_of(folder, runs())
    start = NOW - timedelta(days=3)
    with home.warehouse.writer() as connection:
        ledger.note_window(
            connection, SourceKey("installers", "1"), Window(start, start + timedelta(hours=1)),
            Landed(7, 0, 0, 7, 7, 0, 0), tier="recent", zone=str(page_homes.ZONE), proof="none", status="incomplete",
            detail=None, started=NOW, finished=NOW, dimensions="{}", expected=9,
        )  # fmt: skip
        connection.execute(
            "insert into ledger.truncated_visits values ('installers', '1', 1, ?, 4, ?)", [start.date(), NOW]
        )
    build_and_publish(home)
    page_homes.evaluated(home, 1)
    return home
