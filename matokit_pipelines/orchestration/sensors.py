"""What watches: runs that failed, and data that grow old. Both tell the operators. Every sensor is on from the start.

They read Dagster's own records and published snapshots, never the warehouse, which a reader would block. Not here: how
people are told (operators.py), what is due to be told or evaluated (alert_sensor.py).
"""

from datetime import timedelta

import dagster as dg

from matokit_pipelines import errors
from matokit_pipelines.errors import NothingPublished, SnapshotDamaged
from matokit_pipelines.orchestration import alerting, operators
from matokit_pipelines.orchestration.resources import HomeFinder
from matokit_pipelines.warehouse.facts import STALE_AFTER
from matokit_pipelines.warehouse.snapshots import open_current
from matokit_pipelines.windows import local_date

RETRY_TAG = "dagster/retry_number"
STALE, FAILED = "stale-", "failed-"
_ON = dg.DefaultSensorStatus.RUNNING
# What a person may be told in our own words, by the name that Dagster keeps of an error.
_SAYS_IT = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.MatokitError) and kind is not errors.MatokitError
}


@dg.run_failure_sensor(
    name="run_failure_sensor",
    default_status=_ON,
    minimum_interval_seconds=30,
    description="One notice for each run that failed; a run that is tried again is told of once.",
)
def run_failure_sensor(context: dg.RunFailureSensorContext, home: dg.ResourceParam[HomeFinder]) -> dg.SkipReason | None:
    """A killed worker has no failing step; the notice says what happened all the same."""
    run = context.dagster_run
    if int(run.tags.get(RETRY_TAG, "0")) > 0:
        return dg.SkipReason(f"Run {run.run_id[:8]} was tried again; its first try was told of.")
    used = home.home()
    told, text = f"{FAILED}{run.job_name.strip('_').lower()}-", in_words(context)
    # one that fails alike at each tick is told of once, until it has succeeded
    if operators.is_told(used, told, text):
        return dg.SkipReason(f"Run {run.run_id[:8]} failed as one before it did, which was told of.")
    operators.tell(used, f"{told}{run.run_id}", f"The job {name_of(run)} failed", text)
    return None


def name_of(run: dg.DagsterRun) -> str:
    """What a person calls the job of a run: what was asked for in the web page has none of its own."""
    backfill = run.tags.get("dagster/backfill")
    return f"backfill {backfill}" if backfill else run.job_name.strip("_").lower()


def in_words(context: dg.RunFailureSensorContext) -> str:
    """What failed, where, and what to do, in one sentence and without a traceback."""
    run = context.dagster_run
    where = f"(run {run.run_id[:8]} of {name_of(run)}"
    steps = context.get_step_failure_events()
    if not steps:
        return (
            f"The process of a run was killed, or could not be started {where}); what it landed is kept and the next "
            "refresh goes on from it, so only if this comes again look for what ends it, such as too little memory."
        )
    where = f"{where}, step {steps[0].step_key})"
    found = steps[0].step_failure_data.error
    while found is not None and found.cause is not None:
        found = found.cause
    name = found.cls_name if found else None
    if found and name in _SAYS_IT:
        said = found.message.partition(": ")[2].strip().rstrip(".")
        return f"{' '.join(said.split())} {where}."
    return (
        f"A step failed with {name or 'an error'} {where}; open the run in Dagster's web page for the details, and "
        "report it if it comes again."
    )


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    name="run_recovery_sensor",
    default_status=_ON,
    minimum_interval_seconds=30,
    description="Closes the notices of a job's failures when the job has succeeded again.",
)
def run_recovery_sensor(context: dg.RunStatusSensorContext, home: dg.ResourceParam[HomeFinder]) -> None:
    """A success of the same job is what an operator would look for."""
    operators.is_over(home.home(), f"{FAILED}{context.dagster_run.job_name.strip('_').lower()}-")


@dg.sensor(
    name="staleness_sensor",
    default_status=_ON,
    minimum_interval_seconds=600,
    description="One notice a day while the snapshot in service is complete to more than six hours ago only; the "
    "operators are told too unless the alert data_stale did: what no run can report, since none may be running.",
)
def staleness_sensor(context: dg.SensorEvaluationContext, home: dg.ResourceParam[HomeFinder]) -> dg.SkipReason:
    """Never asks for a run."""
    used = home.home()
    now = used.clock.now()
    today = local_date(now, used.loaded.settings.project.zone)
    try:
        with open_current(used.loaded.home) as snapshot:
            mark = snapshot.manifest.watermark
    except NothingPublished:
        return dg.SkipReason("Nothing is published yet.")
    except SnapshotDamaged as error:
        operators.tell(used, f"{STALE}damaged-{today}", "The snapshot in service is damaged", str(error))
        return dg.SkipReason(str(error))
    if mark is None:
        return dg.SkipReason("Nothing is complete yet.")
    if now - mark <= STALE_AFTER:
        operators.is_over(used, STALE)
        return dg.SkipReason(f"All is complete to {mark:%Y-%m-%d %H:%M} UTC.")
    hours = (now - mark) // timedelta(hours=1)
    text = (
        f"Nothing after {mark:%Y-%m-%d %H:%M} UTC, {hours} hours ago, is known to be complete in {used.loaded.home}; "
        "see `matokit status` for the source that holds it up, and whether `matokit up` is running."
    )
    # the alert on old data tells them, where evaluations are made at all
    tell = operators.note if alerting.tells_of_old_data(used, mark) else operators.tell
    tell(used, f"{STALE}{today}", "The data are old", text)
    return dg.SkipReason(text)


SENSORS = [run_failure_sensor, run_recovery_sensor, staleness_sensor]
