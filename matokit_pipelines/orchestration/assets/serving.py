"""The published snapshot that pages, queries and servers read."""

import dagster as dg

from matokit_pipelines.orchestration.assets.models import MODELS, asset_key
from matokit_pipelines.orchestration.resources import HomeFinder
from matokit_pipelines.warehouse import refresh

SNAPSHOT = dg.AssetKey(["serving", "snapshot"])


@dg.asset(
    key=SNAPSHOT,
    group_name="serving",
    kinds={"duckdb"},
    deps=[asset_key(table) for table in MODELS if table.startswith("marts.")],
    description="An immutable copy of the marts under a name never used before; readers move to it by themselves.",
)
def snapshot(home: dg.ResourceParam[HomeFinder]) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Publish; a failed build never gets here, so the last good snapshot stays in service."""
    manifest = refresh.publish_marts(home.home())
    if manifest is None:
        raise dg.Failure("Publishing made no snapshot.")
    return dg.MaterializeResult(
        metadata={
            "generation": manifest.generation,
            "complete_to": f"{manifest.watermark:%Y-%m-%d %H:%M} UTC" if manifest.watermark else "nothing",
            "rows": sum(manifest.rows.values()),
        }
    )
