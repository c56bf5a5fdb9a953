"""Alerts in the graph: evaluated in each refresh, delivered by runs that the sensor asks for, in nobody's way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from matokit_pipelines import state
from matokit_pipelines.alerts import store
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.delivery import outbox
from matokit_pipelines.delivery.files import open_notices
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.errors import StateError
from matokit_pipelines.orchestration import alert_sensor as sensor_module
from matokit_pipelines.orchestration import alerting, in_process
from matokit_pipelines.orchestration.alert_sensor import alert_sensor
from matokit_pipelines.orchestration.assets import alerts as asset_module
from matokit_pipelines.orchestration.assets.alerts import ALERTS
from matokit_pipelines.orchestration.days import DELIVER, EVALUATE, REFRESH
from matokit_pipelines.orchestration.definitions import build_definitions
from matokit_pipelines.orchestration.resources import GivenHome
from matokit_pipelines.simulator import MatomoSimulator, Truth, generate
from matokit_pipelines.warehouse.probe import probe
from matokit_pipelines.warehouse.refresh import Home
from tests.replay import home_at

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)  # a Wednesday, 13:00 in Copenhagen
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture(autouse=True)
def no_other_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")


@pytest.fixture(scope="module")
def truth() -> Truth:
    return generate(days=9, events_per_day=60, seed=3, end=NOW, incidents=False, eras=False)


def broken(truth: Truth, since: datetime, minutes: int = 60) -> pl.DataFrame:
    """The truth's events with a stretch in which one machine a minute fails at one step."""
    pattern = truth.events.filter(pl.col("category") == "Installer").head(1)
    more = pl.concat([pattern] * minutes).with_columns(
        event_ts=pl.Series([since + timedelta(minutes=n) for n in range(minutes)]).cast(pattern.schema["event_ts"]),
        visitor_id=pl.Series([f"{n + 1:016x}" for n in range(minutes)]),
        name=pl.lit("python_install_network_error"),
        value=pl.lit(0.0),
    )
    return pl.concat([truth.events, more]).sort("event_ts", maintain_order=True)


def home_for(server: MatomoSimulator, truth: Truth, folder: Path, now: datetime = NOW, **more: Any) -> Home:
    environ = {"MATOKIT_INSTALLERS_TOKEN": server.token}
    return home_at(folder, server.url, now=now, start=truth.start.date(), environ=environ, **more)


def at(home: Home, now: datetime) -> Home:
    """The same home at another moment."""
    return Home.of(home.loaded, FixedClock(now), wait_seconds=5)


def rows(home: Home) -> list[outbox.Row]:
    with state.opened(home.loaded.home) as store:
        return outbox.listed(store)


# -- a refresh --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def refreshed(truth: Truth, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, in_process.Outcome]]:
    """A home whose first refresh covers an hour in which everything failed."""
    with (
        pytest.MonkeyPatch.context() as patch,
        MatomoSimulator(broken(truth, NOW - timedelta(minutes=80)), now=lambda: NOW, zone=truth.zone) as server,
    ):
        patch.setenv("DAGSTER_HOME", "")
        patch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
        home = home_for(server, truth, tmp_path_factory.mktemp("home"))
        yield home, in_process.refresh(home, with_reports=False)


def test_a_run_in_process_evaluates_and_delivers_at_its_end(refreshed: tuple[Home, in_process.Outcome]) -> None:
    home, outcome = refreshed
    assert outcome.trouble is None
    assert any(line.startswith("Alerts: ") for line in outcome.lines), outcome.lines
    told = [row for row in rows(home) if row.message_key.startswith("overall_success_rate|*|production|1|firing")]
    assert [(row.destination, row.state, row.severity) for row in told] == [("files", "sent", "critical")]
    assert any((home.loaded.home / "messages").iterdir())


def test_the_asset_says_what_it_found(refreshed: tuple[Home, in_process.Outcome]) -> None:
    home, _ = refreshed
    with in_process.instance_of(home.loaded.home) as instance:
        done = instance.get_latest_materialization_event(ALERTS)
    assert done
    assert done.asset_materialization
    said = {name: value.value for name, value in done.asset_materialization.metadata.items()}
    assert said["ticks_evaluated"] == 1, "a first run evaluates the current tick only"
    assert said["open"] >= said["started"] >= 1
    assert said["ended"] == 0
    assert said["messages_queued"] >= 1
    assert said["complete_to"] == (NOW - timedelta(minutes=10)).timestamp()


