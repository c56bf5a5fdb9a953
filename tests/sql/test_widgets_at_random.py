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

from matokit_pipelines.reports.dashboards.widgets import WINDOWS, load_widgets, numbers
from matokit_pipelines.warehouse.build import BuildOptions, build
from tests import plain_marts, plain_numbers
from tests.comparing import Marts, assert_rows, assert_rows_by_key
from tests.plain_truth import Event, Site

ZONE = ZoneInfo("Europe/Copenhagen")
WATERMARK = datetime(2026, 10, 27, 5, tzinfo=UTC)
KNOWN_FROM = datetime(2026, 10, 13, 22, tzinfo=UTC)
CATEGORIES = {"Installer": "production", "Installer_CI": "ci", "Installer_DEV": "development"}
SYSTEMS = {f"macOS {n}.1": "macOS" for n in range(10, 16)} | {"Windows 11": "Windows", "Plan 9": "unknown"}
ARCHITECTURES = {"arm64": "arm64", "x64": "x86_64", "": "unknown"}
MARTS = (
    "success_rate_daily", "architecture_daily", "os_daily", "os_first_seen", "os_window", "os_weekly",
    "component_daily", "component_window", "component_weekly", "component_architecture", "component_commit",
    "commit_performance", "commit_regression", "commit_daily", "commit_leader_changes", "environment_daily",
    "error_daily", "error_window", "duration_window", "system_daily", "machine_share", "segment_daily",
    "system_window", "system_monthly", "error_system_window", "commit_system_daily",
)  # fmt: skip
WHERE = {"component_weekly": "where architecture = 'all' and events > 0"}


def history(dice: random.Random) -> list[tuple[dict[str, Any], Event]]:
    """Events as they land, each beside its meaning, in order."""
    # few instants, so that machines and commits meet in one second; the repeated hour and midnight are among them
    instants = [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)]
    instants += [datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC), WATERMARK]
    instants += [WATERMARK - timedelta(minutes=dice.randrange(0, 40 * 1_440, 180)) for _ in range(dice.randint(5, 40))]
    commits = [f"{n:07x}" for n in range(dice.randint(1, 11))]
    steps = [f"step_{letter}" for letter in "abcdefghijklmn"[: dice.randint(1, 14)]]
    times = sorted(dice.choices(instants, k=dice.choice([1, 3, 40, 300])))
    return [
        event(dice, number, at, dice.choice(steps), dice.choice([*commits, None])) for number, at in enumerate(times)
    ]


def event(
    dice: random.Random, number: int, at: datetime, step: str, commit: str | None
) -> tuple[dict[str, Any], Event]:
    """One event as it lands, and its meaning: seven of ten succeed, now and then a run starts or nothing is said."""
    outcome = dice.choice(["success"] * 7 + ["failure"] * 3 + ["started", "unknown"])
    error, seconds = dice.choice(["network", "disk", "permission", "unknown"]), float(dice.choice([2, 3, 5, 60]))
    name, value, component = {
        "success": (step, seconds, step),
        "failure": (f"{step}_{error}_error", 0.0, step),
        "started": ("orchestrator_start", 1.0, "orchestrator"),
        "unknown": (step, None, step),
    }[outcome]
    category, system = dice.choice([*CATEGORIES, "Installer"]), dice.choice(list(SYSTEMS))
    spelling, visitor = dice.choice(list(ARCHITECTURES)), dice.choice(["1", "2", "3", ""])
    row = {
        "event_ts": at, "visitor_id": visitor, "category": category, "os_raw": system, "architecture_raw": spelling,
        "name": name, "value": value, "commit_raw": commit or "unknown",
    }  # fmt: skip
    return row, Event(
        at=at,
        day=at.astimezone(ZONE).date(),
        source="installers",
        # without a visitor each event is a machine of its own
        machine=(visitor, system, spelling) if visitor else (str(number),),
        environment=CATEGORIES[category],
        component=component,
        outcome=outcome,
        counted=outcome in ("success", "failure"),
        is_test=False,
        is_run_start=outcome == "started",
        error_type=error if outcome == "failure" else "not_reported",
        architecture=ARCHITECTURES[spelling],
        os_family=SYSTEMS[system],
        os_release=system,
        commit=commit,
        seconds=seconds if outcome == "success" else None,
    )


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 10))])
def test_small_histories_full_of_ties_are_counted_alike(
    con: duckdb.DuckDBPyConnection, land: Any, now: datetime, seed: int
) -> None:
    made = history(random.Random(seed))
    land(con, "ledger.sources", [{"proven_from": KNOWN_FROM, "watermark": WATERMARK}])
    land(con, "raw.matomo_events", [row for row, _ in made])
    build(con, options=BuildOptions(), now=now)
    site = Site([meant for _, meant in made], date(2026, 10, 14), date(2026, 10, 26), WATERMARK)
    marts = Marts(con)
    for name, widget in load_widgets().items():
        for part in ("", *widget.parts):
            for days in WINDOWS:
                found = numbers(marts, widget, days, part=part)
                expected = getattr(plain_numbers, f"{name}_{part}".rstrip("_"))(site, days, "production")
                assert_rows(found, expected, f"{name} {part} {days}")
    for name in MARTS:
        assert_rows_by_key(marts, name, getattr(plain_marts, name)(site), WHERE.get(name, ""))
