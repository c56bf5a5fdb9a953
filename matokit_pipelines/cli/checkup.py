"""The checks behind `doctor`: each yields one finding, a failing one does not keep the others from running.

Not here: printing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from matokit_pipelines.errors import FINE, MatokitError
from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.warehouse import refresh
from matokit_pipelines.warehouse.matomo_pass import check_dimensions
from matokit_pipelines.warehouse.refresh import Home

if TYPE_CHECKING:
    import duckdb

State = Literal["good", "note", "failed"]
LITTLE_SPACE = 1 << 30


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what to do if it is not good."""

    state: State
    what: str
    sentence: str
    exit_code: int = FINE

    @property
    def mark(self) -> str:
        return {"good": "ok", "note": "note", "failed": "FAIL"}[self.state]


def check_up(home: Home) -> Iterator[Finding]:
    """Every check, in the order in which things would have to be mended."""
    yield from _settings(home)
    for source in home.loaded.settings.sources:
        yield from _source(home, source)
    yield from _home(home)


def _settings(home: Home) -> Iterator[Finding]:
    loaded = home.loaded
    yield Finding("good", "settings", f"{loaded.file or 'no file, defaults only'}; home {loaded.home}")
    settings = loaded.settings
    for name, section in (("project", settings.project), ("events", settings.events), ("http", settings.http)):
        for key, value in section:
            if origin := loaded.origin.get(f"{name}.{key}"):
                yield Finding("good", f"{name}.{key}", f"{value!r} from {origin}")
    for variable in loaded.strangers:
        yield Finding("note", variable, "begins like a setting and is none; is its name misspelt?")
    if not settings.sources:
        yield Finding("failed", "sources", "none is set up; `matokit init` writes a settings file.", 2)


def _source(home: Home, source: SourceSettings) -> Iterator[Finding]:
    """Reach it once with the token: each failing attempt counts towards a lock-out."""
    what = f"source {source.name}"
    try:
        home.loaded.credentials(source)
        client = refresh.client_for(home.loaded, source, home.clock)
        try:
            site = client.site()
            yield Finding(
                "good", what, f'{source.url} answers; site {site.site_id} is "{site.name}" in {site.zone.key}'
            )
            configured = client.dimensions()
            check_dimensions(source, configured)
            names = {dimension.number: dimension.name for dimension in configured}
            carried = ", ".join(f"{m} = {n} ({names[n]})" for m, n in sorted(source.dimensions.items()))
            yield Finding("good", what, f"dimensions {carried}")
            newest = client.newest_visit()
            yield Finding(
                "good" if newest else "note",
                what,
                f"newest visit {newest:%Y-%m-%d %H:%M} UTC" if newest else "no visit yet",
            )
        finally:
            client.close()
    except MatokitError as error:
        yield Finding("failed", what, str(error), error.exit_code)


def _home(home: Home) -> Iterator[Finding]:
    folder = next(path for path in (home.loaded.home, *home.loaded.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    state: State = "good" if free > LITTLE_SPACE else "note"
    yield Finding(state, "disk", f"{free / (1 << 30):.1f} GiB free at {folder}")
    if not home.warehouse.path.exists():
        yield Finding("note", "warehouse", "not made yet; `matokit run` makes it")
        return
    try:
        with home.warehouse.reader() as connection:
            events = connection.execute("select count(*) from raw.matomo_events").fetchall()[0][0]
            zone = connection.execute("select zone from ledger.project").fetchall()
            yield Finding("good", "warehouse", f"{events:,} events in {home.warehouse.path}")
            yield from _unknown_environment(connection)
            if zone and zone[0][0] != home.zone_name:
                yield Finding(
                    "failed", "project.timezone",
                    f"this home cuts its days in {zone[0][0]}; put that back, or run `matokit build --full`.", 2,
                )  # fmt: skip
    except MatokitError as error:
        yield Finding("failed", "warehouse", str(error), error.exit_code)


def _unknown_environment(connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Events of categories that tell neither CI nor people are in no figure of production."""
    known = connection.execute(
        "select 1 from duckdb_tables() where schema_name = 'staging' and table_name = 'installer_events'"
    ).fetchall()
    if not known:
        return
    rows = connection.execute(
        "select category_raw, count(*) from staging.installer_events "
        "where counted and environment = 'unknown' group by 1 order by 2 desc, 1 limit 5"
    ).fetchall()
    if rows:
        said = ", ".join(f"{category} ({events:,} events)" for category, events in rows)
        yield Finding(
            "note", "environment", f"unknown for {said}: in no figure of production; events.environments can name it"
        )