def test_a_failing_evaluation_holds_up_nothing_and_is_told(
    truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(home: Home) -> None:
        raise ValueError("token_auth=0123456789abcdef")

    monkeypatch.setattr(asset_module, "run_pass", fails)
    with MatomoSimulator(truth, now=lambda: NOW) as server:
        home = home_for(server, truth, tmp_path)
        outcome = in_process.refresh(home, with_reports=False)
    assert any(line.startswith("Published snapshot") for line in outcome.lines)
    assert isinstance(outcome.trouble, StateError)
    [notice] = open_notices(home.loaded.home)
    assert notice.text == str(outcome.trouble)
    assert "ValueError" in notice.text
    assert "token_auth" not in notice.text
    told = [row for row in rows(home) if row.message_key.startswith("operators|")]
    assert [(row.destination, row.state) for row in told] == [("files", "sent")]
    monkeypatch.undo()
    monkeypatch.setenv("DAGSTER_HOME", "")
    assert in_process.evaluate(home).trouble is None
    assert open_notices(home.loaded.home) == [], "what was told is over"


def test_an_evaluation_that_fails_alike_again_is_told_of_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(home: Home) -> None:
        raise StateError("state.sqlite is damaged; move it aside.")

    monkeypatch.setattr(asset_module, "run_pass", fails)
    for _ in range(3):
        assert isinstance(in_process.evaluate(home).trouble, StateError)
    assert len(rows(home)) == 1
    [notice] = open_notices(home.loaded.home)
    assert notice.text.endswith("state.sqlite is damaged; move it aside.")


# -- the sensor -------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_at(tmp_path, "http://127.0.0.1:9", now=NOW)


def asked(home: Home, instance: dg.DagsterInstance) -> tuple[list[dg.RunRequest], str]:
    """What the sensor asks for at a tick, and what it says."""
    context = dg.build_sensor_context(instance=instance, resources={"home": GivenHome(home)})
    found = alert_sensor(context)
    assert isinstance(found, dg.SensorResult)
    return list(found.run_requests or []), found.skip_reason.skip_message or "" if found.skip_reason else ""


def put(home: Home, key: str, *, due: datetime = NOW, destination: str = "files") -> None:
    with state.opened(home.loaded.home) as store, state.transaction(store):
        assert outbox.enqueue(
            store, message_key=f"{key}|{destination}", conversation=f"{key}|{destination}", destination=destination,
            severity="critical", message=Message("Something failed", "13 of 25 events failed."), due=due, now=NOW,
        )  # fmt: skip


def test_nothing_due_is_no_run(home: Home) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        put(home, "overall_success_rate|*|production|1|firing", due=NOW + timedelta(minutes=1))
        requests, said = asked(home, instance)
    assert requests == []
    assert said == "No message is due. No evaluation is due."


def test_messages_that_are_due_become_one_run_that_says_what_they_are_about(home: Home) -> None:
    put(home, "new_failure_pattern|python_install|production|1|firing")
    put(home, "new_failure_pattern|<!channel>\r\nr|production|1|firing", destination="email:a@example.org")
    with dg.DagsterInstance.ephemeral() as instance:
        [request], _ = asked(home, instance)
        [again], _ = asked(home, instance)
        [later], _ = asked(at(home, NOW + timedelta(minutes=6)), instance)
    assert request.job_name == DELIVER
    assert request.tags["rule"] == "new_failure_pattern"
    assert request.tags["severity"] == "critical"
    assert set(request.tags["destination"].split(", ")) == {"files", "email:a@example.org"}
    assert "python_install" in request.tags["subject"]
    assert "\n" not in request.tags["subject"]
    assert request.run_key == again.run_key != later.run_key, "a double is one run; what is left over is asked for anew"


@pytest.mark.parametrize(("job", "kept"), [(DELIVER, False), (REFRESH, True), (EVALUATE, True)])
def test_one_delivery_at_a_time_and_deliveries_wait_for_nothing_else(home: Home, job: str, kept: bool) -> None:
    put(home, "overall_success_rate|*|production|1|firing")
    definitions = build_definitions(GivenHome(home))
    with dg.DagsterInstance.local_temp() as instance:
        run = instance.create_run_for_job(definitions.resolve_job_def(job), status=dg.DagsterRunStatus.STARTED)
        requests, said = asked(home, instance)
    assert [request.job_name for request in requests] == ([DELIVER] if kept else [])
    assert kept or f"Run {run.run_id[:8]} of {job} is going on." in said


def test_a_destination_that_has_long_been_failing_costs_a_run_every_two_minutes_at_most(home: Home) -> None:
    put(home, "overall_success_rate|*|production|1|firing")
    with state.opened(home.loaded.home) as store:
        store.execute("update outbox set attempts = 9")
    with dg.DagsterInstance.ephemeral() as instance:
        requests, said = asked(home, instance)
        assert requests == []
        assert "gather for the next try" in said
        assert asked(at(home, NOW + sensor_module.GATHERED), instance)[0]
        put(home, "high_volume_failures|*|production|1|firing")
        assert asked(home, instance)[0], "one that is new goes at once, and takes the others along"


def test_the_run_that_is_asked_for_sends_what_is_due(home: Home) -> None:
    put(home, "overall_success_rate|*|production|1|firing")
    job = build_definitions(GivenHome(home)).resolve_job_def(DELIVER)
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance, run_config=QUIET).success
        assert [row.state for row in rows(home)] == ["sent"]
        assert asked(home, instance)[0] == []
    texts = [file.read_text(encoding="utf-8") for file in (home.loaded.home / "messages").rglob("*.txt")]
    assert any("13 of 25 events failed." in text for text in texts)


