"""Alerts as an asset of each refresh: evaluated once the events are derived, beside publishing.

Not here: the rules and what follows of them (alerts/), sending (the job `deliver`).
"""

from collections.abc import Callable
from typing import Any

import dagster as dg

from matokit_pipelines.alerts.passes import PassReport, run_pass
from matokit_pipelines.errors import MatokitError
from matokit_pipelines.orchestration import operators
from matokit_pipelines.orchestration.assets.models import EVENTS, asset_key
from matokit_pipelines.orchestration.resources import HomeFinder
from matokit_pipelines.warehouse.refresh import Home

ALERTS = dg.AssetKey(["alerts"])
EVALUATED = "rules_are_evaluated"
FAILED = "failed-evaluation-"
_MACHINES = "staging.machine_days"


def alert_evaluation(pool: str | None) -> dg.AssetsDefinition:
    """The state of the alerts."""

    @dg.asset(
        key=ALERTS,
        group_name="alerts",
        kinds={"sqlite"},
        deps=[asset_key(EVENTS), asset_key(_MACHINES)],
        check_specs=[dg.AssetCheckSpec(EVALUATED, asset=ALERTS, description="The rules could be evaluated.")],
        pool=pool,
        description="Every rule at every five-minute tick up to which the data are complete, the state of each alert, "
        "and what is to be told: rows of the outbox, sent by runs of `deliver`.",
    )
    def alerts(context: dg.AssetExecutionContext, home: dg.ResourceParam[HomeFinder]) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Evaluate what is due. A failure is told to the operators and fails the check, and nothing else: what is
        landed and published does not hang on it."""
        report, sentence = evaluated(
            home.home(), context.run.run_id, lambda said, error: context.log.error(said, exc_info=error)
        )
        if report is None:
            return dg.MaterializeResult(check_results=[_check(False, sentence)])
        return dg.MaterializeResult(metadata=_metadata(report), check_results=[_check(True, sentence)])

    return alerts


def evaluated(home: Home, run_id: str, log: Callable[[str, Exception], None]) -> tuple[PassReport | None, str]:
    """A pass over the alerts and a sentence on it. What kept it from being made is logged, and told to the operators
    once for as long as it stays the same; then there is no report."""
    try:
        report = run_pass(home)
    except Exception as error:
        sentence = _sentence(error, run_id)
        log(sentence, error)
        if not operators.is_told(home, FAILED, sentence):
            operators.tell(home, f"{FAILED}{run_id}", "Alerts could not be evaluated", sentence)
        return None, sentence
    operators.is_over(home, FAILED)
    return report, "The rules could be evaluated."


def _sentence(error: Exception, run_id: str) -> str:
    where = f"(run {run_id[:8]})"
    if isinstance(error, MatokitError):
        return f"Alerts could not be evaluated {where}: {error}"
    return (
        f"Alerts could not be evaluated {where}: {type(error).__name__}; events are landed and published all the same. "
        "Open the run in Dagster's web page for the details, and report it."
    )


def _check(passed: bool, sentence: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=passed, check_name=EVALUATED, severity=dg.AssetCheckSeverity.ERROR, metadata={"sentence": sentence}
    )


def _metadata(report: PassReport) -> dict[str, Any]:
    """Numbers as numbers and moments as moments, so that the web page draws them over time."""
    metadata: dict[str, Any] = {
        "ticks_evaluated": report.ticks,
        "open": report.open,
        "started": report.started,
        "ended": report.ended,
        "messages_queued": report.queued,
    }
    if report.watermark:
        metadata["complete_to"] = dg.MetadataValue.timestamp(report.watermark)
    return metadata
