"""The published snapshot that pages, queries and servers read."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from matokit_pipelines.orchestration.assets.extract import FRESH
from matokit_pipelines.orchestration.assets.models import BY_DAY, EVENTS, MODELS, asset_key
from matokit_pipelines.orchestration.days import further_days
from matokit_pipelines.orchestration.partitions import Calendar
from matokit_pipelines.orchestration.resources import HomeFinder
from matokit_pipelines.warehouse import facts, refresh

SNAPSHOT = dg.AssetKey(["serving", "snapshot"])


def published_snapshot(calendar: Calendar, pool: str | None) -> dg.AssetsDefinition:
    """The snapshot. A partition is a day whose derivation was published."""

    @dg.asset(
        key=SNAPSHOT,
        group_name="serving",
        kinds={"duckdb"},
        deps=[asset_key(table) for table in MODELS if table.startswith("marts.") or table in BY_DAY],
        partitions_def=calendar.days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        freshness_policy=FRESH,
        pool=pool,
        description="An immutable copy of the marts under a name never used before; readers move to it by themselves. "
        "Its metadata say whether all is right.",
    )
    def snapshot(context: dg.AssetExecutionContext, home: dg.ResourceParam[HomeFinder]) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Publish; a failed build never gets here, so the last good snapshot stays in service."""
        used = home.home()
        manifest = refresh.publish_marts(used)
        if manifest is None:
            raise dg.Failure("Publishing made no snapshot.")
        sources = facts.source_facts(used)
        metadata: dict[str, Any] = {
            "is it all right": facts.all_right(sources, used.clock.now()),
            "generation": manifest.generation,
            "rows": sum(manifest.rows.values()),
            "windows_open": sum(source.windows_open for source in sources),
        }
        if manifest.watermark:
            metadata["complete_to"] = dg.MetadataValue.timestamp(manifest.watermark)
        for event in further_days(context, calendar, SNAPSHOT, _derived_days(context, calendar), metadata):
            context.log_event(event)
        return dg.MaterializeResult(metadata=metadata)

    return snapshot


def _derived_days(context: dg.AssetExecutionContext, calendar: Calendar) -> Iterator[date]:
    """The days that this run has shown to be derived, and that are published with it."""
    for entry in context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        done = entry.asset_materialization
        if done and done.asset_key == asset_key(EVENTS) and done.partition:
            yield calendar.day_of(done.partition)
