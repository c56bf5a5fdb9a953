"""The sensor that lets alerts go on: what is due in the outbox becomes a run of `deliver`, a timer that is due, or a
watermark that moved without a refresh, one of `evaluate_alerts`.

It reads the store and the snapshot in service only, and sends nothing itself: a tick may be cut off or run twice. What
is due is for the outbox and the life cycle to say; a run key only guards against doubles. Not here: sensors that watch
(sensors.py).
"""

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import dagster as dg

from matokit_pipelines import state
from matokit_pipelines.delivery import outbox
from matokit_pipelines.delivery.escaping import one_line
from matokit_pipelines.orchestration import alerting
from matokit_pipelines.orchestration.at_work import ASKED_FOR, going_on
from matokit_pipelines.orchestration.days import DELIVER, EVALUATE, NIGHTLY, REFRESH
from matokit_pipelines.orchestration.jobs import BACKFILL, deliver_job
from matokit_pipelines.orchestration.jobs import EVALUATE as EVALUATE_JOB
from matokit_pipelines.orchestration.resources import HomeFinder
from matokit_pipelines.orchestration.schedules import REASON_TAG
from matokit_pipelines.warehouse.refresh import Home

SECONDS = 30
PATIENCE_SECONDS = 300  # after which what is still due is asked for again
FEW_TRIES, GATHERED = 4, timedelta(minutes=2)  # a day without Slack is no reason for a run every half minute
LONGEST_TAG = 200

# Said by Dagster of its own doing, when it hands the resources to the jobs of a sensor; nobody could act on it.
warnings.filterwarnings(
    "ignore", message="Parameter `owners` of initializer `SensorDefinition", category=dg.BetaWarning
)


@dg.sensor(
    name="alert_sensor",
    jobs=[deliver_job, EVALUATE_JOB],
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=SECONDS,
    description="Messages that are due become a run that delivers them; timers that are due, and quiet hours that "
    "became known, a run that evaluates the alerts.",
)
def alert_sensor(context: dg.SensorEvaluationContext, home: dg.ResourceParam[HomeFinder]) -> dg.SensorResult:
    """Asks for two runs at most."""
    used = home.home()
    said: list[str] = []
    requests = [*_delivery(context, used, said), *_evaluation(context, used, said)]
    return dg.SensorResult(run_requests=requests) if requests else dg.SensorResult(skip_reason=" ".join(said))


def _delivery(context: dg.SensorEvaluationContext, home: Home, said: list[str]) -> Iterator[dg.RunRequest]:
    if busy := going_on(context.instance, DELIVER):
        said.append(busy)
        return
    now = home.clock.now()
    with state.opened(home.loaded.home) as store:
        destinations = outbox.due_destinations(store, now)
        waiting = outbox.listed(store, ("pending", "sending")) if destinations else []
    if not destinations:
        said.append("No message is due.")
        return
    rows = [row for row in waiting if row.destination in destinations and _since(row) <= now]
    if all(row.attempts > FEW_TRIES and now - _since(row) < GATHERED for row in rows):
        said.append("Messages to a destination that has long been failing gather for the next try.")
        return
    yield dg.RunRequest(
        run_key=_key(DELIVER, now, [f"{row.id} {row.attempts}" for row in rows]), job_name=DELIVER, tags=_tags(rows)
    )


def _since(row: outbox.Row) -> datetime:
    return row.lease_until or row.next_at


def _key(job: str, now: datetime, about: Iterable[str]) -> str:
    """The same for like requests of the same minutes; what is still due after them is asked for anew, because a run
    that failed keeps its key."""
    parts = [str(int(now.timestamp()) // PATIENCE_SECONDS), *sorted(about)]
    return f"{job}-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:32]}"


def _tags(rows: Sequence[outbox.Row]) -> dict[str, str]:
    """What the messages are about, as far as it has room."""
    parts = [row.message_key.split("|") for row in rows]
    return {
        "rule": _all_of(part[0] for part in parts),
        "subject": _all_of(part[1] for part in parts if len(part) > 1),
        "severity": _all_of(row.severity for row in rows),
        "destination": _all_of(row.destination for row in rows),
        REASON_TAG: f"{len(rows)} messages are due." if len(rows) > 1 else "1 message is due.",
    }


def _all_of(words: Iterable[str]) -> str:
    text = one_line(", ".join(dict.fromkeys(words)))
    return text if len(text) <= LONGEST_TAG else text[: LONGEST_TAG - 1] + "…"


def _evaluation(context: dg.SensorEvaluationContext, home: Home, said: list[str]) -> Iterator[dg.RunRequest]:
    if busy := going_on(context.instance, REFRESH, NIGHTLY, EVALUATE, BACKFILL.name, ASKED_FOR):
        said.append(busy)
        return
    reason = alerting.why_due(home)
    if reason is None:
        said.append("No evaluation is due.")
        return
    yield dg.RunRequest(
        run_key=_key(EVALUATE, home.clock.now(), [reason]), job_name=EVALUATE, tags={REASON_TAG: reason}
    )
