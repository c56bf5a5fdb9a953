"""The dashboards and the index: pages of the present, made again as the snapshot and the alerts move on.

A page that cannot be made fails its check and is told to the operators, and nothing else: what is landed, published and
told of alerts does not hang on it. Not here: reports of a period (reports.py).
"""

from collections.abc import Callable

import dagster as dg

from matokit_pipelines.errors import MatokitError
from matokit_pipelines.orchestration import operators
from matokit_pipelines.orchestration.assets.alerts import ALERTS
from matokit_pipelines.orchestration.assets.serving import SNAPSHOT
from matokit_pipelines.orchestration.resources import HomeFinder
from matokit_pipelines.reports import making
from matokit_pipelines.warehouse.refresh import Home

DASHBOARDS = dg.AssetKey(["pages", "dashboards"])
INDEX = dg.AssetKey(["pages", "index"])
MADE = "pages_are_made"
FAILED = "failed-pages-"


@dg.asset(
    key=DASHBOARDS,
    group_name="reports",
    kinds={"html"},
    deps=[SNAPSHOT],
    check_specs=[dg.AssetCheckSpec(MADE, asset=DASHBOARDS, description="The dashboards could be made.")],
    description="The four dashboards with their CSV files. Made again when a day has become complete, and at most "
    "once an hour when late events changed the days before.",
)
def dashboards(context: dg.AssetExecutionContext, home: dg.ResourceParam[HomeFinder]) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Four pages, or none when those that are there still tell what is known."""
    return _made(context, home.home(), "dashboards", _dashboards)


@dg.asset(
    key=INDEX,
    group_name="reports",
    kinds={"html"},
    deps=[SNAPSHOT, ALERTS, DASHBOARDS],
    check_specs=[dg.AssetCheckSpec(MADE, asset=INDEX, description="The index could be made.")],
    description="The start page: how fresh and complete the data are, open alerts, all dashboards and reports.",
)
def index(context: dg.AssetExecutionContext, home: dg.ResourceParam[HomeFinder]) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """One page with its JSON."""
    return _made(context, home.home(), "index", lambda used: str(making.make_index(used)))


def _dashboards(home: Home) -> str:
    if reason := making.why_dashboards_stand(home):
        return reason
    return f"{len(making.make_dashboards(home))} pages made."


def _made(
    context: dg.AssetExecutionContext, home: Home, what: str, make: Callable[[Home], str]
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    told = f"{FAILED}{what}-"
    try:
        outcome = make(home)
    except Exception as error:
        sentence = _sentence(what, error, context.run.run_id)
        context.log.error(sentence, exc_info=error)
        if not operators.is_told(home, told, sentence):
            operators.tell(home, f"{told}{context.run.run_id}", f"The {what} could not be made", sentence)
        return dg.MaterializeResult(metadata={"outcome": sentence}, check_results=[_check(False, sentence)])
    operators.is_over(home, told)
    return dg.MaterializeResult(metadata={"outcome": outcome}, check_results=[_check(True, outcome)])


def _sentence(what: str, error: Exception, run_id: str) -> str:
    where = f"The {what} could not be made (run {run_id[:8]})"
    if isinstance(error, MatokitError):
        return f"{where}: {error}"
    return (
        f"{where}: {type(error).__name__}; events are landed and published all the same. Open the run in Dagster's web "
        "page for the details, and report it."
    )


def _check(passed: bool, sentence: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=passed, check_name=MADE, severity=dg.AssetCheckSeverity.WARN, metadata={"sentence": sentence}
    )
