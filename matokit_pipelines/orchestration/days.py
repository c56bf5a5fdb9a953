"""Days of a run: those it was asked for, and those it is shown for in the web page.

Runs of the jobs `refresh` and `nightly` are never asked for days: the ledger knows what is due, and such a run is
shown for the newest days and for every other day that it touched. Any other run with partitions reads just these.
Not here: reading them.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg

from matokit_pipelines.orchestration.partitions import Calendar
from matokit_pipelines.windows import ONE_DAY

REFRESH, NIGHTLY = "refresh", "nightly"
EVALUATE, DELIVER = "evaluate_alerts", "deliver"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
LOOK_BACK_DAYS = 7  # what the nightly pass holds against the sources' own counts
MANY_DAYS = 10


KEPT_TAG = "matokit/kept"  # on a refresh that touched many days: kept as long as other runs, since they show with it


def range_tags(calendar: Calendar, today: date, days_back: int = 0) -> Mapping[str, str]:
    """The tags that show a run for `today` and the days before it, as far as they are partitions."""
    keys = calendar.keys_between(today - days_back * ONE_DAY, today)
    if not keys:  # a clock apart from Dagster's own
        every = list(calendar.days.get_partition_keys())
        keys = every[:1] if today < calendar.day_of(every[0]) else every[-1:]
    return {RANGE_START: keys[0], RANGE_END: keys[-1]}


def shown_days(context: dg.AssetExecutionContext, calendar: Calendar) -> tuple[date, date] | None:
    """The first and last day that the run is shown for; None for a run without partitions."""
    if context.has_partition_key_range:
        keys = context.partition_key_range
        return calendar.day_of(keys.start), calendar.day_of(keys.end)
    if context.has_partition_key:
        return calendar.day_of(context.partition_key), calendar.day_of(context.partition_key)
    return None


def asked_days(context: dg.AssetExecutionContext, calendar: Calendar) -> tuple[date, date] | None:
    """The first and last day to read and derive again; None for a run that does what is due."""
    return None if context.run.job_name in (REFRESH, NIGHTLY) else shown_days(context, calendar)


def further_days(
    context: dg.AssetExecutionContext,
    calendar: Calendar,
    key: dg.AssetKey,
    touched: Iterable[date],
    metadata: Mapping[str, Any],
) -> Iterator[dg.AssetMaterialization]:
    """A materialisation for each touched day that the run is not shown for anyway."""
    shown = shown_days(context, calendar)
    days = [day for day in touched if shown is None or not shown[0] <= day <= shown[1]]
    yield from shown_for_days(calendar, key, days, metadata)


def shown_for_days(
    calendar: Calendar, key: dg.AssetKey, touched: Iterable[date], metadata: Mapping[str, Any]
) -> Iterator[dg.AssetMaterialization]:
    """A materialisation for each of the days, as far as they are partitions, in order."""
    days = set(touched)
    if days:
        for partition in calendar.keys_between(min(days), max(days)):
            if calendar.day_of(partition) in days:
                yield dg.AssetMaterialization(key, partition=partition, metadata=metadata)
