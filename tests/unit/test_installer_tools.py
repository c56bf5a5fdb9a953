"""What installer tools publish, take, refuse and answer on homes of every kind: names, bounds, odd names, no data.

Not here: whether the numbers are right (test_installer_tools_numbers.py), the sentences (the integration test).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines import __version__, state
from matokit_pipelines.alerts.evaluation import RULE_VERSION
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import NothingPublished, StateError
from matokit_pipelines.toolserver.installer.counting import fitted
from matokit_pipelines.toolserver.installer.durations import seconds
from matokit_pipelines.toolserver.installer.words import joined, percent
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import choices, published_type, read
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.warehouse.refresh import build_and_publish
from matokit_pipelines.warehouse.snapshots import publish
from tests import page_homes
from tests.installer_tools import NOW, TOOLS, ask, kit_of, runs

pytestmark = pytest.mark.slow

USUAL, MOST = 8_192, 16_384  # bytes of an answer: what one usually is, and what none may exceed
NAMES = list(TOOLS)
ABOUT_DAYS = [name for name in NAMES if "fromDate" in TOOLS[name].parameters.model_fields]
OF_MARTS = [*(name for name in ABOUT_DAYS if name != "GetDataStatus"), "GetDurations"]
OF_TABLES = [name for name in NAMES if name != "GetLatestReport"]  # of files, in the integration test
OTHERS: dict[str, list[dict[str, Any]]] = {
    "GetInstallerSuccessRate": [
        {"by": by} for by in ("day", "component", "architecture", "os", "os_release", "environment", "commit")
    ],
    "GetAlerts": [{"state": "all"}, {"state": "past"}, {"severity": "critical"}, {"rule": "arch_gap"}],
    "GetDurations": [{"days": 1}, {"days": 90, "architecture": "arm64"}],
    "GetComponentHealth": [{"days": 90}],
}  # fmt: skip


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    folder = tmp_path_factory.mktemp("usual")
    home = page_homes.home_of(folder, page_homes.usual(days=30, events_per_day=60))
    page_homes.open_alerts(home, page_homes.ALERTS, silent="x86*")
    with kit_of(folder) as kit:
        yield kit


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    folder = tmp_path_factory.mktemp("hostile")
    home = page_homes.home_of(folder, page_homes.hostile())
    subjects = [("new_failure_pattern", f"{page_homes.HOSTILE}{n}\n" + "x" * 5_000, "warning") for n in range(60)]
    page_homes.open_alerts(home, subjects)
    with kit_of(folder) as kit:
        yield kit


@pytest.mark.parametrize("name", NAMES)
def test_a_tool_can_be_published(name: str) -> None:
    tool = TOOLS[name]
    assert tool.group == "installer"
    assert tool.endpoint == "/tools/" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
    assert tool.description.strip()
    assert not tool.writes
    for parameter, field in tool.parameters.model_fields.items():
        assert field.description, parameter
        assert published_type(field) in ("string", "integer", "boolean"), parameter
        assert not field.is_required()
        for choice in choices(field) or ():
            assert read(tool.parameters, {parameter: str(choice).upper()})
    assert "compare" in tool.parameters.model_fields or name == "ExplainAlert"


def test_names_and_addresses_are_unique() -> None:
    assert len({tool.endpoint for tool in TOOLS.values()}) == len(TOOLS) == 12
    assert len({tool.snake_name for tool in TOOLS.values()}) == len(TOOLS)


@pytest.mark.parametrize("name", OF_TABLES)
def test_an_answer_is_small_and_says_what_it_is_of(usual: Kit, name: str) -> None:
    for more in ({}, *OTHERS.get(name, [])):
        answer = ask(usual, name, **more)
        assert len(json.dumps(answer, ensure_ascii=False).encode()) <= USUAL
        assert answer["summary"].endswith((".", "…"))
        assert answer["as_of"] == "2026-11-22T07:00:00Z"
        if name in OF_MARTS:
            assert answer["first_day"] in answer["summary"]
            assert answer["environment"] in answer["summary"].replace("all environments", "all")


@pytest.mark.parametrize("name", [name for name in OF_TABLES if name != "ExplainAlert"])
def test_compared_answers_fit_too(usual: Kit, name: str) -> None:
    answer = ask(usual, name, compare="previous")
    assert len(json.dumps(answer, ensure_ascii=False).encode()) <= USUAL
    if name in OF_MARTS and name != "GetDurations":
        assert answer["previous_last_day"] < answer["first_day"]


@pytest.mark.parametrize("name", OF_TABLES)
def test_odd_names_make_no_answer_long_or_of_several_lines(hostile: Kit, name: str) -> None:
    for more in ({"limit": 50} if "limit" in TOOLS[name].parameters.model_fields else {}, {}):
        answer = ask(hostile, name, **more, **({"days": 30} if "days" in TOOLS[name].parameters.model_fields else {}))
        assert len(json.dumps(answer, ensure_ascii=False).encode()) <= MOST
        assert "\n" not in answer["summary"]
        assert len(answer["summary"]) < 1_500


def test_of_too_many_days_the_newest_are_listed(usual: Kit) -> None:
    answer = ask(usual, "GetInstallerSuccessRate", by="day", days=20, limit=4)
    assert [row["name"] for row in answer["rows"]] == ["2026-11-18", "2026-11-19", "2026-11-20", "2026-11-21"]
    assert answer["more"] == 16


def test_rows_left_out_are_counted(hostile: Kit) -> None:
    answer = ask(hostile, "GetAlerts", limit=50)
    assert answer["open"] == 60
    assert len(answer["rows"]) + answer["more"] == 60
    assert ask(hostile, "GetAlerts", limit=3)["more"] == 57


@given(sizes=st.lists(st.integers(0, 3_000), max_size=40), limit=st.integers(1, 50))
@settings(deadline=None)
def test_what_fits_is_kept_in_order(sizes: list[int], limit: int) -> None:
    rows = [{"n": place, "text": "x" * size} for place, size in enumerate(sizes)]
    kept, more = fitted(iter(rows), limit)
    assert kept == rows[: len(kept)]
    assert len(kept) + more == len(rows)
    assert len(kept) <= limit
    assert len(kept) <= 1 or sum(len(json.dumps(row)) for row in kept) <= 7_000
    assert kept or not rows


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "message", "guidance"),
    [
        ("GetComponentHealth", {"component": "pyton_instal"}, "pyton_instal", "python_install"),
        ("GetInstallerSuccessRate", {"architecture": "arm65"}, "arm65", "Did you mean arm64"),
        ("GetInstallerSuccessRate", {"os": "macos 15.2"}, "macos 15.2", "Did you mean macOS 15.1"),
        ("GetInstallerSuccessRate", {"by": "commit", "component": "packages"}, "Commits", "GetCommitRegressions"),
        ("GetInstallerSuccessRate", {"by": "error_type"}, "by", "GetErrorTypes"),
        ("GetErrorTypes", {"fromDate": "2026-11-20", "toDate": "2026-11-10"}, "after toDate", "earlier"),
        ("GetErrorTypes", {"fromDate": "2026-12-24"}, "not complete yet", "2026-11-21"),
        ("GetErrorTypes", {"toDate": "yesterday"}, "toDate must be a day", "2026-11-20"),
        ("GetErrorTypes", {"fromDate": "2020-01-01", "toDate": "2026-11-20"}, "more than 366 days", "at most"),
        ("GetErrorTypes", {"days": 91}, "days", "1 to 90"),
        ("GetErrorTypes", {"compare": "last"}, "compare", "previous"),
        ("GetErrorTypes", {"environment": "prod"}, "environment", "production"),
        ("GetDurations", {"days": 14}, "days must be 1, 7, 30 or 90", "1, 7, 30 or 90"),
        ("GetDurations", {"environment": "all"}, "apart", "production"),
        ("GetCommitRegressions", {"commit": "fffffff"}, "fffffff", "Known are"),
        ("GetCommitRegressions", {"commit": "main"}, "main", "hex"),
        ("GetCommitRegressions", {"environment": "ci"}, "production only", "GetInstallerSuccessRate"),
        ("GetAlerts", {"rule": "arch_gaps"}, "no such alert rule", "Did you mean arch_gap"),
        ("ExplainAlert", {"id": "0123456789"}, "0123456789", "GetAlerts"),
        ("ExplainAlert", {"component": "cleanup"}, "cleanup", "GetAlerts"),
        ("GetLatestReport", {"report": "monthly"}, "No monthly report", "matokit report monthly"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_to_do(
    usual: Kit, name: str, arguments: dict[str, Any], message: str, guidance: str
) -> None:
    with pytest.raises(Problem) as caught:
        ask(usual, name, **arguments)
    assert message in caught.value.message
    assert guidance in caught.value.guidance
    assert caught.value.status == 400
    assert len(caught.value.guidance) < 1_200


def test_an_unknown_name_among_thousands_lists_a_few(hostile: Kit) -> None:
    with pytest.raises(Problem) as caught:
        ask(hostile, "GetComponentHealth", component="python_install\n" + "y" * 1_900)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 200


def test_names_are_read_as_people_write_them(usual: Kit) -> None:
    by_name = ask(
        usual, "GetInstallerSuccessRate", architecture="Apple Silicon", os="MACOS", component="Python Install"
    )
    plain = ask(usual, "GetInstallerSuccessRate", architecture="arm64", os="macOS", component="python_install")
    assert by_name["total"] == plain["total"]
    assert "for python_install on macOS arm64" in by_name["summary"]


# -- days -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "first", "last"),
    [
        ({}, "2026-11-15", "2026-11-21"),
        ({"days": "3"}, "2026-11-19", "2026-11-21"),
        ({"toDate": "2026-11-10", "days": 2}, "2026-11-09", "2026-11-10"),
        ({"fromDate": "2026-11-10", "days": 2}, "2026-11-10", "2026-11-11"),
        ({"fromDate": "2026-11-10"}, "2026-11-10", "2026-11-21"),
        ({"fromDate": "2026-11-10", "toDate": "2026-12-31"}, "2026-11-10", "2026-11-21"),
        ({"fromDate": "2026-11-03", "toDate": "2026-11-04", "days": 30}, "2026-11-03", "2026-11-04"),
    ],
)
def test_days_end_with_the_last_complete_one(usual: Kit, arguments: dict[str, Any], first: str, last: str) -> None:
    answer = ask(usual, "GetInstallerSuccessRate", **arguments)
    assert (answer["first_day"], answer["last_day"]) == (first, last)


# -- homes of every kind ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_home_without_a_snapshot_has_no_numbers(tmp_path: Path, name: str) -> None:
    page_homes.settings_of(tmp_path)
    with kit_of(tmp_path) as kit:
        if name in OF_MARTS or name in ABOUT_DAYS:
            with pytest.raises(NothingPublished):
                ask(kit, name)
        elif name == "GetLatestReport":
            with pytest.raises(Problem) as caught:
                ask(kit, name)
            assert caught.value.status == 400
        else:
            assert "No alert" in ask(kit, name)["summary"]
            assert not state.file_of(tmp_path).exists()


@pytest.mark.parametrize("name", [name for name in ABOUT_DAYS if name != "GetDataStatus"])
def test_before_the_first_reading_nothing_can_be_counted(tmp_path: Path, name: str) -> None:
    page_homes.home_of(tmp_path, None)
    with kit_of(tmp_path) as kit, pytest.raises(Problem) as caught:
        ask(kit, name)
    assert caught.value.status == 503
    assert "No day is complete yet" in caught.value.message


def test_a_day_without_events_has_no_rate(tmp_path: Path) -> None:
    page_homes.home_of(tmp_path, page_homes.one_event())
    with kit_of(tmp_path) as kit:
        answer = ask(kit, "GetInstallerSuccessRate", days=3, compare="previous")
        assert answer["total"]["events"] == 0
        assert answer["total"]["success_rate"] is None
        assert answer["total"]["change_points"] is None
        assert "there was no installer event" in answer["summary"]
        by_day = ask(kit, "GetInstallerSuccessRate", by="day")
        assert [row["success_rate"] for row in by_day["rows"]].count(None) == len(by_day["rows"]) - 1
        assert "fewer than 10 events say little" in by_day["summary"]
        assert ask(kit, "GetInstallerHealth", days=3)["state"] == "unknown"
        for name in ABOUT_DAYS:
            assert ask(kit, name, compare="previous")["summary"]


def test_old_data_are_said_to_be_old(tmp_path: Path) -> None:
    page_homes.home_of(tmp_path, runs(days=16), stale=True)
    with kit_of(tmp_path) as kit:
        health = ask(kit, "GetInstallerHealth")
        assert health["state"] == "unknown"
        assert "The data are old: complete to 2026-11-21 22:00 UTC only, 9 h 10 min ago." in health["summary"]
        status = ask(kit, "GetDataStatus", days=7)
        assert status["state"] == "stale"
        assert status["age_hours"] == pytest.approx(9.17, abs=0.01)
        past = ask(kit, "GetInstallerSuccessRate", toDate="2026-11-15", days=3)
        assert "old" not in past["summary"]


def test_a_source_that_is_left_behind_is_named(tmp_path: Path) -> None:
    home = page_homes.home_of(tmp_path, runs(days=16))
    with home.warehouse.writer() as connection:
        for name, mirror_of in (("lab", None), ("lab_copy", "lab")):
            connection.execute(
                "insert into ledger.sources (source, kind, site_id, zone, url, proven_from, watermark, mirror_of) "
                "values (?, 'matomo', '2', 'UTC', 'https://lab.example.org', ?, ?, ?)",
                [name, NOW - timedelta(days=40), NOW - timedelta(days=3), mirror_of],
            )
    build_and_publish(home)
    with kit_of(tmp_path) as kit:
        answer = ask(kit, "GetInstallerSuccessRate")
        assert answer["last_day"] == "2026-11-21"
        assert answer["summary"].endswith(" Source lab is complete to 2026-11-19 07:10 UTC only.")
        status = ask(kit, "GetDataStatus", days=10)
        assert status["state"] == "incomplete"
        assert {row["source"]: row["state"] for row in status["sources"]} == {
            "installers": "complete", "lab": "stale", "lab_copy": "stale",
        }  # fmt: skip
        assert "Source lab is complete to 2026-11-19 07:10 UTC only." in status["summary"]
        assert "Mirror lab_copy is complete to 2026-11-19 07:10 UTC only." in status["summary"]
        assert not answer["data_complete"]


def test_a_store_that_cannot_be_read_is_no_peace(tmp_path: Path) -> None:
    page_homes.home_of(tmp_path, runs(days=16))
    state.file_of(tmp_path).write_bytes(b"no database" * 100)
    with kit_of(tmp_path) as kit:
        health = ask(kit, "GetInstallerHealth")
        assert health["state"] == "incomplete"
        assert "Whether an alert is open cannot be read." in health["summary"]
        with pytest.raises(StateError):
            ask(kit, "GetAlerts")


def test_rules_that_nobody_evaluates_are_said(tmp_path: Path) -> None:
    page_homes.home_of(tmp_path, runs(days=16))
    with kit_of(tmp_path) as kit:
        health = ask(kit, "GetInstallerHealth")
        assert health["state"] == "incomplete"
        assert "The alert rules were never evaluated." in health["summary"]


def test_a_new_snapshot_is_answered_from_at_once(tmp_path: Path) -> None:
    home = page_homes.home_of(tmp_path, runs(days=16))
    clock = FixedClock(NOW)
    with kit_of(tmp_path, clock) as kit:
        before = ask(kit, "GetInstallerSuccessRate", days=1)["total"]["events"]
        with home.warehouse.writer() as connection:
            connection.execute("update ledger.sources set watermark = watermark - interval 1 day")
        build_and_publish(home)
        clock.advance(timedelta(seconds=1))
        assert before
        assert ask(kit, "GetInstallerSuccessRate", days=1)["last_day"] == "2026-11-20"


def test_web_reports_are_part_of_the_data(tmp_path: Path) -> None:
    home = page_homes.home_of(tmp_path, runs(days=16))
    with kit_of(tmp_path) as kit:
        assert ask(kit, "GetDataStatus")["web_reports"] is None
    with home.warehouse.writer() as connection:
        connection.execute(
            """
            create or replace table marts.web_periods as
            select 'installers' as source, '1' as site_id, 'day' as period, day as period_start, day as period_end,
                   case when day < date '2026-11-19' then 'final' when day < date '2026-11-21' then 'provisional'
                        else 'unknown' end as state,
                   timestamptz '2026-11-22 05:00:00+00' as as_of, 10::bigint as reports
            from (select unnest(range(date '2026-10-01', date '2026-11-22', interval 1 day))::date as day)
            """
        )
    zone = str(page_homes.ZONE)
    publish(home.warehouse, code_version=__version__, rule_version=RULE_VERSION, project_zone=zone)
    with kit_of(tmp_path) as kit:
        answer = ask(kit, "GetDataStatus", days=10)
        assert answer["web_reports"] == [
            {
                "source": "installers", "state": "incomplete", "final_days": 7, "provisional_days": 2,
                "unknown_days": 1, "unread_days": 0, "last_day": "2026-11-20",
                "asked_at": "2026-11-22T05:00:00Z", "read_at": None,
            }
        ]  # fmt: skip
        said = "Web reports: 7 final days; installers 2 provisional days and 1 unknown day."
        assert said in answer["summary"]


def test_many_callers_at_once_get_the_same_answers(tmp_path: Path) -> None:
    page_homes.home_of(tmp_path, runs(days=16))
    with kit_of(tmp_path) as kit, ThreadPoolExecutor(12) as pool:
        asked = [name for _ in range(12) for name in OF_MARTS]
        found = list(pool.map(lambda name: json.dumps(ask(kit, name)), asked))
        assert [json.dumps(ask(kit, name)) for name in asked] == found


# -- alerts -----------------------------------------------------------------------------------------------------------


def test_alerts_are_listed_and_explained_by_id(usual: Kit) -> None:
    listed = ask(usual, "GetAlerts")
    assert [row["rule"] for row in listed["rows"]] == ["component_failure_rate", "overall_success_rate", "arch_gap"]
    assert [row["is_silenced"] for row in listed["rows"]] == [False, False, True]
    assert listed["rows"][0]["link"].startswith("https://matokit.example.org")
    for row in listed["rows"]:
        explained = ask(usual, "ExplainAlert", id=row["id"].upper())
        assert explained["alert"]["id"] == row["id"]
        assert explained["numbers"]["n"]
        assert explained["runbook"].endswith(f"#{row['rule']}")
        assert {one["of"] for one in explained["conditions"]} >= {"trigger"}
    assert ask(usual, "ExplainAlert")["alert"]["rule"] == "component_failure_rate"
    assert ask(usual, "ExplainAlert", component="x86_64")["alert"]["rule"] == "arch_gap"
    health = ask(usual, "GetInstallerHealth")
    assert (health["state"], health["alerts"]["open"], health["alerts"]["silenced"]) == ("failing", 2, 1)


def test_alerts_are_chosen(usual: Kit) -> None:
    assert ask(usual, "GetAlerts", severity="warning")["open"] == 1
    assert ask(usual, "GetAlerts", component="PYTHON_INSTALL")["open"] == 1
    assert ask(usual, "GetAlerts", state="past")["rows"] == []
    compared = ask(usual, "GetAlerts", days=1, compare="previous")
    assert (compared["began"], compared["previous_began"]) == (3, None)  # of evaluations before, none is kept


# -- words ------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 100_000), st.integers(1, 100_000))
def test_a_share_never_reads_as_all_or_nothing(part: int, whole: int) -> None:
    share = min(part, whole) / whole
    read_as = percent(share)
    assert (read_as == "100.0 %") == (share == 1)
    assert (read_as == "0.0 %") == (share == 0)
    if read_as != "under 0.1 %":
        assert abs(float(read_as[:-2]) - 100 * share) <= 0.1


def test_lists_and_times_read_as_people_say_them() -> None:
    assert joined(["a"]) == "a"
    assert joined(["a", "b"]) == "a and b"
    assert joined(["a", "b", "c"]) == "a, b and c"
    assert joined(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert [seconds(value) for value in (0, 45.4, 60, 200, 3_600, 3_900)] == [
        "0 s", "45 s", "1 min", "3 min 20 s", "1 h", "1 h 5 min",
    ]  # fmt: skip
