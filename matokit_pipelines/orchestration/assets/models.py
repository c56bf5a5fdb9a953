"""Every table of `sql/` as one multi-asset: the build is one transaction, so it is one step."""

from collections.abc import Iterator

import dagster as dg

from matokit_pipelines import resources
from matokit_pipelines.orchestration.resources import HomeFinder
from matokit_pipelines.warehouse import refresh
from matokit_pipelines.warehouse.build import BuildResult
from matokit_pipelines.warehouse.checks import CheckResult, written_checks
from matokit_pipelines.warehouse.models import Model, in_order, load_models

AS_DESCRIBED = "as_described"
MODELS = {model.name: model for model in in_order(load_models(resources.path("sql")))}


def asset_key(table: str) -> dg.AssetKey:
    """`layer.table` as an asset key."""
    return dg.AssetKey(table.split("."))


def _spec(model: Model) -> dg.AssetSpec:
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
    )


def _check_specs(model: Model) -> list[dg.AssetCheckSpec]:
    key = asset_key(model.name)
    described = dg.AssetCheckSpec(
        AS_DESCRIBED, asset=key, description="Keys, null-ness, ranges and values are as model.yaml describes them."
    )
    return [described] + [
        dg.AssetCheckSpec(check.name, asset=key, description=check.sentence) for check in written_checks(model)
    ]


@dg.multi_asset(
    name="tables",
    specs=[_spec(model) for model in MODELS.values()],
    check_specs=[spec for model in MODELS.values() for spec in _check_specs(model)],
    can_subset=True,
)
def tables(context: dg.AssetExecutionContext, home: dg.ResourceParam[HomeFinder]):  # type: ignore[no-untyped-def]
    """Derive what is touched, check it, commit. A selection of tables is reported, the build stays whole: tables
    that were derived by two different builds would not fit together."""
    result = refresh.derive(home.home())
    context.log.info(f"{len(result.days)} days derived, {len(result.checks)} checks ran")
    for table in MODELS:
        if asset_key(table) in context.selected_asset_keys:
            yield dg.MaterializeResult(
                asset_key=asset_key(table),
                metadata={"rows_written": result.rows.get(table, 0), "days_derived": len(result.days)},
            )
    yield from _check_results(context, result)


def _check_results(context: dg.AssetExecutionContext, result: BuildResult) -> Iterator[dg.AssetCheckResult]:
    by_table: dict[str, list[CheckResult]] = {}
    for check in result.checks:
        by_table.setdefault(check.table, []).append(check)
    for table, model in MODELS.items():
        written = {check.name for check in written_checks(model)}
        ran = by_table.get(table, [])
        key = asset_key(table)
        wanted = {check.name for check in context.selected_asset_check_keys if check.asset_key == key}
        if AS_DESCRIBED in wanted:
            generated = [check for check in ran if check.name not in written]
            yield dg.AssetCheckResult(
                passed=all(check.passed for check in generated),
                asset_key=key,
                check_name=AS_DESCRIBED,
                metadata={"rules": len(generated)},
            )
        for name in sorted(written & wanted):
            found = next((check for check in ran if check.name == name), None)
            yield dg.AssetCheckResult(
                passed=found is None or found.passed,
                asset_key=key,
                check_name=name,
                severity=dg.AssetCheckSeverity.WARN,  # a blocking one has ended the build already
                description=_found_wrong(found) if found and not found.passed else None,
                metadata={
                    "failing_rows": found.failing_rows if found else 0,
                    "ran": found is not None,
                    "examples": list(found.examples) if found else [],
                },
            )


def _found_wrong(check: CheckResult) -> str:
    """What a warning says: what should hold, and up to three examples of what does not."""
    such_as = f": {'; '.join(check.examples)}" if check.examples else ""
    return f"{check.sentence} (not so: {check.failing_rows:,}){such_as}"
