"""The jobs: what runs together. Not here: when (schedules), how (assets)."""

import dagster as dg

from matokit_pipelines.orchestration.assets.reports import WEEKLY

WEEKLY_SELECTION = dg.AssetSelection.assets(WEEKLY)

REFRESH = dg.define_asset_job(
    "refresh",
    selection=dg.AssetSelection.all() - WEEKLY_SELECTION,
    description="Extract what is new, derive what it touches, check, publish.",
)
WEEKLY_REPORT = dg.define_asset_job(
    "weekly_report", selection=WEEKLY_SELECTION, description="Render the weekly operations summary of one week."
)
