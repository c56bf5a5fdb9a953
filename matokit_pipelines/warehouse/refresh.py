"""What a refresh is made of: extract, build, publish. The command line and the schedule call these same functions.

Not here: what is due (extraction.py), how tables are derived (build.py), how a snapshot is made (snapshots.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import duckdb

from matokit_pipelines import __version__
from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import MatokitError, NothingPublished, SettingsError, SnapshotDamaged
from matokit_pipelines.settings import NO_SOURCE, Loaded, SourceSettings
from matokit_pipelines.sources import piwik_pro
from matokit_pipelines.sources.http import TRANSIENT_STATUS, HttpLimits, HttpSession
from matokit_pipelines.sources.matomo import MatomoClient
from matokit_pipelines.sources.pacing import RateLimit
from matokit_pipelines.sources.piwik_pro import PiwikProClient
from matokit_pipelines.sources.piwik_pro_token import Credentials
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse.build import BuildOptions, BuildResult, build
from matokit_pipelines.warehouse.connection import COMMAND_WAIT_SECONDS, Warehouse
from matokit_pipelines.warehouse.matomo_pass import MatomoPass
from matokit_pipelines.warehouse.passes import PassResult, Progress
from matokit_pipelines.warehouse.piwik_pro_pass import PiwikProPass
from matokit_pipelines.warehouse.snapshots import Manifest, open_current, publish
from matokit_pipelines.warehouse.web_pass import WebReportsPass
from matokit_pipelines.windows import each_day

What = Literal["events", "web_reports"]
RULES = "staging.installer_events"  # its state says by which rules events are read


@dataclass(frozen=True)
class Home:
    """Everything a command works with: settings, clock, warehouse."""

    loaded: Loaded
    clock: Clock
    warehouse: Warehouse

    @classmethod
    def of(cls, loaded: Loaded, clock: Clock, *, wait_seconds: float = COMMAND_WAIT_SECONDS) -> Home:
        return cls(loaded, clock, Warehouse(loaded.home, clock, wait_seconds=wait_seconds))

    @property
    def zone_name(self) -> str:
        return self.loaded.settings.project.timezone


@dataclass(frozen=True)
class Built:
    """A build and what was published of it; `manifest` is None when the snapshot in service is still right."""

    result: BuildResult
    manifest: Manifest | None


def session_for(
    loaded: Loaded,
    source: SourceSettings,
    clock: Clock,
    *,
    transient: frozenset[int] = TRANSIENT_STATUS,
    rate: RateLimit | None = None,
) -> HttpSession:
    """The connection to one source, with the patience that the settings give."""
    patience = loaded.settings.http
    limits = HttpLimits(
        connect_timeout=patience.connect_timeout,
        read_timeout=patience.read_timeout,
        attempts=patience.attempts,
        first_wait=patience.first_wait,
        longest_wait=patience.longest_wait,
        budget=patience.budget,
        requests=patience.requests,
    )
    return HttpSession(source.name, source.url, clock, limits, transient=transient, rate=rate)


def piwik_pro_client_for(loaded: Loaded, source: SourceSettings, clock: Clock) -> PiwikProClient:
    """A client for one Piwik PRO source; its credentials are asked for anew whenever a token runs out."""
    session = session_for(loaded, source, clock, transient=piwik_pro.TRANSIENT_STATUS, rate=piwik_pro.RATE_LIMIT)
    return PiwikProClient(session, source.site_id, lambda: Credentials(*loaded.credentials(source)), clock)


def matomo_client_for(loaded: Loaded, source: SourceSettings, clock: Clock) -> MatomoClient:
    """A client for one Matomo source; its token is asked for anew at each request."""
    session = session_for(loaded, source, clock)
    return MatomoClient(session, source.site_id, lambda: loaded.credentials(source)[0], page_size=source.rows_a_page)


def extract(
    home: Home,
    *,
    only: str | None = None,
    what: What | None = None,
    days: tuple[date, date] | None = None,
    progress: Progress | None = None,
) -> list[PassResult]:
    """One pass over every source (or `only` one): its events, then the web reports of each, or one of these (`what`).

    A source's refusal is in its result; the others are still read.
    """
    sources = _sources(home.loaded, only)
    secrets = {source.name: "\n".join(home.loaded.credentials(source)) for source in sources}
    results = []
    for source in sources if what != "web_reports" else []:
        if not source.has_events:
            continue
        with home.warehouse.writer() as connection:
            ledger.project_zone(connection, home.zone_name)
            results.append(
                read_source(
                    connection, home.loaded, source, secrets[source.name], days=days, zone=home.zone_name,
                    clock=home.clock, progress=progress, scratch=home.loaded.home / "tmp",
                )
            )  # fmt: skip
    for source in sources if what != "events" else []:
        if not source.has_web_reports:
            continue
        with home.warehouse.writer() as connection:
            results.append(
                read_web_reports(
                    connection, home.loaded, source, secrets[source.name], days=days, clock=home.clock,
                    progress=progress,
                )
            )  # fmt: skip
    return results


def read_web_reports(
    connection: duckdb.DuckDBPyConnection,
    loaded: Loaded,
    source: SourceSettings,
    secret: str,
    *,
    clock: Clock,
    days: tuple[date, date] | None = None,
    progress: Progress | None = None,
) -> PassResult:
    """One pass over the web reports of a Matomo source into an open warehouse."""
    client = matomo_client_for(loaded, source, clock)
    try:
        return WebReportsPass(
            connection, client, source, secret, loaded.settings.web_reports, clock=clock, progress=progress
        ).run(days)
    finally:
        client.close()


def read_source(
    connection: duckdb.DuckDBPyConnection,
    loaded: Loaded,
    source: SourceSettings,
    secret: str,
    *,
    zone: str,
    clock: Clock,
    days: tuple[date, date] | None = None,
    progress: Progress | None = None,
    scratch: Path | None = None,
) -> PassResult:
    """One pass over the events of one source of any kind into an open warehouse. `zone`: the project's."""
    client = (
        piwik_pro_client_for(loaded, source, clock)
        if source.kind == "piwik_pro"
        else matomo_client_for(loaded, source, clock)
    )
    try:
        if isinstance(client, PiwikProClient):
            return PiwikProPass(
                connection, client, source, secret, project_zone=zone, clock=clock, progress=progress, scratch=scratch
            ).run(days)
        return MatomoPass(connection, client, source, secret, project_zone=zone, clock=clock, progress=progress).run(
            days
        )
    finally:
        client.close()


