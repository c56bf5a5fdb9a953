"""What Dagster gathers and never deletes by itself: runs, their events and logs. Its ticks it deletes as dagster.yaml
says.

Deleting a run by Dagster's own call leaves its file of events, its logs, its tags and the executions of its checks
behind; all of them go here. Not here: when (schedules, the end of a refresh), what the warehouse gathers
(warehouse/housekeeping.py).
"""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster import DagsterInstance
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.runs.schema import RunTagsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage

from matokit_pipelines import resources, state
from matokit_pipelines.alerts import store as alert_store
from matokit_pipelines.clock import SystemClock
from matokit_pipelines.delivery import outbox
from matokit_pipelines.delivery.files import put_away
from matokit_pipelines.delivery.message_files import put_away_messages
from matokit_pipelines.orchestration.days import DELIVER, EVALUATE, KEPT_TAG, REFRESH
from matokit_pipelines.warehouse import housekeeping as warehouse_housekeeping
from matokit_pipelines.warehouse.refresh import Home

REFRESHES_KEPT = 50  # the newest ones that succeeded: some hours at one every five minutes
SMALL_KEPT = 50  # of those that evaluate alerts and those that deliver, likewise
FAILURES_KEPT = timedelta(days=30)
OTHERS_KEPT = timedelta(days=90)  # the nightly runs among them: each shows every table and check once a day
FAILURES_AT_MOST = 200  # a build that fails at each tick would fill the disk within those days
SHOWING_KEPT = 50  # refreshes by which many days are shown, beyond those
AT_ONCE = 100
_SUCCEEDED = [dg.DagsterRunStatus.SUCCESS]
_FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_WORTH_SHRINKING = 50_000_000  # bytes


@dataclass(frozen=True)
class Kept:
    """What housekeeping did: runs deleted, readings merged, files removed, bytes given back to the disk, rows of
    alerts and messages deleted."""

    runs: int
    readings: int
    files: int
    bytes: int
    rows: int


def housekeeping(instance: DagsterInstance, home: Home) -> Kept:
    """Everything that is to be put away, in Dagster's records, the warehouse and the store of alerts. Safe at any
    moment; waits for the warehouse's lock as a run does."""
    runs = 0
    while deleted := delete_old_runs(instance):
        runs += deleted
    freed = _shrink(resources.dagster_home(home.loaded.home))
    tidied = warehouse_housekeeping.tidy_warehouse(home)
    before = home.clock.now() - OTHERS_KEPT
    folder = home.loaded.home
    files = tidied.files + put_away(folder, before) + put_away_messages(folder, before)
    with state.opened(home.loaded.home) as store, state.transaction(store):
        rows = outbox.tidy(store, before) + alert_store.tidy(store, home.clock.now())
    return Kept(runs, tidied.readings, files, freed, rows)


def delete_old_runs(instance: DagsterInstance, *, at_most: int = AT_ONCE, now: datetime | None = None) -> int:
    """Delete finished runs that are no longer kept, `at_most` of them; returns how many.

    Ages are by Dagster's own clock, which is the machine's, whatever clock the home has.
    """
    at = now or SystemClock().now()
    deleted = 0
    for old in _no_longer_kept(instance, at):
        taken = old[: at_most - deleted]
        for run in taken:
            _delete(instance, run.run_id)
        deleted += len(taken)
    return deleted


def _no_longer_kept(instance: DagsterInstance, now: datetime) -> Iterator[Sequence[dg.DagsterRun]]:
    yield _beyond(instance, dg.RunsFilter(job_name=REFRESH, statuses=_SUCCEEDED), REFRESHES_KEPT)
    for job in (EVALUATE, DELIVER):
        yield _beyond(instance, dg.RunsFilter(job_name=job, statuses=_SUCCEEDED), SMALL_KEPT)
    yield _beyond(instance, dg.RunsFilter(statuses=_FAILED), FAILURES_AT_MOST)
    yield instance.get_runs(dg.RunsFilter(statuses=_FAILED, created_before=now - FAILURES_KEPT), limit=AT_ONCE)
    yield instance.get_runs(dg.RunsFilter(statuses=_SUCCEEDED, created_before=now - OTHERS_KEPT), limit=AT_ONCE)


def _beyond(instance: DagsterInstance, wanted: dg.RunsFilter, kept: int) -> Sequence[dg.DagsterRun]:
    """Runs older than the newest `kept` of those wanted, but for those by which many days are shown."""
    newest = instance.get_runs(wanted, limit=kept)
    if len(newest) < kept:
        return []
    found: list[dg.DagsterRun] = []
    cursor, kept_on = newest[-1].run_id, 0
    while len(found) < AT_ONCE and (older := instance.get_runs(wanted, cursor=cursor, limit=AT_ONCE)):
        for run in older:
            if KEPT_TAG in run.tags and kept_on < SHOWING_KEPT:
                kept_on += 1
            else:
                found.append(run)
        cursor = older[-1].run_id
    return found[:AT_ONCE]


def _delete(instance: DagsterInstance, run_id: str) -> None:
    instance.delete_run(run_id)
    events, runs = instance.event_log_storage, instance.run_storage
    if isinstance(events, SqlEventLogStorage):
        with events.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id == run_id))
    if isinstance(runs, SqlRunStorage):
        with runs.connect() as connection:
            connection.execute(RunTagsTable.delete().where(RunTagsTable.c.run_id == run_id))
    folder = Path(instance.root_directory)
    for file in (folder / "history" / "runs").glob(f"{run_id}.db*"):
        file.unlink(missing_ok=True)
    shutil.rmtree(folder / "storage" / run_id, ignore_errors=True)


def _shrink(folder: Path) -> int:
    """Give free pages back where a file is mostly free: after a home gathered runs for long."""
    freed = 0
    for file in (folder / "history" / "runs.db", folder / "history" / "runs" / "index.db"):
        if not file.exists():
            continue
        with closing(sqlite3.connect(file, timeout=5, isolation_level=None)) as connection:
            free, pages, size = (
                connection.execute(f"pragma {name}").fetchall()[0][0]
                for name in ("freelist_count", "page_count", "page_size")
            )
            if free * size > _WORTH_SHRINKING and 2 * free > pages:
                with suppress(sqlite3.OperationalError):  # in use just now; the next time will do
                    connection.execute("vacuum")
                    freed += free * size
    return freed
