"""Landing: Matomo's web reports, one asset for all sources that provide them, so that the graph loads without settings.

Not here: events (extract.py), which periods are due (warehouse/web_planning.py).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from matokit_pipelines.orchestration.assets.extract import FRESH, SOURCES_ANSWER
from matokit_pipelines.orchestration.resources import HomeFinder
from matokit_pipelines.warehouse import refresh
from matokit_pipelines.warehouse.passes import PassResult
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.web_facts import WebFacts, web_facts

WEB_REPORTS = dg.AssetKey(["raw", "web_reports"])
NOTHING_TO_READ = "No source provides web reports, so there is nothing to read."


def web_reports(pool: str | None) -> dg.AssetsDefinition:
    """The raw table of web reports. No partitions: the ledger decides which periods are asked for."""

    @dg.multi_asset(
        name=WEB_REPORTS.path[-1],
        specs=[
            dg.AssetSpec(
                WEB_REPORTS,
                group_name="extract",
                kinds={"duckdb", "matomo"},
                freshness_policy=FRESH,
                description="The web reports of every Matomo source that provides them, as received: one row a report "
                "of one day, week or month of the site. History is read newest first, a few periods a pass.",
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(SOURCES_ANSWER, asset=WEB_REPORTS, description="Every source of reports could be read.")
        ],
        pool=pool,
    )
    def land(context: dg.AssetExecutionContext, home: dg.ResourceParam[HomeFinder]):  # type: ignore[no-untyped-def]
        """A source that cannot be read fails its check and leaves the others, and what was landed before, usable."""
        used = home.home()
        if not any(source.has_web_reports for source in used.loaded.settings.sources):
            context.log.info(NOTHING_TO_READ)
            yield dg.MaterializeResult(asset_key=WEB_REPORTS, metadata={"note": NOTHING_TO_READ})
            yield _answered([])
            return
        passes = refresh.extract(used, what="web_reports")
        for result in passes:
            context.log.info(f"{result.source}: {result.windows} periods read, {result.requests} requests")
        yield dg.MaterializeResult(asset_key=WEB_REPORTS, metadata=_metadata(passes, _facts(used)))
        yield _answered(passes)

    return land


def _facts(home: Home) -> list[WebFacts]:
    settings = home.loaded.settings
    with home.warehouse.reader() as connection:
        return web_facts(connection, settings.sources, settings.web_reports, home.clock.now())


def _metadata(passes: Sequence[PassResult], known: Sequence[WebFacts]) -> dict[str, Any]:
    """Numbers as numbers and moments as moments, so that the web page draws them over time."""
    metadata: dict[str, Any] = {
        "periods_read": sum(result.windows for result in passes),
        "requests": sum(result.requests for result in passes),
        "periods_unknown": sum(facts.unknown for facts in known),
        "periods_waiting": sum(facts.waiting for facts in known),
    }
    for result in passes:
        metadata[f"{result.source}/periods"] = result.windows
        if result.watermark:
            metadata[f"{result.source}/complete_to"] = dg.MetadataValue.timestamp(result.watermark)
    return metadata


def _answered(passes: Sequence[PassResult]) -> dg.AssetCheckResult:
    error = refresh.first_error(passes)
    return dg.AssetCheckResult(
        passed=error is None,
        asset_key=WEB_REPORTS,
        check_name=SOURCES_ANSWER,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "sentence": str(error or "Every source of reports could be read."),
            "exit_code": error.exit_code if error else 0,
        },
    )


def in_words(metadata: dict[str, Any]) -> Iterator[str]:
    """A sentence for each source of which periods were read."""
    for key, value in metadata.items():
        if key.endswith("/periods") and value:
            source = key.removesuffix("/periods")
            yield f"{source}: web reports of {value:,} {'period' if value == 1 else 'periods'}"
