"""Every widget and the marts under it on small random histories full of ties, beside plain Python.

Belongs here: histories in which seconds, machines, commits and counts coincide. Does not belong here: what a number
means (tests/plain_numbers.py, tests/plain_marts.py), events as services send them (tests/integration).
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from matokit_pipelines.reports.widgets import WINDOWS, load_widgets, numbers
from matokit_pipelines.warehouse.build import BuildOptions, build
from tests import plain_marts, plain_numbers
from tests.comparing import Marts, assert_rows, assert_rows_by_key
from tests.plain_truth import Event, Site

ZONE = ZoneInfo("Europe/Copenhagen")
WATERMARK = datetime(2026, 10, 27, 5, tzinfo=UTC)
KNOWN_FROM = datetime(2026, 10, 13, 22, tzinfo=UTC)
CATEGORIES = {"Installer": "production", "Installer_CI": "ci", "Installer_DEV": "development"}
SYSTEMS = {"macOS 14.1": "macOS", "macOS 15.0": "macOS", "Windows 11": "Windows", "Plan 9": "unknown"}
ARCHITECTURES = {"arm64": "arm64", "x64": "x86_64", "": "unknown"}
MARTS = (
    "success_rate_daily", "architecture_daily", "os_daily", "os_first_seen", "os_window", "os_weekly",
    "component_daily", "component_window", "component_weekly", "component_architecture", "component_commit",
    "commit_performance", "commit_regression", "commit_daily", "commit_leader_changes", "environment_daily",
    "error_daily", "error_window", "duration_window", "system_daily", "machine_share",
)  # fmt: skip
WHERE = {"component_weekly": "where architecture = 'all'"}


def history(dice: random.Random) -> list[tuple[dict[str, Any], Event]]:
    """Events as they land, each beside its meaning, in order."""
    # few instants, so that machines and commits meet in one second; the repeated hour and midnight are among them
    instants = [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)]
    instants += [datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC), WATERMARK]
    instants += [WATERMARK - timedelta(minutes=dice.randrange(0, 40 * 1_440, 180)) for _ in range(dice.randint(5, 40))]
    commits = [f"{n:07x}" for n in range(dice.randint(1, 11))]
    steps = [f"step_{letter}" for letter in "abcdefghijklmn"[: dice.randint(1, 14)]]
    systems = {text: SYSTEMS.get(text, "macOS") for text in (*SYSTEMS, *(f"macOS {n}.2" for n in range(11, 16)))}
    made = []
    for at in sorted(dice.choices(instants, k=dice.choice([1, 3, 40, 300]))):
        category, failed = dice.choice([*CATEGORIES, "Installer"]), dice.random() < 0.3
        step, commit = dice.choice(steps), dice.choice([*commits, None])
        system, machine = dice.choice(list(systems)), dice.choice(list(ARCHITECTURES))
        visitor, seconds = str(dice.randint(1, 4)), float(dice.choice([2, 3, 5, 60]))
        error = dice.choice(["network", "disk", "permission", "unknown"])
        row = {
            "event_ts": at, "visitor_id": visitor, "category": category, "os_raw": system, "architecture_raw": machine,
            "name": f"{step}_{error}_error" if failed else step, "value": 0.0 if failed else seconds,
            "commit_raw": commit or "unknown",
        }  # fmt: skip
        architecture, family = ARCHITECTURES[machine], systems[system]
        meant = Event(
            at, at.astimezone(ZONE).date(), "installers", (visitor, system, architecture), CATEGORIES[category], step,
            "failure" if failed else "success", True, False, False, error if failed else "not_reported", architecture,
            family, system, commit, None if failed else seconds,
        )  # fmt: skip
        made.append((row, meant))
    return made


@pytest.mark.parametrize("seed", range(10))
def test_small_histories_full_of_ties_are_counted_alike(
    con: duckdb.DuckDBPyConnection, land: Any, now: datetime, seed: int
) -> None:
    made = history(random.Random(seed))
    land(con, "ledger.sources", [{"proven_from": KNOWN_FROM, "watermark": WATERMARK}])
    land(con, "raw.matomo_events", [row for row, _ in made])
    build(con, options=BuildOptions(), now=now)
    site = Site([event for _, event in made], date(2026, 10, 14), date(2026, 10, 26), WATERMARK)
    marts = Marts(con)
    for name, widget in load_widgets().items():
        for part in ("", *widget.parts):
            for days in WINDOWS:
                found = numbers(marts, widget, days, part=part)
                expected = getattr(plain_numbers, f"{name}_{part}".rstrip("_"))(site, days, "production")
                assert_rows(found, expected, f"{name} {part} {days}")
    for name in MARTS:
        assert_rows_by_key(marts, name, getattr(plain_marts, name)(site), WHERE.get(name, ""))
