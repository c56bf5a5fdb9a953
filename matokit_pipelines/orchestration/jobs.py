"""The jobs: what runs together. Not here: when (schedules.py), how (assets), for which days (days.py)."""

import dagster as dg

from matokit_pipelines.delivery.draining import drain
from matokit_pipelines.orchestration import days
from matokit_pipelines.orchestration.assets.alerts import ALERTS
from matokit_pipelines.orchestration.assets.extract import MATOMO_EVENTS, PIWIK_PRO_EVENTS
from matokit_pipelines.orchestration.assets.models import BY_DAY, EVENTS, asset_key
from matokit_pipelines.orchestration.assets.pages import DASHBOARDS, INDEX
from matokit_pipelines.orchestration.assets.reports import KINDS
from matokit_pipelines.orchestration.assets.serving import SNAPSHOT
from matokit_pipelines.orchestration.assets.web_reports import WEB_REPORTS
from matokit_pipelines.orchestration.housekeeping import housekeeping
from matokit_pipelines.orchestration.resources import HomeFinder

WEB_REPORTS_TOUCHED = "staging.touched_web_reports"
_REPORTS = dg.AssetSelection.assets(*(key for kind in KINDS for key in (kind.page, kind.message)))
_PAGES = dg.AssetSelection.assets(DASHBOARDS, INDEX)
_INDEX = dg.AssetSelection.assets(INDEX)
_ALERTS = dg.AssetSelection.assets(ALERTS)
_DERIVED = dg.AssetSelection.assets(asset_key(EVENTS), asset_key(WEB_REPORTS_TOUCHED))
_DERIVED_CHECKS = dg.AssetSelection.checks_for_assets(asset_key(EVENTS), asset_key(WEB_REPORTS_TOUCHED))

# dagster.yaml lets two such runs be at work at once, so that however many wait for the warehouse, what is to be told
# does not wait behind them.
WRITES = {"matokit/writes": "warehouse"}

# Two tables stand for all that the build derives, each reading one way in itself, so that it waits for both: to plan,
# evaluate and store every table and check each time would cost more than the refresh itself. The nightly run does.
REFRESH = dg.define_asset_job(
    days.REFRESH,
    selection=dg.AssetSelection.assets(MATOMO_EVENTS, PIWIK_PRO_EVENTS, WEB_REPORTS, SNAPSHOT)
    | _ALERTS
    | _PAGES
    | (_DERIVED - _DERIVED_CHECKS),
    tags=WRITES,
    description="Extract what is new, derive and check what it touches, evaluate the alerts, publish, make the pages. "
    "The ledger decides what is read; the run is shown for every table that it derived.",
)
NIGHTLY = dg.define_asset_job(
    days.NIGHTLY,
    selection=dg.AssetSelection.all() - _REPORTS,
    tags=WRITES,
    description="A refresh in which every table and every check is shown.",
)
BACKFILL = dg.define_asset_job(
    "backfill",
    selection=dg.AssetSelection.assets(
        MATOMO_EVENTS, PIWIK_PRO_EVENTS, *(asset_key(table) for table in BY_DAY), SNAPSHOT
    ),
    tags=WRITES,
    description="Read the chosen days again, derive them and all that follows from them, check, publish: one run.",
)


@dg.op(description="Delete what is no longer kept, and say what it was.")
def put_away(context: dg.OpExecutionContext, home: dg.ResourceParam[HomeFinder]) -> None:
    kept = housekeeping(context.instance, home.home())
    context.log.info(
        f"{kept.runs} runs, {kept.files} files and {kept.rows} rows of alerts deleted, {kept.readings} readings "
        f"merged, {kept.bytes:,} bytes given back"
    )


@dg.job(name="housekeeping", tags=WRITES, description="Old runs, readings and files are put away.")
def housekeeping_job() -> None:
    put_away()


EVALUATE = dg.define_asset_job(
    days.EVALUATE,
    selection=_ALERTS | _INDEX,
    description="Evaluate the alerts without reading anything: the data stand still, but a timer is due, or it is "
    "known that nothing happened.",
)


@dg.op(description="Send what is due, and say what came of it.")
def send(context: dg.OpExecutionContext, home: dg.ResourceParam[HomeFinder]) -> None:
    """A destination that refuses fails nothing here: the outbox keeps the message and says when it is due again."""
    used = home.home()
    report = drain(used.loaded, used.clock)
    for sentence in report.sentences:
        context.log.info(sentence)
    context.add_output_metadata({"sent": report.sent, "put_off": report.put_off, "given_up": report.dead})


@dg.job(name=days.DELIVER, description="Send the messages of the outbox that are due.")
def deliver_job() -> None:
    send()


# by the name of the report
REPORTS = {
    kind.report: dg.define_asset_job(
        f"{kind.report}_report",
        selection=dg.AssetSelection.assets(kind.page, kind.message),
        description=f"{kind.description} Made, and queued for its readers.",
    )
    for kind in KINDS
}
