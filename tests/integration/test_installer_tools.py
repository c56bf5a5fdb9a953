"""Installer tools on whole homes: the questions people ask, their sentences read aloud, and the reports' own numbers.

Not here: refusals and odd homes (tests/unit/test_installer_tools.py), plain Python (..._numbers.py).
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines import state
from matokit_pipelines.alerts import silences
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import NothingPublished
from matokit_pipelines.reports.index.numbers import freshness
from matokit_pipelines.reports.monthly.numbers import monthly_numbers
from matokit_pipelines.reports.rendering import ReportFiles
from matokit_pipelines.reports.weekly.numbers import weekly_numbers
from matokit_pipelines.settings import load
from matokit_pipelines.toolserver.installer.doubts import missing
from matokit_pipelines.toolserver.installer.ground import ground_of
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.warehouse.serving import SnapshotStore
from matokit_pipelines.warehouse.snapshots import open_current
from matokit_pipelines.windows import days_window
from tests import installer_tools, page_homes
from tests.homes import HOMES
from tests.homes import NOW as HOMES_MADE
from tests.installer_tools import NEW, NOW, OLD, TOOLS, ask, kit_of

pytestmark = pytest.mark.slow

SUCCESS = "in production from 2026-11-15 to 2026-11-21, "
WELL = (
    "328 of 336 installer events succeeded (97.6 %, 95 % interval 95.4 to 98.8 %), 8 failed; +0.3 points against "
    "97.3 % from 2026-11-08 to 2026-11-14, which could be chance. No alert is open."
)
HOLES = "1 window does not add up, 4 events were cut off at the source"


def kit_at(factory: pytest.TempPathFactory, scene: str) -> Iterator[Kit]:
    folder = factory.mktemp(scene)
    getattr(installer_tools, scene)(folder)
    with kit_of(folder) as kit:
        yield kit


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    yield from kit_at(tmp_path_factory, "healthy")


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    yield from kit_at(tmp_path_factory, "broken")


@pytest.fixture(scope="module")
def incomplete(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    yield from kit_at(tmp_path_factory, "incomplete")


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> page_homes.Site:
    home = page_homes.home_of(tmp_path_factory.mktemp("usual"), page_homes.usual())
    page_homes.open_alerts(home, page_homes.ALERTS)
    return page_homes.with_pages(home)


@pytest.fixture(scope="module")
def kit(usual: page_homes.Site) -> Iterator[Kit]:
    with kit_of(usual.folder) as one:
        yield one


# -- five questions, each with one call -------------------------------------------------------------------------------


def test_is_the_installer_healthy(healthy: Kit, broken: Kit, incomplete: Kit) -> None:
    well = ask(healthy, "GetInstallerHealth")
    assert well["state"] == "healthy"
    assert well["summary"] == f"The installer is healthy: {SUCCESS}{WELL}"
    bad = ask(broken, "GetInstallerHealth")
    assert bad["state"] == "degraded"
    assert bad["summary"].startswith(
        f"The installer is not quite healthy: {SUCCESS}317 of 336 installer events succeeded (94.3 %, 95 % interval "
        "91.3 to 96.4 %), 19 failed; -3.0 points against 97.3 % from 2026-11-08 to 2026-11-14, which could be chance. "
    )
    assert bad["summary"].endswith(
        "1 of 4 components is in trouble: python_install (13 of 84 events failed, got worse)."
    )
    assert bad["worst_components"][0]["component"] == "python_install"
    assert "5 alerts are open: one architecture fails more often (arm64), " in bad["summary"]
    holes = ask(incomplete, "GetInstallerHealth")
    assert holes["state"] == "incomplete"
    assert holes["summary"] == (
        f"No trouble of the installer is seen, but what is known is incomplete: {SUCCESS}{WELL} The data of these days "
        f"have holes: {HOLES}."
    )


def test_which_commit_broke_python_install(broken: Kit, healthy: Kit) -> None:
    answer = ask(broken, "GetCommitRegressions", component="python_install", days=20)
    assert answer["first_bad_commit"] == NEW
    assert answer["summary"] == (
        f"Commit {NEW} made python_install worse in production: 8 of 12 first tries (66.7 %) failed in its first 24 "
        f"hours (first seen 2026-11-20 05:16 UTC, after {OLD}), usually 2.4 %, less than once in a million "
        "deployments if nothing had changed. A hint, not a proof: the commit is the head of the main branch at "
        "event time."
    )
    assert answer["rows"][0]["link"] == f"https://git.example.org/install-scripts/compare/{OLD}...{NEW}"
    assert ask(broken, "GetCommitRegressions", commit=NEW)["rows"][0]["components_made_worse"] == ["python_install"]
    well = ask(healthy, "GetCommitRegressions", component="python_install", days=20)
    assert well["first_bad_commit"] is None
    assert well["summary"] == "No commit was first seen in production from 2026-11-02 to 2026-11-21 for python_install."


def test_why_was_i_paged(broken: Kit, healthy: Kit) -> None:
    answer = ask(broken, "ExplainAlert", rule="commit_regression")
    assert answer["alert"]["subject"] == NEW
    assert answer["summary"].startswith('The warning alert "new commit fails more often" started 2026-11-20 ')
    assert (
        f"Commit {NEW} was first seen shortly before it and made python_install worse by more than chance."
        in answer["summary"]
    )
    assert all(one["met"] is not False for one in answer["conditions"])
    assert any("points more failures" in one["sentence"] for one in answer["conditions"])
    assert answer["commits_before"][0]["commit"] == NEW
    assert "roll it back" in answer["what_to_do"]
    newest = ask(broken, "ExplainAlert")
    told = [row for row in ask(broken, "GetAlerts", state="all", limit=50)["rows"] if row["told_at"]]
    assert newest["alert"]["told_at"] == max(row["told_at"] for row in told)
    assert f"people were told {newest['alert']['told_at'][:10]}" in newest["summary"]
    nothing = ask(healthy, "ExplainAlert")
    assert nothing["summary"] == "No alert fired in the last 90 days up to 2026-11-22 07:00 UTC."


def test_is_the_data_complete(healthy: Kit, incomplete: Kit) -> None:
    well = ask(healthy, "GetDataStatus", days=14)
    assert (well["state"], well["data_complete"]) == ("complete", True)
    assert well["summary"] == (
        "Yes: the data are complete to 2026-11-22 07:00 UTC and have no known hole from 2026-11-08 to 2026-11-21."
    )
    holes = ask(incomplete, "GetDataStatus", days=14)
    assert holes["state"] == "incomplete"
    assert holes["summary"] == (
        "No: the data are fresh, complete to 2026-11-22 07:00 UTC, but have holes from 2026-11-08 to 2026-11-21. Of "
        f"installers, {HOLES}, so counts may be too low."
    )
    [source] = holes["sources"]
    assert source["gaps"] == [
        {"start": "2026-11-19T07:10:00Z", "end": "2026-11-19T08:10:00Z", "announced": 9, "received": 7}
    ]
    assert ask(incomplete, "GetDataStatus", toDate="2026-11-16", days=5)["state"] == "complete"


def test_how_does_a_component_do(broken: Kit) -> None:
    answer = ask(broken, "GetComponentHealth", component="python_install")
    assert answer["rows"][0]["state"] == "got worse"
    assert answer["summary"] == (
        "In production, for python_install, from 2026-11-15 to 2026-11-21, 71 of 84 installer events succeeded "
        "(84.5 %, 95 % interval 75.3 to 90.7 %), 13 failed; -13.1 points against 97.6 % from 2026-11-08 to 2026-11-14, "
        "worse, more than chance; kinds of error: network 13; most failures on macOS 15.1 78.6 % of 56, macOS 14.2 "
        "96.4 % of 28; half took up to 21 s."
    )


@pytest.mark.parametrize("name", [name for name, of in TOOLS.items() if "fromDate" in of.parameters.model_fields])
def test_holes_in_the_data_are_said_by_every_tool_about_days(incomplete: Kit, name: str) -> None:
    answer = ask(incomplete, name)
    assert HOLES in answer["summary"]
    assert answer["data_complete"] is False


def test_alerts_that_are_over_say_how_they_ended(broken: Kit) -> None:
    answer = ask(broken, "GetAlerts", state="past")
    assert answer["summary"].startswith("2 alerts ended in the last 30 days.")
    assert [row["sentence"] for row in answer["rows"]] == [
        "Overall success rate from 2026-11-20 23:50 UTC for 1 h 25 min, at the worst: 4 of 12 events failed (33 %), "
        "usually 3 %; it recovered.",
        f"New commit fails more often from 2026-11-20 22:15 UTC for 31 h, at the worst: Commit {NEW}: 6 of 20 events "
        f"failed (30 %), with {OLD} before it 8 of 336 (2 %); it could no longer be measured.",
    ]
    assert {row["state"] for row in answer["rows"]} == {"past"}


# -- the reports' own numbers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", range(6))
def test_a_week_is_that_of_the_weekly_summary(usual: page_homes.Site, kit: Kit, back: int) -> None:
    monday = date(2026, 11, 9) - timedelta(days=7 * back)
    days = {"fromDate": str(monday), "toDate": str(monday + timedelta(days=6)), "compare": "previous"}
    with open_current(usual.folder) as snapshot:
        report = weekly_numbers(snapshot, monday, NOW)
    total = ask(kit, "GetInstallerSuccessRate", **days)["total"]
    rates, before = report.totals.this_week.rates, report.totals.week_before.rates
    assert (total["events"], total["failures"]) == (rates.events, rates.failures)
    assert (total["previous_events"], total["previous_failures"]) == (before.events, before.failures)
    for name in ("success_rate", "success_rate_low", "success_rate_high"):
        assert total[name] == pytest.approx(getattr(rates, name), abs=6e-5)
    assert total["change_points"] == pytest.approx(100 * (report.totals.success_rate or 0), abs=6e-3)
    assert total["verdict"] == report.totals.verdict
    assert total["chance"] == pytest.approx(report.totals.chance, rel=0.06)
    rows = {row["name"]: row for row in ask(kit, "GetInstallerSuccessRate", **days, by="component", limit=100)["rows"]}
    health = {row["component"]: row for row in ask(kit, "GetComponentHealth", **days, limit=50)["rows"]}
    for failing in (*report.failing.rows, *report.failing.worse):
        row = rows[failing.component]
        assert (row["events"], row["failures"]) == (failing.this_week.events, failing.this_week.failures)
        assert row["verdict"] == failing.verdict
        assert health[failing.component]["error_type"] == failing.error_type
        assert health[failing.component]["error_type_failures"] == failing.error_type_failures
    commits = {row["commit"]: row for row in ask(kit, "GetCommitRegressions", days=90, limit=50)["rows"]}
    for commit in report.commits.rows:
        if commit.commit_sha in commits:
            row = commits[commit.commit_sha]
            assert row["verdict"] == commit.verdict
            assert (row["events"], row["failures"]) == (commit.first_day.events, commit.first_day.failures)


def test_thirty_days_of_a_month_are_those_of_the_monthly_report(usual: page_homes.Site, kit: Kit) -> None:
    with open_current(usual.folder) as snapshot:
        report = monthly_numbers(snapshot, date(2026, 10, 1), NOW)
    days = {"toDate": "2026-10-31", "days": 30, "compare": "previous"}
    total = ask(kit, "GetInstallerSuccessRate", **days)["total"]
    last, before = report.totals.last.rates, report.totals.before.rates
    assert (total["events"], total["failures"]) == (last.events, last.failures)
    assert (total["previous_events"], total["previous_failures"]) == (before.events, before.failures)
    assert (total["verdict"], total["chance"]) == (report.totals.verdict, pytest.approx(report.totals.chance, rel=0.06))
    releases = ask(kit, "GetOsCompatibility", **days, limit=50)["rows"]
    assert sum(row["events"] for row in releases) == last.events


def test_losses_are_those_of_the_index(incomplete: Kit) -> None:
    after = timedelta(hours=6)
    with open_current(incomplete.loaded.home) as snapshot:
        index = freshness(snapshot, NOW, after)
    with incomplete.snapshots.reading() as reader:
        ground = ground_of(incomplete.snapshots, reader)
    assert index.period is not None
    lost = missing(ground, days_window(index.period.first_day, index.period.last_day, ground.zone))
    assert (lost.windows, lost.days, lost.truncated) == (index.windows, index.days, index.truncated)
    assert lost


# -- reports as they were made ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("report", ["weekly", "daily", "monthly"])
def test_the_newest_report_is_given_as_it_was_made(usual: page_homes.Site, kit: Kit, report: str) -> None:
    answer = ask(kit, "GetLatestReport", report=report, compare="previous")
    files = ReportFiles.at(usual.folder / "reports", report, answer["period"])
    findings = json.loads(files.json.read_text(encoding="utf-8"))["findings"]
    assert answer["headline"] == " ".join(findings["headline"].split())
    assert answer["headline"] in answer["summary"]
    assert answer["link"] == f"https://matokit.example.org/reports/{report}/{answer['period']}.html"
    plain = " ".join(files.text.read_text(encoding="utf-8").split())
    assert plain.startswith(" ".join(answer["text"].split()))
    assert answer["text_is_cut"] == (len(plain) > len(" ".join(answer["text"].split())))
    assert answer["previous_period"] is None
    assert len(json.dumps(answer)) < 8_192
    numbers = ask(kit, "GetLatestReport", report=report, format="numbers")
    assert numbers["numbers"]["totals"]
    assert len(json.dumps(numbers)) < 8_192
    assert "text" not in ask(kit, "GetLatestReport", report=report, format="link")


def test_a_damaged_report_is_said_to_be(usual: page_homes.Site, tmp_path: Path) -> None:
    page_homes.settings_of(tmp_path)
    folder = tmp_path / "reports" / "weekly"
    folder.mkdir(parents=True)
    (folder / "2026-W46.json").write_text("{", encoding="utf-8")
    (folder / "notes.json").write_text("{}", encoding="utf-8")
    with kit_of(tmp_path) as kit:
        with pytest.raises(Problem) as caught:
            ask(kit, "GetLatestReport")
        assert caught.value.status == 503
        (folder / "2026-W47.json").write_text(
            '{"findings": {"headline": "All\\nwell.", "incomplete": ["data to Sunday."]}, "watermark": "x", "now": 3}',
            encoding="utf-8",
        )
        answer = ask(kit, "GetLatestReport", compare="previous")
        assert (
            answer["summary"] == "The weekly report 2026-W47 says: All well. Made from incomplete data: data to Sunday."
        )
        assert (answer["text"], answer["as_of"], answer["previous_period"]) == ("", None, "2026-W46")
        with pytest.raises(Problem) as caught:
            ask(kit, "GetLatestReport", period="2026-W01")
        assert "2026-W47, 2026-W46" in caught.value.guidance
        with pytest.raises(Problem):
            ask(kit, "GetLatestReport", period="../../matokit")


# -- homes of earlier versions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", sorted(file.name.removesuffix(".tar.gz") for file in HOMES.glob("*.tar.gz")))
def test_snapshots_of_earlier_versions_are_answered_from_or_refused(tmp_path: Path, version: str) -> None:
    with tarfile.open(HOMES / f"{version}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    environ = {"MATOKIT_HOME": str(tmp_path)}
    at = FixedClock(HOMES_MADE)
    store = SnapshotStore(tmp_path, at)
    nothing: Any = None
    kit = Kit(load(tmp_path / "matokit.toml", environ, tmp_path), at, store, nothing, nothing, nothing)
    answered, refusals = set(), []
    for name in TOOLS:
        try:
            assert ask(kit, name)["summary"]
            answered.add(name)
        except NothingPublished as error:
            refusals.append(str(error))
    store.close()
    assert all("matokit build" in refusal for refusal in refusals)
    assert answered >= {"GetAlerts", "ExplainAlert"}
    assert version < "0.5" or answered >= set(TOOLS) - {"GetLatestReport"}


# -- silences ---------------------------------------------------------------------------------------------------------


def test_a_silence_is_seen_at_once(tmp_path: Path) -> None:
    home = page_homes.home_of(tmp_path, installer_tools.runs(days=16))
    page_homes.open_alerts(home, [("overall_success_rate", "*", "critical")])
    with kit_of(tmp_path) as kit:
        assert ask(kit, "GetInstallerHealth")["state"] == "failing"
        with state.opened(tmp_path) as connection:
            silences.add(
                connection, matchers={"rule": "overall_success_rate"}, begins_at=NOW, ends_at=NOW + timedelta(hours=1),
                author="operator", reason="maintenance", now=NOW,
            )  # fmt: skip
        answer: dict[str, Any] = ask(kit, "GetInstallerHealth")
        assert (answer["state"], answer["alerts"]["silenced"]) == ("healthy", 1)
        assert "1 open alert is silenced." in answer["summary"]