def derive(
    home: Home, *, days: tuple[date, date] | None = None, full: bool = False, progress: Progress | None = None
) -> BuildResult:
    """Derive what is touched (or `days`, or everything) and check it. CheckFailed leaves everything as it was."""
    with home.warehouse.writer() as connection:
        ledger.project_zone(connection, home.zone_name, full=full)
        return build(
            connection,
            options=build_options(home.loaded),
            now=home.clock.now(),
            days=list(each_day(*days)) if days else None,
            full=full,
            progress=progress,
        )


def publish_marts(home: Home, result: BuildResult | None = None) -> Manifest | None:
    """Publish the marts; None when the snapshot in service still shows exactly what a new one would.

    `result` of the build just done; without it the snapshot is made in any case.
    """
    with home.warehouse.exclusive():
        with home.warehouse.reader() as connection:
            rules = rule_version(connection)
            mark = connection.execute("select watermark from ledger.product_watermark").fetchall()[0][0]
        if result is not None and not _worth_publishing(home, result, rules, mark):
            return None
        return publish(home.warehouse, code_version=__version__, rule_version=rules, project_zone=home.zone_name)


def build_and_publish(
    home: Home, *, days: tuple[date, date] | None = None, full: bool = False, progress: Progress | None = None
) -> Built:
    """Derive, check, publish, without letting another process in between."""
    with home.warehouse.exclusive():
        result = derive(home, days=days, full=full, progress=progress)
        return Built(result, publish_marts(home, result))


def build_options(loaded: Loaded, zone: str | None = None) -> BuildOptions:
    """The settings that derivation depends on; `zone` instead of the project's where nothing is kept."""
    settings = loaded.settings
    return BuildOptions(
        project_zone=zone or settings.project.timezone,
        environments=dict(settings.events.environments),
        component_codes={code: entry.parts for code, entry in settings.events.component_codes.items()},
        zero_value=settings.events.zero_value,
        mirrors={source.name: source.mirror_of for source in settings.sources if source.mirror_of},
    )


def rule_version(connection: duckdb.DuckDBPyConnection) -> str:
    """Eight hex digits for the rules by which events are read; empty before the first build."""
    rows = connection.execute("select state_hash from ledger.model_state where model = ?", [RULES]).fetchall()
    return str(rows[0][0])[:8] if rows else ""


def first_error(results: Sequence[PassResult]) -> MatokitError | None:
    """Why the first source that could not be read could not be read; None when all answered."""
    return next((result.error for result in results if result.error), None)


def loss_in_words(results: Sequence[PassResult]) -> str | None:
    """One sentence on what the sources do not give, None when nothing is missing."""
    parts = []
    for result in results:
        if result.truncated:
            parts.append(f"source {result.source} withholds {result.truncated:,} actions of very long visits")
        if result.unproven:
            parts.append(f"source {result.source} gives {result.unproven:,} windows that do not add up")
        if result.differing_days:
            days = ", ".join(day.isoformat() for day in result.differing_days[:3])
            parts.append(f"the report of source {result.source} counts more events than it gives on {days}")
    if not parts:
        return None
    return f"Data are incomplete: {'; '.join(parts)}; `matokit status` keeps the details."


def _sources(loaded: Loaded, only: str | None) -> list[SourceSettings]:
    settings = loaded.settings
    if not settings.sources:
        raise SettingsError(NO_SOURCE)
    return [settings.source(only)] if only else list(settings.sources)


def _worth_publishing(home: Home, result: BuildResult, rules: str, watermark: datetime | None) -> bool:
    """Whether a reader of the current snapshot would see something that is no longer so."""
    if result.changed:
        return True
    try:
        with open_current(home.loaded.home) as snapshot:
            now = snapshot.manifest
    except (NothingPublished, SnapshotDamaged):
        return True
    return (now.watermark, now.rule_version, now.code_version, now.project_zone) != (
        watermark.astimezone(UTC) if watermark else None,
        rules,
        __version__,
        home.zone_name,
    )
