"""The rules of the widgets on a handful of events each: ties, gaps, zeros, "other", what is new, the running day."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from matokit_pipelines import resources
from matokit_pipelines.reports.dashboards.widgets import load_widgets, numbers
from matokit_pipelines.warehouse.build import BuildOptions, build
from matokit_pipelines.warehouse.models import load_models
from tests.comparing import Marts

WIDGETS = load_widgets()
LAST = date(2026, 10, 26)  # the day after the one of 25 hours
NOON = datetime(2026, 10, 26, 11, tzinfo=UTC)
KNOWN_FROM = datetime(2026, 10, 19, 22, tzinfo=UTC)  # the 20th, so seven days hold nothing unknown
Rows = list[dict[str, Any]]
Show = Callable[..., Rows]


@pytest.fixture(scope="module")
def sql_root(sql_of: Any) -> Iterator[Path]:
    """The models that the widgets read, with all that those read."""
    queries = "\n".join(query for widget in WIDGETS.values() for query in (widget.sql, *widget.parts.values()))
    words = set(re.findall(r"[a-z_]+", queries))
    with sql_of([name for name in load_models(resources.path("sql")) if name.removeprefix("marts.") in words]) as root:
        yield root


@pytest.fixture
def built(con: duckdb.DuckDBPyConnection, land: Any, now: datetime, sql_root: Path) -> Callable[..., Marts]:
    """Land events (what they leave out has a default) and build."""

    def given(events: Rows, known_from: datetime = KNOWN_FROM) -> Marts:
        watermark = datetime(2026, 10, 27, 5, tzinfo=UTC)
        land(con, "ledger.sources", [{"proven_from": known_from, "watermark": watermark}])
        land(con, "raw.matomo_events", [{"event_ts": NOON, **event} for event in events])
        build(con, options=BuildOptions(), now=now, sql_root=sql_root)
        return Marts(con)

    return given


@pytest.fixture
def show(built: Callable[..., Marts]) -> Show:
    """The numbers of a widget when these events have landed."""

    def given(name: str, events: Rows, *, days: int = 7, part: str = "", known_from: datetime = KNOWN_FROM) -> Rows:
        return numbers(built(events, known_from), WIDGETS[name], days, part=part).to_dicts()

    return given


def picked(rows: Rows, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in rows]


def at(days_ago: int, hour: int = 11) -> datetime:
    """An instant on the day that lies so many days before the last complete one."""
    return NOON.replace(hour=hour) - timedelta(days=days_ago)


def test_nothing_landed_is_nothing_drawn(built: Callable[..., Marts]) -> None:
    marts = built([])
    drawn = {
        f"{name}.{part}".rstrip("."): numbers(marts, widget, part=part).height
        for name, widget in WIDGETS.items()
        for part in ("", *widget.parts)
    }
    assert {name: rows for name, rows in drawn.items() if rows} == {"success_rate": 1, "outcomes": 3}


def test_a_tile_without_events_has_no_rate(show: Show) -> None:
    [tile] = show("success_rate", [])
    assert (tile["first_day"], tile["last_day"]) == (date(2026, 10, 20), LAST)
    assert {name: tile[name] for name in tile if name.startswith("events")} == dict.fromkeys(
        ("events", "events_before", "events_everywhere"), 0
    )
    assert {tile[name] for name in tile if "rate" in name or name == "change_points"} == {None}


def test_a_ring_without_events_has_slices_without_share(show: Show) -> None:
    rows = show("outcomes", [])
    assert picked(rows, "outcome", "events", "share") == [
        ("success", 0, None), ("failure", 0, None), ("unknown", 0, None),
    ]  # fmt: skip


def test_nobody_knows_of_events_before_reading_began_and_the_running_day_is_left_out(show: Show) -> None:
    events = [{"event_ts": at(0)}, {"event_ts": at(-1, 3)}, {"event_ts": at(3)}]
    rows = show("daily_volume", events, known_from=datetime(2026, 10, 22, 22, tzinfo=UTC))
    assert picked(rows, "event_date", "events") == [
        (date(2026, 10, 20), None), (date(2026, 10, 21), None), (date(2026, 10, 22), None), (date(2026, 10, 23), 1),
        (date(2026, 10, 24), 0), (date(2026, 10, 25), 0), (date(2026, 10, 26), 1),
    ]  # fmt: skip


def test_the_day_of_25_hours_is_one_day(show: Show) -> None:
    hours = [datetime(2026, 10, 24, 22, tzinfo=UTC) + timedelta(hours=n) for n in range(26)]
    rows = show("daily_volume", [{"event_ts": hour} for hour in hours])
    assert picked(rows, "event_date", "events")[-3:] == [
        (date(2026, 10, 24), 0), (date(2026, 10, 25), 25), (LAST, 1),
    ]  # fmt: skip


def test_an_environment_that_fell_silent_keeps_its_line(show: Show) -> None:
    rows = show("daily_volume", [{"event_ts": at(20), "category": "Installer_CI"}, {"event_ts": at(1)}])
    assert {row["environment"] for row in rows} == {"ci", "production"}
    assert sum(row["events"] for row in rows if row["environment"] == "ci") == 0


def test_the_change_is_between_two_windows_of_one_environment(show: Show) -> None:
    events: Rows = [{"event_ts": at(6), "value": 1}, {"event_ts": at(6), "value": 0}]  # first day of the window
    events += [{"event_ts": at(7), "value": 1}]  # last day before
    events += [{"event_ts": at(14), "value": 0}]  # before that
    events += [{"event_ts": at(0), "value": 0, "category": "Installer_CI", "commit_raw": "bbbbbbb"}]
    [tile] = show("success_rate", events)
    assert (tile["events"], tile["successes"], tile["success_rate"]) == (2, 1, 0.5)
    assert (tile["events_before"], tile["success_rate_before"], tile["change_points"]) == (1, 1.0, -50.0)
    assert (tile["events_everywhere"], tile["successes_everywhere"]) == (3, 1)


def test_what_says_nothing_of_success_is_named_but_no_slice(show: Show) -> None:
    rows = show("outcomes", [{"value": 1}, {"value": 1}, {"value": 0}, {"value": None}])
    assert picked(rows, "outcome", "events") == [("success", 2), ("failure", 1), ("unknown", 1)]
    assert rows[0]["share"] == pytest.approx(2 / 3)
    assert rows[2]["share"] is None


def test_bars_of_equal_height_are_ordered_by_name(built: Callable[..., Marts]) -> None:
    marts = built([{"category": f"Installer_{name}"} for name in ("TEST", "CI", "DEV", "DEV")])
    bars = numbers(marts, WIDGETS["environments"]).to_dicts()
    assert picked(bars, "environment", "events") == [("development", 2), ("ci", 1), ("test", 1)]
    shares = numbers(marts, WIDGETS["test_environments"]).to_dicts()
    assert picked(shares, "environment", "share") == [("development", 0.5), ("ci", 0.25), ("test", 0.25)]


def test_what_counts_nothing_is_not_drawn(built: Callable[..., Marts]) -> None:
    uncounted = {"value": None, "os_raw": "macOS 99.1", "architecture_raw": "x64"}
    marts = built([{}, uncounted, uncounted | {"category": "Installer_CI"}])
    drawn = {
        ("daily_volume", "environment"): "production",
        ("environments", "environment"): "production",
        ("test_environments", "environment"): "production",
        ("architecture_performance", "architecture"): "arm64",
        ("architecture_success", "architecture"): "arm64",
        ("os_versions", "os_release"): "macOS 14.2",
        ("os_version_trends", "os_release"): "macOS 14.2",
    }
    for (name, column), found in drawn.items():
        assert numbers(marts, WIDGETS[name], 7)[column].unique().to_list() == [found]


def test_a_release_is_new_for_seven_days(show: Show) -> None:
    events = [
        {"event_ts": at(7), "os_raw": "macOS 26.0"}, {"event_ts": at(6, 0), "os_raw": "macOS 26.1"},
        {"event_ts": at(0), "os_raw": "macOS 26.0"}, {"event_ts": at(0), "os_raw": "macOS 26.0.1"},
        {"event_ts": at(-1, 3), "os_raw": "macOS 27.0"},
    ]  # fmt: skip
    rows = show("os_versions", events, days=30, known_from=at(8))
    assert picked(rows, "os_release", "events", "is_new", "first_date") == [
        ("macOS 26.0", 3, False, date(2026, 10, 19)), ("macOS 26.1", 1, True, date(2026, 10, 20)),
    ]  # fmt: skip


def test_what_is_new_is_not_known_where_records_begin_within_those_days(show: Show) -> None:
    rows = show("os_versions", [{"event_ts": at(3), "os_raw": "macOS 26.0"}], known_from=at(6, 1))
    assert picked(rows, "os_release", "is_new") == [("macOS 26.0", None)]


def test_six_releases_have_a_line_and_the_rest_is_other(show: Show) -> None:
    events = [{"os_raw": f"macOS {n}.1"} for n in range(11, 19)] + [{"os_raw": "macOS 18.1"}]
    rows = show("os_version_trends", events)
    today = [row for row in rows if row["event_date"] == LAST]
    lines = ["macOS 18.1", "macOS 11.1", "macOS 12.1", "macOS 13.1", "macOS 14.1", "macOS 15.1", "other"]
    assert picked(today, "place", "os_release", "events") == [
        (place, name, {1: 2, 7: 2}.get(place, 1)) for place, name in enumerate(lines, start=1)
    ]
    assert len(rows) == 7 * 7
    assert sum(row["events"] for row in rows) == 9


def test_without_a_seventh_release_there_is_no_other(show: Show) -> None:
    rows = show("os_version_trends", [{"os_raw": "macOS 11.1"}, {"os_raw": "other"}])
    assert {(row["os_family"], row["os_release"]) for row in rows} == {("macOS", "macOS 11.1"), ("unknown", "other")}


def test_components_are_ordered_by_failures_then_events_then_name(show: Show) -> None:
    events = [{"name": name, "value": 0} for name in ("d", "c", "b", "b", "a")] + [{"name": "c", "value": 1}]
    rows = show("component_success", [event | {"visitor_id": "one"} for event in events])
    assert picked(rows, "component", "failures", "events", "machines_failing") == [
        ("b", 2, 2, 1), ("c", 1, 2, 1), ("a", 1, 1, 1), ("d", 1, 1, 1),
    ]  # fmt: skip


def test_ten_components_are_shown_ties_by_name_and_none_that_never_failed(show: Show) -> None:
    names = [f"step_{n:02d}" for n in range(12)]
    events: Rows = [{"name": f"{name}_network_error", "value": 0} for name in names]
    events += [{"name": "step_11_disk_error", "value": 0}, {"name": "fine", "value": 5}]
    rows = show("problematic_components", events)
    assert picked(rows, "place", "component", "error_type", "failures", "component_failures") == [
        (1, "step_11", "disk", 1, 2),
        (1, "step_11", "network", 1, 2),
        *((n + 2, name, "network", 1, 1) for n, name in enumerate(names[:9])),
    ]


def test_a_day_without_events_is_a_gap_in_a_rate(show: Show) -> None:
    events = [{"event_ts": at(2)}, {"event_ts": at(0)}, {"event_ts": at(0), "value": 0, "commit_raw": ""}]
    rows = show("component_trends", events)[-3:]
    assert picked(rows, "event_date", "events", "success_rate") == [
        (date(2026, 10, 24), 1, 1.0), (date(2026, 10, 25), 0, None), (LAST, 2, 0.5),
    ]  # fmt: skip


def test_five_components_have_a_line_ties_by_name(show: Show) -> None:
    rows = show("component_trends", [{"name": name} for name in "gfedcba"])
    assert [row["component"] for row in rows if row["event_date"] == LAST] == list("abcde")


def test_a_pair_without_events_has_no_cell(show: Show) -> None:
    events: Rows = [
        {"name": "b", "architecture_raw": "x64"},
        {"name": "a"},
        {"name": "b", "value": 0, "commit_raw": ""},
    ]
    assert picked(show("component_matrix", events), "component", "architecture", "events", "success_rate") == [
        ("a", "arm64", 1, 1.0), ("b", "arm64", 1, 0.0), ("b", "x86_64", 1, 1.0),
    ]  # fmt: skip


def test_the_commit_first_seen_last_is_on_top(show: Show) -> None:
    events = [
        {"event_ts": at(20), "commit_raw": "aaaaaaa"}, {"event_ts": at(1), "commit_raw": "bbbbbbb"},
        {"event_ts": at(0), "commit_raw": "aaaaaaa"}, {"event_ts": at(1), "commit_raw": "ccccccc"},
        {"event_ts": at(9), "commit_raw": "ddddddd"}, {"event_ts": at(0), "commit_raw": "unknown"},
    ]  # fmt: skip
    rows = show("commit_table", events)
    assert picked(rows, "commit_sha", "events", "first_seen", "verdict", "is_regression") == [
        ("bbbbbbb", 1, at(1), "too few", False),
        ("ccccccc", 1, at(1), "too few", False),
        ("aaaaaaa", 1, at(20), "too few", False),
    ]


def test_eight_commits_have_a_line_and_the_rest_is_other(show: Show) -> None:
    events = [{"commit_raw": f"{n:07d}"} for n in range(1, 11)] + [{"commit_raw": "unknown"}]
    rows = [row for row in show("version_rollback", events) if row["event_date"] == LAST]
    assert picked(rows, "commit_sha", "events") == [*((f"{n:07d}", 1) for n in range(1, 9)), ("other", 2)]


def test_a_leader_that_is_older_is_a_rollback(show: Show) -> None:
    led = {5: "bbbbbbb", 4: "aaaaaaa", 2: "bbbbbbb", 0: "bbbbbbb", -1: "aaaaaaa"}
    rows = show("version_rollback", [{"event_ts": at(d, 3), "commit_raw": c} for d, c in led.items()], part="changes")
    assert picked(rows, "event_date", "from_commit", "to_commit", "is_rollback") == [
        (date(2026, 10, 22), "bbbbbbb", "aaaaaaa", False),
        (date(2026, 10, 24), "aaaaaaa", "bbbbbbb", True),
    ]


def machines(name: str, category: str, tried: int, failed: int) -> Rows:
    """One try each of so many machines."""
    about = {"name": name, "category": category, "commit_raw": ""}
    return [about | {"visitor_id": f"{category}{n}", "value": int(n >= failed)} for n in range(tried)]


def test_green_in_ci_and_worse_in_production_is_marked(show: Show) -> None:
    events = machines("broken", "Installer", 40, 12) + machines("broken", "Installer_CI", 40, 1)
    events += machines("red", "Installer", 40, 30) + machines("red", "Installer_CI", 40, 2)  # exactly 95 % is not green
    events += machines("chance", "Installer", 40, 4) + machines("chance", "Installer_CI", 40, 1)
    events += machines("seldom", "Installer", 9, 9) + machines("seldom", "Installer_CI", 40, 0)
    events += machines("here", "Installer", 1, 0) + machines("there", "Installer_CI", 1, 0)
    rows = show("ci_comparison", events)
    assert picked(rows, "component", "production_events", "ci_events", "verdict", "is_marked") == [
        ("broken", 40, 40, "worse", True),
        ("chance", 40, 40, "could be chance", False),
        ("here", 1, 0, "too few", False),
        ("red", 40, 40, "worse", False),
        ("seldom", 9, 40, "too few", False),
        ("there", 0, 1, "too few", False),
        ("all", 130, 161, "worse", True),
    ]
    assert [row["gap_points"] for row in rows[:3]] == pytest.approx([27.5, 7.5, None])


def test_error_types_of_both_sides_are_the_three_most_frequent(show: Show) -> None:
    kinds = ("network", "disk", "unknown", "permission")
    events: Rows = [{"name": f"a_{kind}_error", "value": 0} for kind in kinds]
    events += [{"name": "b", "value": 0, "category": "Installer_CI", "commit_raw": ""}]
    rows = show("ci_comparison", events, part="errors")
    assert picked(rows, "component", "environment", "place", "error_type", "failures") == [
        ("a", "production", 1, "disk", 1), ("a", "production", 2, "network", 1),
        ("a", "production", 3, "permission", 1),
        ("b", "ci", 1, "not_reported", 1),
        ("all", "ci", 1, "not_reported", 1),
        ("all", "production", 1, "disk", 1), ("all", "production", 2, "network", 1),
        ("all", "production", 3, "permission", 1),
    ]  # fmt: skip
