"""The jobs: what runs together. Not here: when (schedules.py), how (assets), for which days (days.py)."""

import dagster as dg

from matokit_pipelines.orchestration import days
from matokit_pipelines.orchestration.assets.extract import MATOMO_EVENTS, PIWIK_PRO_EVENTS
from matokit_pipelines.orchestration.assets.models import BY_DAY, EVENTS, asset_key
from matokit_pipelines.orchestration.assets.reports import WEEKLY
from matokit_pipelines.orchestration.assets.serving import SNAPSHOT
from matokit_pipelines.orchestration.housekeeping import housekeeping
from matokit_pipelines.orchestration.resources import HomeFinder

_WEEKLY = dg.AssetSelection.assets(WEEKLY)
_EVENTS = dg.AssetSelection.assets(asset_key(EVENTS))

# One table stands for all that the build derives, and is shown for: to plan, evaluate and store every table and check
# each time would cost more than the refresh itself. The nightly run does.
REFRESH = dg.define_asset_job(
    days.REFRESH,
    selection=dg.AssetSelection.assets(MATOMO_EVENTS, PIWIK_PRO_EVENTS, SNAPSHOT)
    | (_EVENTS - dg.AssetSelection.checks_for_assets(asset_key(EVENTS))),
    description="Extract what is new, derive and check what it touches, publish. The ledger decides what is read; the "
    "run is shown for every table that it derived.",
)
NIGHTLY = dg.define_asset_job(
    days.NIGHTLY,
    selection=dg.AssetSelection.all() - _WEEKLY,
    description="A refresh in which every table and every check is shown.",
)
BACKFILL = dg.define_asset_job(
    "backfill",
    selection=dg.AssetSelection.assets(
        MATOMO_EVENTS, PIWIK_PRO_EVENTS, *(asset_key(table) for table in BY_DAY), SNAPSHOT
    ),
    description="Read the chosen days again, derive them and all that follows from them, check, publish: one run.",
)


@dg.op(description="Delete what is no longer kept, and say what it was.")
def put_away(context: dg.OpExecutionContext, home: dg.ResourceParam[HomeFinder]) -> None:
    kept = housekeeping(context.instance, home.home())
    context.log.info(
        f"{kept.runs} runs and {kept.files} files deleted, {kept.readings} readings merged, {kept.bytes:,} bytes given "
        "back"
    )


@dg.job(name="housekeeping", description="Old runs, readings and files are put away.")
def housekeeping_job() -> None:
    put_away()


WEEKLY_REPORT = dg.define_asset_job(
    "weekly_report", selection=_WEEKLY, description="Render the weekly operations summary of one week."
)
