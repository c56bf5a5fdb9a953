"""Everything that exists in the graph, as a list. Nothing is computed here."""

import dagster as dg

from matokit_pipelines.orchestration.assets.extract import matomo_events
from matokit_pipelines.orchestration.assets.models import tables
from matokit_pipelines.orchestration.assets.reports import weekly_summary
from matokit_pipelines.orchestration.assets.serving import snapshot
from matokit_pipelines.orchestration.jobs import REFRESH, WEEKLY_REPORT
from matokit_pipelines.orchestration.resources import HomeFinder, HomeResource


def build_definitions(home: HomeFinder | None = None) -> dg.Definitions:
    """The graph; `home` replaces the resource that finds the home by itself."""
    return dg.Definitions(
        assets=[matomo_events, tables, snapshot, weekly_summary],
        jobs=[REFRESH, WEEKLY_REPORT],
        resources={"home": home or HomeResource()},
        executor=dg.in_process_executor,
    )


defs = build_definitions()
