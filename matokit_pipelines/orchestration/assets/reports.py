"""Reports, one partition a period. Rendering again gives the same bytes for the same snapshot."""

from datetime import timedelta
from typing import Any

import dagster as dg

from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.orchestration.assets.serving import SNAPSHOT
from matokit_pipelines.orchestration.partitions import Calendar
from matokit_pipelines.orchestration.resources import HomeFinder
from matokit_pipelines.reports.weekly.pages import write_weekly
from matokit_pipelines.warehouse.snapshots import open_current
from matokit_pipelines.windows import week_label

WEEKLY = dg.AssetKey(["reports", "weekly_summary"])
DEADLINE = "0 11 * * 1"  # the last tick of its schedule is at 10:30
SINCE_DEADLINE = timedelta(hours=4)


def weekly_pages(calendar: Calendar) -> dg.AssetsDefinition:
    """The weekly page."""

    @dg.asset(
        key=WEEKLY,
        group_name="reports",
        kinds={"html"},
        deps=[dg.AssetDep(SNAPSHOT, partition_mapping=dg.TimeWindowPartitionMapping())],
        partitions_def=calendar.weeks,
        freshness_policy=dg.FreshnessPolicy.cron(DEADLINE, SINCE_DEADLINE, calendar.zone),
        description="The weekly operations summary for the development team: page, text and numbers of one ISO week.",
    )
    def weekly_summary(context: dg.AssetExecutionContext, home: dg.ResourceParam[HomeFinder]) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """The week whose Monday is the partition key."""
        used = home.home()
        monday = calendar.monday_of(context.partition_key)
        with open_current(used.loaded.home) as snapshot:
            mark = snapshot.manifest.watermark
            files = write_weekly(
                snapshot,
                monday,
                used.clock.now(),
                used.loaded.home / "reports",
                Links.of(used.loaded),
            )
        metadata: dict[str, Any] = {"week": week_label(monday), "page": dg.MetadataValue.path(str(files.html))}
        if mark:
            metadata["complete_to"] = dg.MetadataValue.timestamp(mark)
        return dg.MaterializeResult(metadata=metadata)

    return weekly_summary
