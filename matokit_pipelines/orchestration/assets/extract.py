"""Landing: raw tables, one asset a kind of source, so that the graph loads without settings."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from matokit_pipelines.orchestration.days import asked_days, further_days
from matokit_pipelines.orchestration.partitions import Calendar
from matokit_pipelines.orchestration.resources import HomeFinder
from matokit_pipelines.settings import Kind
from matokit_pipelines.warehouse import facts, refresh
from matokit_pipelines.warehouse.backfill import extract_kind, sources_of
from matokit_pipelines.warehouse.passes import PassResult
from matokit_pipelines.warehouse.refresh import Home

MATOMO_EVENTS = dg.AssetKey(["raw", "matomo_events"])
PIWIK_PRO_EVENTS = dg.AssetKey(["raw", "piwik_pro_events"])
RAW: dict[Kind, dg.AssetKey] = {"matomo": MATOMO_EVENTS, "piwik_pro": PIWIK_PRO_EVENTS}
SPOKEN: dict[Kind, str] = {"matomo": "Matomo", "piwik_pro": "Piwik PRO"}
SOURCES_ANSWER = "sources_answer"
NOTHING_IS_MISSING = "nothing_is_missing"
# The nightly pass reads in any case.
FRESH = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=26), warn_window=timedelta(hours=25))


def raw_events(kind: Kind, calendar: Calendar, pool: str | None) -> dg.AssetsDefinition:
    """The raw table of a kind."""
    key = RAW[kind]

    @dg.multi_asset(
        name=key.path[-1],
        specs=[
            dg.AssetSpec(
                key,
                group_name="extract",
                kinds={"duckdb", kind.replace("_", "")},
                partitions_def=calendar.days,
                freshness_policy=FRESH,
                description=f"Every custom event of every {SPOKEN[kind]} source as received, one row an event, landed "
                "as a diff. A partition is a day in the project's zone; read for it are all whole days of the site "
                "that overlap it.",
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(SOURCES_ANSWER, asset=key, description="Every source could be read."),
            dg.AssetCheckSpec(NOTHING_IS_MISSING, asset=key, description="No source withholds events it counts."),
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=pool,
    )
    def land(context: dg.AssetExecutionContext, home: dg.ResourceParam[HomeFinder]):  # type: ignore[no-untyped-def]
        """A source that cannot be read fails its check and leaves the others, and what was landed before, usable."""
        used = home.home()
        if not sources_of(used.loaded, kind):
            yield from _nothing_to_read(context, kind)
            return
        started = used.clock.now()
        passes = extract_kind(used, kind, days=asked_days(context, calendar))
        for result in passes:
            context.log.info(f"{result.source}: {result.windows} windows, {result.inserted} new rows")
        touched = facts.days_touched_since(used, started)
        metadata = _metadata(used, kind, passes, len(touched))
        read = facts.days_read_since(used, kind, started)
        for event in further_days(context, calendar, key, read, {"days_touched": len(touched)}):
            context.log_event(event)
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)
        yield from _checks(key, passes)

    return land


def _nothing_to_read(context: dg.AssetExecutionContext, kind: Kind) -> Iterator[Any]:
    sentence = f"No source of kind {kind} is set up, so there is nothing to read."
    context.log.info(sentence)
    yield dg.MaterializeResult(asset_key=RAW[kind], metadata={"note": sentence})
    yield from _checks(RAW[kind], [])


def _metadata(home: Home, kind: Kind, passes: Sequence[PassResult], days_touched: int) -> dict[str, Any]:
    """Numbers as numbers and moments as moments, so that the web page draws them over time."""
    names = {source.name for source in sources_of(home.loaded, kind)}
    known = [source for source in facts.source_facts(home) if source.source in names]
    metadata: dict[str, Any] = {
        "rows": facts.raw_rows(home, kind),
        "rows_written": sum(result.inserted + result.changed + result.vanished for result in passes),
        "days_touched": days_touched,
        "windows_open": sum(source.windows_open for source in known),
        "requests": sum(result.requests for result in passes),
    }
    marks = [source.watermark for source in known]
    if marks and None not in marks:
        metadata["complete_to"] = dg.MetadataValue.timestamp(min(mark for mark in marks if mark))
    for result in passes:
        metadata |= {
            f"{result.source}/windows": result.windows,
            f"{result.source}/received": result.received,
            f"{result.source}/new": result.inserted,
            f"{result.source}/changed": result.changed,
            f"{result.source}/vanished": result.vanished,
        }
        if result.watermark:
            metadata[f"{result.source}/complete_to"] = dg.MetadataValue.timestamp(result.watermark)
    return metadata


def _checks(key: dg.AssetKey, passes: Sequence[PassResult]) -> Iterator[dg.AssetCheckResult]:
    error, loss = refresh.first_error(passes), refresh.loss_in_words(passes)
    yield dg.AssetCheckResult(
        passed=error is None,
        asset_key=key,
        check_name=SOURCES_ANSWER,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "sentence": str(error or "Every source could be read."),
            "exit_code": error.exit_code if error else 0,
        },
    )
    yield dg.AssetCheckResult(
        passed=loss is None,
        asset_key=key,
        check_name=NOTHING_IS_MISSING,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"sentence": loss or "Nothing is known to be missing."},
    )
