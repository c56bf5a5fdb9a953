"""Reports, one partition a period: made by one asset, queued for their readers by another, so that making one again
sends nothing. The same snapshot and time of making give the same bytes.

Not here: which are due (editions.py), dashboards and the index (pages.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg

from matokit_pipelines.orchestration.assets.serving import SNAPSHOT
from matokit_pipelines.orchestration.editions import Edition, daily_edition, monthly_edition, weekly_edition
from matokit_pipelines.orchestration.partitions import Calendar
from matokit_pipelines.orchestration.resources import HomeFinder
from matokit_pipelines.reports import making
from matokit_pipelines.reports.sending import send_report
from matokit_pipelines.settings import Settings
from matokit_pipelines.warehouse.refresh import Home


@dataclass(frozen=True)
class Kind:
    """One of the three reports as the graph knows it. page, message: keys of its two assets."""

    report: str
    name: str
    description: str
    edition: Callable[[date, Settings], Edition]
    deadline: str
    since: timedelta

    @property
    def page(self) -> dg.AssetKey:
        return dg.AssetKey(["reports", self.name])

    @property
    def message(self) -> dg.AssetKey:
        return dg.AssetKey(["reports", f"{self.name}_message"])


# deadline, since: when its page must have been made by, and how long before that at the earliest
KINDS = (
    Kind(
        "weekly",
        "weekly_summary",
        "The weekly operations summary for the development team: page, text and numbers of one ISO week.",
        lambda day, settings: weekly_edition(day, settings.project.zone),
        "0 11 * * 1",
        timedelta(hours=4),
    ),
    Kind(
        "daily",
        "component_health",
        "The component health report for the on-call developer: what failed in the day until this morning.",
        daily_edition,
        "0 12 * * *",
        timedelta(hours=11),
    ),
    Kind(
        "monthly",
        "system_compatibility",
        "The system compatibility report for the product team: the thirty days that end with the month.",
        monthly_edition,
        "0 12 10 * *",
        timedelta(days=9),
    ),
)


def report_assets(calendar: Calendar) -> list[dg.AssetsDefinition]:
    """Page and message of each report."""
    return [asset for kind in KINDS for asset in (_page(kind, calendar), _message(kind, calendar))]


def _page(kind: Kind, calendar: Calendar) -> dg.AssetsDefinition:
    partitions = partitions_of(kind, calendar)

    @dg.asset(
        key=kind.page,
        group_name="reports",
        kinds={"html"},
        deps=[dg.AssetDep(SNAPSHOT, partition_mapping=_upstream(partitions, calendar))],
        partitions_def=partitions,
        freshness_policy=dg.FreshnessPolicy.cron(kind.deadline, kind.since, calendar.zone),
        description=kind.description,
    )
    def page(context: dg.AssetExecutionContext, home: dg.ResourceParam[HomeFinder]) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """The period that begins with the partition's day."""
        used = home.home()
        edition = kind.edition(day_of(partitions, context.partition_key), used.loaded.settings)
        files, mark = making.make_report(used, edition.report, edition.day)
        metadata: dict[str, Any] = {"period": edition.period, "page": dg.MetadataValue.path(str(files.html))}
        if mark:
            metadata["complete_to"] = dg.MetadataValue.timestamp(mark)
        return dg.MaterializeResult(metadata=metadata)

    return page


def _message(kind: Kind, calendar: Calendar) -> dg.AssetsDefinition:
    partitions = partitions_of(kind, calendar)

    @dg.asset(
        key=kind.message,
        group_name="reports",
        kinds={"sqlite"},
        deps=[kind.page],
        partitions_def=partitions,
        description="The report queued for its readers, once for each of them; a run of `deliver` sends it. One that "
        "is no news any more is queued for nobody.",
    )
    def message(context: dg.AssetExecutionContext, home: dg.ResourceParam[HomeFinder]) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Queued once, however often this is materialised."""
        used = home.home()
        edition = kind.edition(day_of(partitions, context.partition_key), used.loaded.settings)
        return dg.MaterializeResult(metadata={"period": edition.period, "outcome": queue(used, edition)})

    return message


def queue(home: Home, edition: Edition) -> str:
    """Queue an edition that is news, and say what came of it."""
    now: datetime = home.clock.now()
    if not edition.is_news(now):
        return "It is no news any more; `matokit report` with --send sends it all the same."
    sent = send_report(home.loaded, edition.report, edition.period, now=now, due=edition.due)
    if sent.why_not:
        return sent.why_not
    if not sent.queued:
        return "It was queued before."
    return f"Queued for {', '.join(sent.queued)}."


def _upstream(partitions: dg.TimeWindowPartitionsDefinition, calendar: Calendar) -> dg.PartitionMapping:
    """Which days of the snapshot a period hangs on: its own; Dagster knows of none between two zones, so the newest."""
    if partitions.timezone == calendar.zone:
        return dg.TimeWindowPartitionMapping()
    return dg.LastPartitionMapping()


def partitions_of(kind: Kind, calendar: Calendar) -> dg.TimeWindowPartitionsDefinition:
    """The periods of a report."""
    partitions: dict[str, dg.TimeWindowPartitionsDefinition] = {
        "weekly": calendar.weeks, "daily": calendar.mornings, "monthly": calendar.months,
    }  # fmt: skip
    return partitions[kind.report]


def day_of(partitions: dg.TimeWindowPartitionsDefinition, key: str) -> date:
    """The first day of a partition."""
    return partitions.time_window_for_partition_key(key).start.date()
