"""Built marts for tests of the dashboards' facts: landed events as rows or from a generated truth, all in memory.

Belongs here: landing and building, also of a part of the systems alone. Does not belong here: what a widget shows.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from matokit_pipelines import resources
from matokit_pipelines.simulator import Truth
from matokit_pipelines.warehouse.build import BuildOptions, build
from matokit_pipelines.warehouse.connection import in_memory
from tests.comparing import Marts

NOW = datetime(2026, 10, 27, 12, tzinfo=UTC)  # the last complete day, the 26th, follows the one of 25 hours
WATERMARK = datetime(2026, 10, 27, 5, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "source": "installers",
    "site_id": "1",
    "visit_id": 1,
    "visitor_id": "visitor-1",
    "event_ts": datetime(2026, 10, 26, 11, tzinfo=UTC),
    "fold_ambiguous": False,
    "category": "Installer",
    "action": "Event",
    "name": "python_install",
    "value": 2.0,
    "os_raw": "macOS14.2.1 (Sonoma)",
    "architecture_raw": "arm64",
    "commit_raw": "abc1234",
    "visit_first_ts": NOW,
    "visit_last_ts": NOW,
    "landed_at": NOW,
    "changed_at": NOW,
}
_SENT = {"dimension1": "os_raw", "dimension2": "architecture_raw", "dimension3": "commit_raw"}


def landed(events: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Events as they land; what they leave out is taken from EVENT."""
    rows = [EVENT | dict(event) | {"event_id": f"{place:06d}"} for place, event in enumerate(events)]
    kinds = {"event_ts": pl.Datetime("us", "UTC"), "value": pl.Float64}
    return pl.DataFrame(rows, schema_overrides=kinds, infer_schema_length=None)


def landed_truth(truth: Truth) -> pl.DataFrame:
    """What is sent in a truth, as it lands."""
    sent = truth.events.filter(pl.col("category").is_not_null()).rename(_SENT)
    columns = ["event_ts", "visitor_id", "category", "action", "name", "value", *_SENT.values()]
    fixed = [pl.lit(value).alias(name) for name, value in EVENT.items() if name not in columns]
    return sent.select(*columns, *fixed, pl.int_range(pl.len()).cast(pl.String).str.zfill(6).alias("event_id"))


def built(rows: pl.DataFrame | None, known_from: datetime, root: Path | None = None) -> Marts:
    """The marts over landed rows that are known since `known_from`; over nothing, not even a source, without rows."""
    connection = in_memory(NOW)
    if rows is not None:
        connection.execute(
            "insert into ledger.sources (source, kind, site_id, zone, url, proven_from, watermark) "
            "values ('installers', 'matomo', '1', 'Europe/Copenhagen', 'https://matomo.example.org', ?, ?)",
            [known_from, WATERMARK],
        )
    if rows is not None and rows.height:
        connection.register("given", rows.to_arrow())
        connection.execute("insert into raw.matomo_events by name select * from given")
        connection.unregister("given")
    build(connection, options=BuildOptions(), now=NOW, sql_root=root)
    return Marts(connection)


def of_systems(folder: Path, architecture: str | None, release: str | None) -> Path:
    """The SQL of the product, which counts these systems alone and leaves out all other events."""
    root = shutil.copytree(resources.path("sql"), folder / "sql")
    query = root / "staging" / "installer_events" / "query.sql"
    wanted = {"architecture": architecture, "os_release": release}
    only = [f"{column} = '{value}'" for column, value in wanted.items() if value is not None]
    text = query.read_text(encoding="utf-8").rstrip()
    assert text.endswith("\nfrom judged")
    for checks in root.rglob("checks.sql"):
        checks.unlink()  # they hold what is counted against all that landed
    query.write_text(f"{text}\nwhere {' and '.join(only)}\n", encoding="utf-8")
    return root
