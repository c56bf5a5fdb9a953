"""Running the graph once, in this process, on the home's own Dagster instance, where the web page shows it.

Not here: the graph.
"""

import logging
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import dagster as dg
from dagster import DagsterExecutionInterruptedError, DagsterInstance, DagsterInvalidConfigError
from sqlalchemy.exc import DBAPIError
from yaml import YAMLError

from matokit_pipelines import resources
from matokit_pipelines.delivery.draining import drain
from matokit_pipelines.errors import (
    CheckFailed,
    DataIncomplete,
    MatokitError,
    SettingsError,
    SourceError,
    StateError,
    WarehouseDamaged,
    WarehouseError,
)
from matokit_pipelines.orchestration import alerting, operators
from matokit_pipelines.orchestration.assets.alerts import ALERTS, EVALUATED, evaluated
from matokit_pipelines.orchestration.assets.extract import NOTHING_IS_MISSING, RAW, SOURCES_ANSWER
from matokit_pipelines.orchestration.assets.pages import MADE
from matokit_pipelines.orchestration.assets.serving import SNAPSHOT
from matokit_pipelines.orchestration.assets.web_reports import WEB_REPORTS, in_words
from matokit_pipelines.orchestration.days import REFRESH, range_tags
from matokit_pipelines.orchestration.definitions import build_definitions, calendar_for
from matokit_pipelines.orchestration.editions import due_editions, page_of
from matokit_pipelines.orchestration.housekeeping import delete_old_runs
from matokit_pipelines.orchestration.pool import end_dead_runs as end_dead_runs
from matokit_pipelines.orchestration.pool import living
from matokit_pipelines.orchestration.resources import GivenHome
from matokit_pipelines.reports import making
from matokit_pipelines.warehouse.connection import disk_full, translated
from matokit_pipelines.warehouse.probe import probe
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.windows import local_date

_LOG = logging.getLogger(__name__)
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Outcome:
    """What a run did: sentences for a person, and what a source refused or withholds (None: nothing). is_refresh: not
    only the alerts were evaluated."""

    lines: tuple[str, ...]
    trouble: MatokitError | None
    is_refresh: bool = True


def refresh(home: Home, *, with_reports: bool = True) -> Outcome:
    """Refresh, evaluate the alerts, make the pages and the reports that are due, and send what is due.

    Raises what a step raised; a source that could not be read, alerts that could not be evaluated and reports that
    could not be made are in the outcome, since all else went on.
    """
    definitions = build_definitions(GivenHome(home), pool=None)
    calendar, zone = calendar_for(GivenHome(home)), home.loaded.settings.project.zone
    with (
        storage_in_words(home.loaded.home),
        instance_of(home.loaded.home) as instance,
        living(instance) as life,
        dg.partition_loading_context(home.clock.now()),  # else there is no partition after the machine's own today
    ):
        end_dead_runs(instance)
        shown = range_tags(calendar, local_date(home.clock.now(), zone))
        run = definitions.resolve_job_def(REFRESH).execute_in_process(
            instance=instance, run_config=_QUIET, tags={**life, **shown}
        )
        lines = [*dict.fromkeys(_sentences(run))]
        failed = []
        for edition in [*due_editions(home)] if with_reports else []:
            job = definitions.resolve_job_def(f"{edition.report}_report")
            make = partial(
                job.execute_in_process, instance=instance, run_config=_QUIET, partition_key=edition.key, tags=life
            )
            if sentence := _failure(home, f"{edition.report} report of {edition.period}", make):
                failed.append(sentence)
            else:
                lines.append(f"{edition.report.capitalize()} page {page_of(home, edition)}")
        if sentence := _failure(home, "index", partial(making.make_index, home)):
            failed.append(sentence)
        delete_old_runs(instance)
    lines += _delivered(home)
    return Outcome(tuple(lines), _trouble(run) or (CheckFailed(" ".join(failed)) if failed else None))


def _failure(home: Home, what: str, make: Callable[[], object]) -> str | None:
    """Make a page; what kept it from being made, in a sentence, told to the operators once for as long as it is the
    same. Nothing else hangs on it."""
    told = f"failed-{what.replace(' ', '-').lower()}-"
    try:
        make()
    except DagsterExecutionInterruptedError:
        raise
    except Exception as error:
        _LOG.debug("The %s could not be made", what, exc_info=error)
        sentence = f"The {what} could not be made: {_said(error)}"
        if not operators.is_told(home, told, sentence):
            operators.tell(home, f"{told}{uuid.uuid4().hex}", f"The {what} could not be made", sentence)
        return sentence
    operators.is_over(home, told)
    return None


