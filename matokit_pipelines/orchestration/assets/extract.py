"""Landing: raw tables, one asset a kind of source, so that the graph loads without settings."""

from typing import Any

import dagster as dg

from matokit_pipelines.orchestration.resources import HomeFinder
from matokit_pipelines.warehouse import refresh

MATOMO_EVENTS = dg.AssetKey(["raw", "matomo_events"])
SOURCES_ANSWER = "sources_answer"
NOTHING_IS_MISSING = "nothing_is_missing"


@dg.multi_asset(
    name="matomo_events",
    specs=[
        dg.AssetSpec(
            MATOMO_EVENTS,
            group_name="extract",
            kinds={"duckdb"},
            description="Every custom event of every Matomo source as received, one row an event, landed as a diff.",
        )
    ],
    check_specs=[
        dg.AssetCheckSpec(SOURCES_ANSWER, asset=MATOMO_EVENTS, description="Every source could be read."),
        dg.AssetCheckSpec(NOTHING_IS_MISSING, asset=MATOMO_EVENTS, description="No source withholds events it counts."),
    ],
)
def matomo_events(context: dg.AssetExecutionContext, home: dg.ResourceParam[HomeFinder]):  # type: ignore[no-untyped-def]
    """A source that cannot be read fails its check and leaves the others, and what was landed before, usable."""
    passes = refresh.extract(home.home())
    error, loss = refresh.first_error(passes), refresh.loss_in_words(passes)
    metadata: dict[str, Any] = {}
    for result in passes:
        context.log.info(f"{result.source}: {result.windows} windows, {result.inserted} new rows")
        metadata |= {
            f"{result.source}/windows": result.windows,
            f"{result.source}/received": result.received,
            f"{result.source}/new": result.inserted,
            f"{result.source}/changed": result.changed,
            f"{result.source}/vanished": result.vanished,
            f"{result.source}/requests": result.requests,
            f"{result.source}/complete_to": f"{result.watermark:%Y-%m-%d %H:%M} UTC" if result.watermark else "nothing",
        }
    yield dg.MaterializeResult(asset_key=MATOMO_EVENTS, metadata=metadata)
    yield dg.AssetCheckResult(
        passed=error is None,
        asset_key=MATOMO_EVENTS,
        check_name=SOURCES_ANSWER,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "sentence": str(error or "Every source could be read."),
            "exit_code": error.exit_code if error else 0,
        },
    )
    yield dg.AssetCheckResult(
        passed=loss is None,
        asset_key=MATOMO_EVENTS,
        check_name=NOTHING_IS_MISSING,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"sentence": loss or "Nothing is known to be missing."},
    )