def test_a_watermark_that_moved_without_a_refresh_becomes_an_evaluation(truth: Truth, tmp_path: Path) -> None:
    clock = FixedClock(NOW)
    with MatomoSimulator(truth, now=clock.now) as server, dg.DagsterInstance.local_temp() as instance:
        home = home_for(server, truth, tmp_path)
        in_process.refresh(home, with_reports=False)
        assert asked(home, instance) == ([], "No message is due. No evaluation is due.")
        clock.advance(timedelta(minutes=10))
        later = at(home, clock.now())
        due = probe(later)
        assert (due.is_due, due.complete_to) == (False, NOW)
        alerting.note_complete_to(later, due.complete_to)
        definitions = build_definitions(GivenHome(home))
        run = instance.create_run_for_job(definitions.resolve_job_def(REFRESH), status=dg.DagsterRunStatus.STARTED)
        assert asked(later, instance)[0] == [], "a refresh evaluates by itself"
        instance.report_run_failed(run)
        # by what was noted and the snapshot alone: a reader of the warehouse would block a writer
        (tmp_path / ".matokit" / "warehouse.duckdb").rename(tmp_path / "away.duckdb")
        [request], _ = asked(later, instance)
        assert request.job_name == EVALUATE
        (tmp_path / "away.duckdb").rename(tmp_path / ".matokit" / "warehouse.duckdb")
        assert in_process.evaluate(later).trouble is None
        assert asked(later, instance)[0] == []


def test_a_tick_in_process_evaluates_where_a_refresh_would_do_nothing(truth: Truth, tmp_path: Path) -> None:
    clock = FixedClock(NOW)
    with MatomoSimulator(truth, now=clock.now) as server:
        home = home_for(server, truth, tmp_path)
        assert in_process.tick(home) is not None
        assert in_process.tick(home) is None
        clock.advance(timedelta(minutes=10))
        done = in_process.tick(at(home, clock.now()))
    assert done is not None
    assert (done.trouble, done.is_refresh) == (None, False)
    with state.opened(home.loaded.home) as connection:
        assert store.progress(connection).evaluated_to == NOW
    with in_process.instance_of(home.loaded.home) as instance:
        assert [run.job_name for run in instance.get_runs()].count(REFRESH) == 1


def test_a_message_holds_no_more_than_it_must(home: Home) -> None:
    """Tags of runs are shown to whoever opens the web page; payloads stay in the outbox."""
    put(home, "overall_success_rate|*|production|1|firing")
    with dg.DagsterInstance.ephemeral() as instance:
        [request], _ = asked(home, instance)
    assert "13 of 25" not in json.dumps(dict(request.tags))