def _said(error: Exception) -> str:
    if isinstance(error, MatokitError):
        return str(error)
    if isinstance(error, OSError):
        return f"the operating system refused ({error.strerror or error}: {error.filename or 'no file'})."
    return f"{type(error).__name__}; run `matokit report` with --debug for the details, and report it."


def evaluate(home: Home) -> Outcome:
    """Evaluate the alerts without reading anything, and send what is due. No run of Dagster's: nobody looks at it."""
    report, sentence = evaluated(home, uuid.uuid4().hex, lambda said, error: _LOG.debug(said, exc_info=error))
    trouble: MatokitError | None = None if report else StateError(sentence)
    if report and (report.started or report.ended):
        failure = _failure(home, "index", partial(making.make_index, home))
        trouble = CheckFailed(failure) if failure else None
    lines = [] if report is None else _alerts_in_words(report.started, report.ended, report.open)
    return Outcome((*lines, *_delivered(home)), trouble, is_refresh=False)


def tick(home: Home) -> Outcome | None:
    """What schedule and sensor do every few minutes, in this process: None when there is nothing to do.

    A report that is due makes a refresh due; a watermark that moved or a timer only an evaluation. Raises what
    `probe` and `refresh` raise.
    """
    due = probe(home)
    if due.is_due or any(due_editions(home)):
        return refresh(home)
    alerting.note_complete_to(home, due.complete_to)
    return evaluate(home) if alerting.why_due(home) else None


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


def _sentences(run: dg.ExecuteInProcessResult) -> Iterator[str]:
    for event in run.get_asset_materialization_events():
        done = event.materialization
        values = {key: entry.value for key, entry in done.metadata.items()}
        if done.asset_key in RAW.values():
            for key, value in values.items():
                if key.endswith("/new"):
                    source = key.removesuffix("/new")
                    yield f"{source}: {value:,} new events, complete to {_moment(values.get(f'{source}/complete_to'))}"
        elif done.asset_key == WEB_REPORTS:
            yield from in_words(values)
        elif done.asset_key == ALERTS and "started" in values:
            yield from _alerts_in_words(values["started"], values["ended"], values["open"])
        elif done.asset_key == SNAPSHOT:
            yield f"Published snapshot {values['generation']}."
    failed = [check for check in run.get_asset_check_evaluations() if not check.passed]
    for check in failed:
        if check.check_name not in (SOURCES_ANSWER, NOTHING_IS_MISSING, EVALUATED, MADE):
            yield f"Warning: {check.asset_key.to_user_string()}: {check.description or check.check_name}"


def _alerts_in_words(started: object, ended: object, still: object) -> list[str]:
    return [f"Alerts: {started} began, {ended} are over, {still} go on."] if started or ended else []


def _delivered(home: Home) -> list[str]:
    """Send what is due; one sentence for each destination."""
    return [f"Messages to {sentence}" for sentence in drain(home.loaded, home.clock).sentences]


def _moment(seconds: object) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC" if isinstance(seconds, float) else "nothing"


def _trouble(run: dg.ExecuteInProcessResult) -> MatokitError | None:
    """What a person must be told of: a source that could not be read before alerts that could not be evaluated, these
    before pages that could not be made, and these before a source that withholds something."""
    failed = [check for check in run.get_asset_check_evaluations() if not check.passed]
    kinds = (
        (SOURCES_ANSWER, SourceError),
        (EVALUATED, StateError),
        (MADE, CheckFailed),
        (NOTHING_IS_MISSING, DataIncomplete),
    )
    for name, kind in kinds:
        for check in failed:
            if check.check_name == name:
                return kind(str(check.metadata["sentence"].value))
    return None


@contextmanager
def instance_of(home: Path) -> Iterator[DagsterInstance]:
    """The Dagster instance of a home; made with the delivered settings when it is new."""
    resources.put_dagster_settings(home)
    folder = resources.dagster_home(home)
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    with DagsterInstance.from_config(str(folder)) as instance:
        yield instance
