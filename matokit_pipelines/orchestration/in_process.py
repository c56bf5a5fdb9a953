"""Running the graph once, in this process, on the home's own Dagster instance, where the web page shows it.

Not here: the graph.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import dagster as dg
from dagster import DagsterExecutionInterruptedError, DagsterInstance, DagsterInvalidConfigError
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from sqlalchemy.exc import DBAPIError
from yaml import YAMLError

from matokit_pipelines import resources
from matokit_pipelines.errors import (
    DataIncomplete,
    MatokitError,
    NothingPublished,
    SettingsError,
    SnapshotDamaged,
    SourceError,
    WarehouseDamaged,
    WarehouseError,
)
from matokit_pipelines.orchestration.assets.extract import MATOMO_EVENTS, NOTHING_IS_MISSING, SOURCES_ANSWER
from matokit_pipelines.orchestration.assets.serving import SNAPSHOT
from matokit_pipelines.orchestration.definitions import build_definitions
from matokit_pipelines.orchestration.resources import GivenHome
from matokit_pipelines.warehouse.connection import disk_full, translated
from matokit_pipelines.warehouse.probe import probe
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.snapshots import open_current
from matokit_pipelines.windows import ONE_DAY, last_complete_week, start_of_day, week_label

PID_TAG, HOST_TAG = "matokit/pid", "matokit/host"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Outcome:
    """What a run did: sentences for a person, and what a source refused or withholds (None: nothing)."""

    lines: tuple[str, ...]
    trouble: MatokitError | None


def refresh(home: Home) -> Outcome:
    """Refresh, then render the last complete week where its page is missing or older than its data.

    Raises what a step raised; a source that could not be read is in the outcome, since all else went on.
    """
    definitions = build_definitions(GivenHome(home))
    with storage_in_words(home.loaded.home), instance_of(home.loaded.home) as instance:
        end_dead_runs(instance)
        run = definitions.resolve_job_def("refresh").execute_in_process(
            instance=instance, run_config=_QUIET, tags=_my_tags()
        )
        lines = [*_sentences(run)]
        monday = last_complete_week(home.clock.now(), home.loaded.settings.project.zone)
        if _week_is_due(home, monday):
            definitions.resolve_job_def("weekly_report").execute_in_process(
                instance=instance, run_config=_QUIET, partition_key=monday.isoformat(), tags=_my_tags()
            )
            lines.append(f"Weekly page {_page(home, monday)}")
    return Outcome(tuple(lines), _trouble(run))


def tick(home: Home) -> Outcome | None:
    """What the refresh schedule does every few minutes, in this process: None when a refresh would do nothing.

    A weekly page that is due makes a refresh due. Raises what `probe` and `refresh` raise.
    """
    if not probe(home).is_due and not _page_is_due(home):
        return None
    return refresh(home)


def _page_is_due(home: Home) -> bool:
    """Whether a refresh would render the weekly page; a home without a snapshot has none to render yet."""
    try:
        return _week_is_due(home, last_complete_week(home.clock.now(), home.loaded.settings.project.zone))
    except (NothingPublished, SnapshotDamaged):
        return False


def _my_tags() -> dict[str, str]:
    return {PID_TAG: str(os.getpid()), HOST_TAG: socket.gethostname()}


def end_dead_runs(instance: DagsterInstance) -> None:
    """Mark runs as failed whose process was killed, so that none is shown as going on for ever."""
    going_on = [status for status in dg.DagsterRunStatus if status not in FINISHED_STATUSES]
    for run in instance.get_runs(dg.RunsFilter(statuses=going_on)):
        pid = run.tags.get(PID_TAG)
        if pid and run.tags.get(HOST_TAG) == socket.gethostname() and not _is_alive(int(pid)):
            instance.report_run_failed(run, message="The process of this run was killed; the next run goes on from it.")


def _is_alive(pid: int) -> bool:
    if pid == os.getpid():
        return False  # a number used again: our own run has not begun yet
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def storage_in_words(home: Path) -> Iterator[None]:
    """What goes wrong with Dagster's own files, told as what it is: none of the product's data lies there."""
    folder = resources.dagster_home(home)
    try:
        with translated(folder / "dagster.yaml"):
            yield
    except DagsterExecutionInterruptedError as error:
        raise KeyboardInterrupt from error
    except DBAPIError as error:
        said = str(error).lower()
        if "disk is full" in said or "disk i/o error" in said:
            raise disk_full(folder / "storage") from error
        if "readonly" in said or "unable to open" in said:
            raise WarehouseError(f"{folder} may not be written to; give this user the right to.") from error
        raise WarehouseDamaged(
            f"Dagster's records of runs in {folder} cannot be used; move that folder aside and run the same command "
            "again (it holds no event and no page)."
        ) from error
    except (DagsterInvalidConfigError, YAMLError) as error:
        raise SettingsError(
            f"{folder / 'dagster.yaml'} is not valid; correct it, or delete it to get the delivered one again."
        ) from error


def weekly_page(home: Home) -> Path:
    """Where the page of the last complete week lies."""
    return _page(home, last_complete_week(home.clock.now(), home.loaded.settings.project.zone))


def _sentences(run: dg.ExecuteInProcessResult) -> Iterator[str]:
    for event in run.get_asset_materialization_events():
        done = event.materialization
        values = {key: entry.value for key, entry in done.metadata.items()}
        if done.asset_key == MATOMO_EVENTS:
            for key, value in values.items():
                if key.endswith("/new"):
                    source = key.removesuffix("/new")
                    yield f"{source}: {value:,} new events, complete to {values[f'{source}/complete_to']}"
        elif done.asset_key == SNAPSHOT:
            yield f"Published snapshot {values['generation']}."
    failed = [check for check in run.get_asset_check_evaluations() if not check.passed]
    for check in failed:
        if check.check_name not in (SOURCES_ANSWER, NOTHING_IS_MISSING):
            yield f"Warning: {check.asset_key.to_user_string()}: {check.description or check.check_name}"


def _trouble(run: dg.ExecuteInProcessResult) -> MatokitError | None:
    for check in run.get_asset_check_evaluations():
        if check.check_name in (SOURCES_ANSWER, NOTHING_IS_MISSING) and not check.passed:
            sentence = str(check.metadata["sentence"].value)
            return SourceError(sentence) if check.check_name == SOURCES_ANSWER else DataIncomplete(sentence)
    return None


def _page(home: Home, monday: date) -> Path:
    return home.loaded.home / "reports" / "weekly" / f"{week_label(monday)}.html"


def _week_is_due(home: Home, monday: date) -> bool:
    """Due when there is no page, or when the page was made before the whole week was known complete."""
    numbers = _page(home, monday).with_suffix(".json")
    if not numbers.exists():
        return True
    with open_current(home.loaded.home) as snapshot:
        complete = snapshot.manifest.watermark
    end = start_of_day(monday + 7 * ONE_DAY, home.loaded.settings.project.zone)
    try:
        made = json.loads(numbers.read_text(encoding="utf-8")).get("watermark")
        was_complete = made is not None and datetime.fromisoformat(made) >= end
    except (ValueError, AttributeError, TypeError):
        return True  # damaged: made again
    return not was_complete and complete is not None and (made is None or complete > datetime.fromisoformat(made))


@contextmanager
def instance_of(home: Path) -> Iterator[DagsterInstance]:
    """The Dagster instance of a home; made with the delivered settings when it is new."""
    resources.put_dagster_settings(home)
    folder = resources.dagster_home(home)
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    with DagsterInstance.from_config(str(folder)) as instance:
        yield instance
