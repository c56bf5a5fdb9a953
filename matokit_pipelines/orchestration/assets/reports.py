"""Reports, one partition a period. Rendering again gives the same bytes for the same snapshot."""

from datetime import date

import dagster as dg

from matokit_pipelines.orchestration.assets.serving import SNAPSHOT
from matokit_pipelines.orchestration.partitions import WEEKS
from matokit_pipelines.orchestration.resources import HomeFinder
from matokit_pipelines.reports.rendering import write_weekly
from matokit_pipelines.warehouse.snapshots import open_current
from matokit_pipelines.windows import week_label

WEEKLY = dg.AssetKey(["reports", "weekly_summary"])


@dg.asset(
    key=WEEKLY,
    group_name="reports",
    kinds={"html"},
    deps=[SNAPSHOT],
    partitions_def=WEEKS,
    description="The weekly operations summary for the development team: page, text and numbers of one ISO week.",
)
def weekly_summary(context: dg.AssetExecutionContext, home: dg.ResourceParam[HomeFinder]) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The week whose Monday is the partition key."""
    used = home.home()
    monday = date.fromisoformat(context.partition_key)
    with open_current(used.loaded.home) as snapshot:
        files = write_weekly(
            snapshot,
            monday,
            used.clock.now(),
            used.loaded.home / "reports",
            used.loaded.settings.project.repository_url,
        )
    return dg.MaterializeResult(metadata={"week": week_label(monday), "page": dg.MetadataValue.path(str(files.html))})
