"""The queries of docs/cookbook.md as they stand there, against what the simulator sent, counted in plain Python."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from math import sqrt
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from matokit_pipelines.cli import main
from matokit_pipelines.simulator import generate
from matokit_pipelines.warehouse.refresh import build_and_publish, extract
from tests.simulated import NOW, home_of, simulator

TEXT = (Path(__file__).parents[2] / "docs" / "cookbook.md").read_text(encoding="utf-8")
QUESTIONS = dict(re.findall(r"^## (.+?)\n.*?```sql\n(.+?)```", TEXT, re.MULTILINE | re.DOTALL))
ZONE = ZoneInfo("Europe/Copenhagen")
YESTERDAY = NOW.astimezone(ZONE).date() - timedelta(days=1)


@pytest.fixture(scope="module")
def truth():
    return generate(days=21, events_per_day=900, seed=7, end=NOW)


@pytest.fixture(scope="module")
def home(truth, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cookbook")
    with simulator(truth) as server:
        made = home_of(folder, server, truth)
        extract(made)
        build_and_publish(made)
    return made


@pytest.fixture
def answer(home, capfd, monkeypatch):
    """The rows that `matokit query` prints for a question of the cookbook."""

    def ask(question):
        monkeypatch.chdir(home.loaded.home.parent)
        sql = QUESTIONS[question].replace("now()", f"timestamptz '{NOW.isoformat()}'")  # the home's clock stands still
        assert main.run(["query", sql, "--json"]) == 0
        return json.loads(capfd.readouterr().out)

    return ask


@pytest.fixture(scope="module")
def counted(truth):
    """Production events that are in the rates, each with its local day."""
    rows = truth.events.to_dicts()
    kept = [row for row in rows if row["in_scope"] and row["counted"] and row["environment"] == "production"]
    return [row | {"day": row["event_ts"].astimezone(ZONE).date()} for row in kept]


def wilson_low(failures, events):
    share, z = failures / events, 1.96
    middle = share + z * z / (2 * events)
    return (middle - z * sqrt(share * (1 - share) / events + z * z / (4 * events**2))) / (1 + z * z / events)


def test_the_cookbook_answers_five_questions():
    assert len(QUESTIONS) == 5
    assert len(re.findall(r"^## ", TEXT, re.MULTILINE)) == 5


def test_which_component_fails_most_on_which_operating_system(answer, counted):
    totals = defaultdict(lambda: [0, 0])
    for row in counted:
        if row["day"] <= YESTERDAY:
            found = totals[row["component"], row["os_release"] or "unknown"]
            found[0] += 1
            found[1] += row["outcome"] == "failure"
    ranked = sorted((-max(0.0, wilson_low(failed, n)), *key, n, failed) for key, (n, failed) in totals.items())[:10]
    rows = answer("Which component fails most on which operating system?")
    assert [(r["component"], r["os_release"], r["events"], r["failures"]) for r in rows] == [r[1:] for r in ranked]
    for row, (low, *_) in zip(rows, ranked, strict=True):
        assert row["failing_at_least"] == pytest.approx(-low)
        assert row["failing_share"] == pytest.approx(row["failures"] / row["events"])


def test_which_commit_made_python_install_worse(answer, truth, counted):
    bad = next(incident for incident in truth.incidents if incident.kind == "commit")
    first, *others = answer("Which commit made python_install worse?")
    assert first["commit_sha"] == bad.subject
    assert first["predecessor_sha"] == bad.expectation["predecessor"]
    assert all(other["chance_worse"] >= first["chance_worse"] for other in others)

    with_it = sorted((row for row in counted if row["commit_sha"] == bad.subject), key=lambda row: row["event_ts"])
    deployed = with_it[0]["event_ts"]
    assert datetime.fromisoformat(first["deployed_at"]) == deployed
    first_tries = {}
    for row in with_it:
        if row["component"] == "python_install" and row["event_ts"] < deployed + timedelta(hours=24):
            first_tries.setdefault(machine(row), row["outcome"])
    assert first["units"] == len(first_tries)
    assert first["unit_failures"] == sum(outcome == "failure" for outcome in first_tries.values())
    assert first["failing_share"] > first["expected_share"] + 0.05


def machine(row):
    """What one machine is told by; a row without a visitor is a machine of its own."""
    if not row["visitor_id"]:
        return id(row)
    return row["visitor_id"], row["os_family"], row["os_version"], row["architecture"]


def test_how_many_machines_ran_an_installation_last_week(answer, truth, counted):
    monday, sunday = date(2026, 10, 19), date(2026, 10, 25)  # with the hour that autumn repeats
    machines = {machine(row) for row in counted if monday <= row["day"] <= sunday}
    [row] = answer("How many machines ran an installation last week?")
    assert row["week_start"] == monday.isoformat()
    assert row["machines"] == len(machines)
    assert row["installations"] == installations(truth, monday, sunday)


def installations(truth, first, last):
    """Per machine and day the starts of a run, at least one, over all production events but tests."""
    starts = defaultdict(int)
    for row in truth.events.to_dicts():
        day = row["event_ts"].astimezone(ZONE).date()
        is_ours = row["in_scope"] and row["environment"] == "production" and row["form"] != "test"
        if is_ours and first <= day <= last:
            starts[machine(row), day] += row["name"] in ("orchestrator_start", "installation_start")
    return sum(max(1, count) for count in starts.values())


def test_since_when_macos_26_is_seen(answer, counted):
    seen = min(row["event_ts"] for row in counted if (row["os_release"] or "").startswith("macOS 26."))
    first, *_ = answer("Since when is macOS 26 seen?")
    assert datetime.fromisoformat(first["first_seen"]) == seen.replace(tzinfo=UTC)
    assert first["first_date"] == "2026-10-19"
    assert first["events"] == sum(row["os_release"] == first["os_release"] for row in counted)


def test_how_complete_yesterday_is(answer, truth):
    events = truth.events.filter(truth.events["category"].is_not_null())["event_ts"].to_list()
    sent = sum(instant.astimezone(ZONE).date() == YESTERDAY for instant in events)
    [row] = answer("How complete is yesterday?")
    assert row["event_date"] == YESTERDAY.isoformat()
    assert (row["landed"], row["reported"], row["extracted"], row["withheld"], row["gaps"]) == (sent, sent, sent, 0, 0)
    assert (row["source"], row["is_read"], row["verdict"], row["last_error"]) == ("installers", True, "equal", None)
