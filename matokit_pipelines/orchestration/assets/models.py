"""Every table of `sql/` as one multi-asset: the build is one transaction, so it is one step."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from matokit_pipelines import resources
from matokit_pipelines.orchestration.assets.checks import check_specs, report_checks
from matokit_pipelines.orchestration.days import KEPT_TAG, MANY_DAYS, asked_days, further_days, shown_for_days
from matokit_pipelines.orchestration.partitions import Calendar
from matokit_pipelines.orchestration.resources import HomeFinder
from matokit_pipelines.warehouse import facts, refresh
from matokit_pipelines.warehouse.build import BuildResult
from matokit_pipelines.warehouse.models import Model, in_order, load_models
from matokit_pipelines.warehouse.refresh import Home

MODELS = {model.name: model for model in in_order(load_models(resources.path("sql")))}
EVENTS = "staging.installer_events"


def _holds_events(model: Model) -> bool:
    """Whether a table has a row an event: such a table has a partition a day, what sums up follows whole."""
    return any(column.name == "event_ts" for column in model.file.columns) and model.file.materialisation != "full"


BY_DAY = frozenset(name for name, model in MODELS.items() if _holds_events(model))


def asset_key(table: str) -> dg.AssetKey:
    """`layer.table` as an asset key."""
    return dg.AssetKey(table.split("."))


def _spec(model: Model, calendar: Calendar) -> dg.AssetSpec:
    columns = [
        dg.TableColumn(column.name, column.type, description=column.description) for column in model.file.columns
    ]
    return dg.AssetSpec(
        asset_key(model.name),
        deps=[asset_key(table) for table in model.file.reads if not table.startswith(("seeds.", "ledger."))],
        group_name=model.name.split(".")[0],
        kinds={"duckdb", "view" if model.file.materialisation == "view" else "table"},
        description=f"{model.file.description}\n\nOne row: {model.file.grain}.",
        metadata={"dagster/column_schema": dg.TableSchema(columns=columns)},
        partitions_def=calendar.days if model.name in BY_DAY else None,
    )


def derived_tables(calendar: Calendar, pool: str | None) -> dg.AssetsDefinition:
    """All tables. Those of events have a partition a day, the others follow whole."""

    @dg.multi_asset(
        name="tables",
        specs=[_spec(model, calendar) for model in MODELS.values()],
        check_specs=[spec for model in MODELS.values() for spec in check_specs(model, asset_key(model.name))],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=pool,
    )
    def tables(context: dg.AssetExecutionContext, home: dg.ResourceParam[HomeFinder]):  # type: ignore[no-untyped-def]
        """Derive what is touched, and the days asked for, check it, commit. A selection of tables does not narrow the
        build, since tables that were derived by two different builds would not fit together."""
        used = home.home()
        result = refresh.derive(used, days=asked_days(context, calendar))
        context.log.info(f"{len(result.days)} days derived, {len(result.checks)} checks ran")
        if len(result.days) > MANY_DAYS:
            context.instance.add_run_tags(context.run.run_id, {KEPT_TAG: f"{len(result.days)} days"})
        metadata = _metadata(used, result)
        shown = set()
        for table in MODELS:
            key = asset_key(table)
            for event in _also_shown(context, calendar, table, result, metadata[table]):
                context.log_event(event)
                shown.add(key)
            if key in context.selected_asset_keys:
                shown.add(key)
                yield dg.MaterializeResult(asset_key=key, metadata=metadata[table])
        yield from report_checks(context, {asset_key(table): model for table, model in MODELS.items()}, result, shown)

    return tables


def _also_shown(
    context: dg.AssetExecutionContext,
    calendar: Calendar,
    table: str,
    result: BuildResult,
    metadata: Mapping[str, Any],
) -> Iterator[dg.AssetMaterialization]:
    """What is shown of a table beside what was selected: days that were touched, and tables that were derived."""
    key = asset_key(table)
    if key in context.selected_asset_keys:
        if table in BY_DAY:
            yield from further_days(context, calendar, key, result.days, metadata)
    elif table in BY_DAY:
        yield from shown_for_days(calendar, key, result.days, metadata)
    elif table in result.rows or table in result.rebuilt:
        yield dg.AssetMaterialization(key, metadata=metadata)


def _metadata(home: Home, result: BuildResult) -> dict[str, dict[str, Any]]:
    """What each table is told with. Numbers as numbers and moments as moments, so that the web page draws them."""
    rows = facts.table_rows(home, MODELS)
    mark = facts.product_watermark(home)
    shared: dict[str, Any] = {"days_touched": len(result.days)}
    if mark:
        shared["complete_to"] = dg.MetadataValue.timestamp(mark)
    return {
        table: {"rows_written": result.rows.get(table, 0)} | ({"rows": rows[table]} if table in rows else {}) | shared
        for table in MODELS
    }
