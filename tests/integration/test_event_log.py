"""What the rules say over the warehouse is what they say over the same events in memory."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pytest

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.evaluation import EVALUATED, evaluate, evaluate_runs, findings_at, ticks_between
from matokit_pipelines.alerts.event_log import History, LoadedLog
from matokit_pipelines.warehouse.build import BuildOptions, build
from matokit_pipelines.warehouse.connection import in_memory
from matokit_pipelines.warehouse.event_columns import DAY, HOUR, Events, microseconds
from matokit_pipelines.warehouse.event_log import WarehouseLog
from matokit_pipelines.warehouse.event_reading import LANDED

pytestmark = pytest.mark.slow

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
SETTINGS = AlertSettings()
BEGIN, DAYS = datetime(2026, 3, 1, tzinfo=UTC), 40  # over the start of summer time
NOW = BEGIN + timedelta(days=DAYS)
COMMITS = ("aaaaaaa", "bbbbbbb", "ccccccc", "ddddddd", "")
ARCHITECTURES = ("arm64", "x86_64", "sparc")


def landed(seed: int, machines: int, a_day: int) -> pl.DataFrame:
    """Rows as they are landed: some weeks, one component broken for some hours of the 30th day on."""
    chosen = random.Random(seed)
    rows = []
    broken = BEGIN + timedelta(days=29, hours=7)
    for number in range(a_day * DAYS):
        at = BEGIN + timedelta(microseconds=chosen.randrange(DAYS * 86_400 * 10**6))
        machine, component = chosen.randrange(machines), chosen.choice(("conda", "packages", "latex", "check"))
        is_bad = component == "packages" and broken <= at < broken + timedelta(hours=40)
        place = min(3, (at - BEGIN).days * 4 // DAYS)
        for attempt in range(chosen.choice((1, 1, 3))):
            failed = chosen.random() < (0.8 if is_bad else 0.06)
            rows.append(
                {
                    "event_ts": at + timedelta(minutes=3 * attempt),
                    "category": "Installer" if number % 11 else "Installer_CI",
                    "name": component,
                    "value": 0.0 if failed else 1.0,
                    "os_raw": "Darwin24.4.0",
                    "architecture_raw": ARCHITECTURES[machine % 7 % 3],
                    "commit_raw": chosen.choice((COMMITS[place], COMMITS[place], COMMITS[max(0, place - 1)], "")),
                    "visitor_id": f"v{machine}" if machine else None,
                }
            )
    return pl.DataFrame(rows, schema={**LANDED, "visitor_id": pl.String}).with_row_index("place")


def in_columns(rows: pl.DataFrame) -> Events:
    """The production rows as columns; a row without a visitor is its own machine."""
    own = rows.filter(pl.col("category") == "Installer").sort("event_ts", "place")
    architecture = own["architecture_raw"].replace({"sparc": "unknown"})
    commits = sorted(set(own["commit_raw"]) - {""})
    components = sorted(set(own["name"]))
    return Events.of(
        ts=[microseconds(at) for at in own["event_ts"].to_list()],
        failed=(own["value"] == 0).to_numpy(),
        machine=[
            int(visitor[1:]) if visitor else 10**6 + place
            for visitor, place in zip(own["visitor_id"].to_list(), own["place"].to_list(), strict=True)
        ],
        component=[components.index(name) for name in own["name"].to_list()],
        components=components,
        architecture=[("arm64", "x86_64", "unknown").index(name) for name in architecture.to_list()],
        architectures=("arm64", "x86_64", "unknown"),
        commit=[commits.index(name) if name else -1 for name in own["commit_raw"].to_list()],
        commits=commits,
    )


@pytest.fixture(scope="module", params=[(1, 900, 60), (2, 60, 12), (3, 2, 12)])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[duckdb.DuckDBPyConnection, LoadedLog]]:
    """The same events derived in a warehouse and as columns: many machines, few, and keys that are no machines."""
    rows = landed(*request.param)
    connection = in_memory(NOW)
    connection.register("landed_now", rows)
    constant = {
        "source": "lab", "site_id": "1", "visit_id": 1, "fold_ambiguous": False, "action": "Event",
        "visit_first_ts": NOW, "visit_last_ts": NOW, "landed_at": NOW, "changed_at": NOW,
    }  # fmt: skip
    connection.execute(
        f"insert into raw.matomo_events (event_id, visitor_id, {', '.join([*LANDED, *constant])})"
        f" select printf('%09d', place), visitor_id, {', '.join(LANDED)}, {', '.join(f'${name}' for name in constant)}"
        " from landed_now",
        constant,
    )
    connection.unregister("landed_now")
    build(connection, options=BuildOptions(project_zone=COPENHAGEN.key), now=NOW, full=True)
    yield connection, LoadedLog({"production": in_columns(rows)})
    connection.close()


def test_every_rule_says_the_same_at_single_ticks(both: tuple[duckdb.DuckDBPyConnection, LoadedLog]) -> None:
    connection, loaded = both
    around = [BEGIN + timedelta(days=day, hours=hour) for day, hour in ((29, 11), (30, 5), (30, 22), (36, 6))]
    found, fired = 0, set()
    for tick in around:
        for rule in EVALUATED:
            ours = findings_at(rule, WarehouseLog(connection), [tick], SETTINGS, COPENHAGEN)
            theirs = findings_at(rule, loaded, [tick], SETTINGS, COPENHAGEN)
            assert sorted(map(repr, ours)) == sorted(map(repr, theirs))
            found += len(ours)
            fired |= {verdict.rule for verdict in ours if verdict.raw}
    assert found > 100
    assert "slow_regression" in fired or "component_failure_rate" in fired


def test_catch_up_says_the_same_as_ticks_one_by_one(both: tuple[duckdb.DuckDBPyConnection, LoadedLog]) -> None:
    connection, loaded = both
    ticks = ticks_between(BEGIN + timedelta(days=29, hours=3), BEGIN + timedelta(days=30, hours=9))
    ours = evaluate_runs(WarehouseLog(connection), ticks, SETTINGS, zone=COPENHAGEN)
    assert ours == evaluate_runs(loaded, ticks, SETTINGS, zone=COPENHAGEN)
    kept = WarehouseLog(connection)
    for tick in ticks[::47]:
        assert evaluate(kept, [tick], SETTINGS, zone=COPENHAGEN) == evaluate(loaded, [tick], SETTINGS, zone=COPENHAGEN)


def test_a_log_answers_alike_however_much_was_read_before(
    both: tuple[duckdb.DuckDBPyConnection, LoadedLog],
) -> None:
    connection, loaded = both
    chosen = random.Random(5)
    ours: History = WarehouseLog(connection).of("production")
    theirs: History = loaded.of("production")
    first = theirs.first()
    assert first is not None
    assert ours.first() == first
    for _ in range(60):
        start = first + chosen.randrange(DAYS * DAY)
        end = start + chosen.choice((HOUR, DAY, 8 * DAY))
        component = chosen.choice((None, "conda", "packages", "nowhere"))
        assert ours.units(start, end, component) == theirs.units(start, end, component)
        assert ours.counts(start, end) == theirs.counts(start, end)
        assert ours.last_before(start) == theirs.last_before(start)
        window = [log.between(start, end, component) for log in (ours, theirs)]
        read, known = (list(one.ts[one.window(start, end)]) for one in window)
        assert read == known
        assert ours.deployments(start, end, 7 * DAY) == theirs.deployments(start, end, 7 * DAY)
        assert ours.counts_of_commit("bbbbbbb", start, end) == theirs.counts_of_commit("bbbbbbb", start, end)
        of_two = [list(log.of_commits(("aaaaaaa", "ccccccc"), start, end).ts) for log in (ours, theirs)]
        assert of_two[0] == of_two[1]
        events, at_most = ours.busiest_machine(start, end)
        week = theirs.between(start, end)
        part = week.taken(week.window(start, end))
        assert events == len(part)
        assert at_most >= part.busiest_machine


def test_an_environment_without_events_is_empty(both: tuple[duckdb.DuckDBPyConnection, LoadedLog]) -> None:
    connection, _ = both
    found = evaluate(WarehouseLog(connection), [NOW], AlertSettings(environments=("staging",)), zone=COPENHAGEN)
    assert {(verdict.rule, verdict.state) for verdict in found} == {
        ("overall_success_rate", "no_data"), ("high_volume_failures", "no_data"), ("no_events", "not_evaluable"),
    }  # fmt: skip
