"""What `doctor` asks of a source: whether it answers, takes the credentials, and gives what a pass needs.

Not here: what was landed of it (checkup_tables.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from matokit_pipelines.cli.findings import Finding, guarded
from matokit_pipelines.cli.frame import counted
from matokit_pipelines.cli.guessing import described
from matokit_pipelines.cli.losses import losses_at
from matokit_pipelines.errors import AccessRefused, ReportRefused, SourceError
from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.sources.matomo import MatomoClient
from matokit_pipelines.sources.matomo_reports import MatomoReports
from matokit_pipelines.sources.piwik_pro import App, PiwikProClient
from matokit_pipelines.warehouse import refresh
from matokit_pipelines.warehouse.matomo_pass import check_dimensions
from matokit_pipelines.warehouse.piwik_pro_columns import resolved
from matokit_pipelines.warehouse.piwik_pro_planning import LAG
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.windows import ONE_DAY, Window, local_date, outside_repeated_hours, start_of_day, wall_clock

DAYS = 7


def check_source(home: Home, source: SourceSettings, zones: dict[str, str]) -> Iterator[Finding]:
    """Everything about one source; notes its zone in `zones`. Raises what it refuses of the first question.

    Credentials that are refused are not tried again by another check: each failing attempt counts towards a lock-out.
    """
    home.loaded.credentials(source)
    if source.kind == "piwik_pro":
        yield from _piwik_pro(home, source, zones)
    else:
        yield from _matomo(home, source, zones)


# -- Matomo -----------------------------------------------------------------------------------------------------------


def _matomo(home: Home, source: SourceSettings, zones: dict[str, str]) -> Iterator[Finding]:
    what = f"source {source.name}"
    client = refresh.matomo_client_for(home.loaded, source, home.clock)
    try:
        site = client.site()
        zones[source.name] = site.zone.key
        yield Finding("good", what, f'{source.url} answers; site {site.site_id} is "{site.name}" in {site.zone.key}')
        if source.has_web_reports:
            yield from _web_reports(client, what)
        if not source.has_events:
            return
        configured = client.dimensions()
        check_dimensions(source, configured)
        names = {dimension.number: dimension.name for dimension in configured}
        carried = ", ".join(f"{m} = {n} ({names[n]})" for m, n in sorted(source.dimensions.items()))
        yield Finding("good", what, f"dimensions {carried or 'none'}")
        newest = client.newest_visit()
        yield Finding(
            "good" if newest else "note",
            what,
            f"newest visit {newest:%Y-%m-%d %H:%M} UTC" if newest else "no visit yet",
        )
    finally:
        client.close()


def _web_reports(client: MatomoClient, what: str) -> Iterator[Finding]:
    """Whether reports can be asked for; what the site has beside visits."""
    reports = MatomoReports(client)
    facts = reports.facts()
    shop = "with" if facts.get("ecommerce") in (True, 1, "1") else "without"
    try:
        goals = counted(len(reports.goals()), "goal")
    except ReportRefused as error:
        goals = f"no goals ({' '.join(error.said.split()) or 'refused'})"
    yield Finding("good", what, f"web reports can be read: {goals}, {shop} ecommerce")


# -- Piwik PRO --------------------------------------------------------------------------------------------------------


def _piwik_pro(home: Home, source: SourceSettings, zones: dict[str, str]) -> Iterator[Finding]:
    what = f"source {source.name}"
    client = refresh.piwik_pro_client_for(home.loaded, source, home.clock)
    try:
        app = client.app()
        zones[source.name] = app.site.zone.key
        yield Finding(
            "good",
            what,
            f"{source.url} answers and takes the credentials; site {source.site_id} is "
            f'"{app.site.name}" in {app.site.zone.key}',
        )
        now = home.clock.now().replace(microsecond=0)
        yield from guarded(what, _dimensions(source, client))
        yield from guarded(what, _raw_data(source, client, app, now))
        yield from _real_time(source, client, app, now)
        for loss in losses_at(client, app):
            yield Finding("note", what, f"{loss}.")
    finally:
        client.close()


def _dimensions(source: SourceSettings, client: PiwikProClient) -> Iterator[Finding]:
    """Which column each meaning is read from; given slots are taken as they are, as a pass does."""
    what = f"source {source.name}"
    given = {str(meaning): slot for meaning, slot in source.slots.items()}
    if given:
        said = ", ".join(f"{meaning} = event slot {slot}" for meaning, slot in sorted(given.items()))
        yield Finding("good", what, f"dimensions by the slots of the settings: {said}")
    wanted = {str(meaning): number for meaning, number in source.dimensions.items() if str(meaning) not in given}
    if not wanted:
        return
    try:
        configured = client.dimensions()
    except AccessRefused as error:
        sentence = f"{str(error).rstrip('.')}, or give the slots of all dimensions as slots = {{ os = 1, … }}."
        yield Finding("failed", what, sentence, error.exit_code)
        return
    resolved(source.name, wanted, configured)
    by_number = {dimension.number: dimension for dimension in configured if dimension.active}
    said = ", ".join(f"{meaning} = dimension{n} {described(by_number[n])}" for meaning, n in sorted(wanted.items()))
    yield Finding("good", what, f"dimensions {said}")
    for meaning, number in sorted(wanted.items()):
        dimension = by_number[number]
        if not dimension.case_sensitive:
            yield Finding("note", what, f"{meaning}: the server may fold its letters, as it is not case-sensitive")
        if dimension.scope == "session":
            yield Finding(
                "note", what, f"{meaning}: a session keeps one value, which machines that share it share too; "
                "an event dimension is better",
            )  # fmt: skip


def _raw_data(source: SourceSettings, client: PiwikProClient, app: App, now: datetime) -> Iterator[Finding]:
    """Whether raw data may be read, by one row; and the newest hour that the server counts events in."""
    what = f"source {source.name}"
    zone = app.site.zone
    week = Window(start_of_day(local_date(now, zone) - DAYS * ONE_DAY, zone), now)
    window = outside_repeated_hours(week, zone)
    start, end = wall_clock(window.start, zone), wall_clock(window.end, zone)
    events = client.count(start, end)
    if not events:
        yield Finding(
            "note", what, f"raw data can be read and hold no custom event since {start:%Y-%m-%d}; "
            "`matokit doctor --why-missing` shows what arrives now",
        )  # fmt: skip
        return
    hours = client.events_by("to_start_of_hour", start, end)
    newest = f", the newest in the hour from {max(hours):%Y-%m-%d %H:%M} ({zone.key})" if hours else ""
    yield Finding(
        "good", what, f"raw data can be read: {counted(events, 'custom event')} since {start:%Y-%m-%d}{newest}; "
        f"one is seen up to {LAG / timedelta(hours=1):g} h after it happened",
    )  # fmt: skip


def _real_time(source: SourceSettings, client: PiwikProClient, app: App, now: datetime) -> Iterator[Finding]:
    """Real-time data only give the last hours a provisional look, so that they cannot be had fails nothing."""
    what = f"source {source.name}"
    zone = app.site.zone
    window = Window(now - timedelta(hours=1), now)
    wanted = app.real_time_dashboards if source.real_time is None else source.real_time
    if not wanted:
        why = "in the settings" if source.real_time is False else "for this site"
        yield Finding("note", what, f"real-time data are switched off {why}, so nothing tells of the last hours")
    elif outside_repeated_hours(window, zone) == window:
        try:
            start, end = wall_clock(window.start, zone), wall_clock(window.end, zone)
            page = client.real_time(start, end, ("event_id",), limit=1)
            yield Finding("good", what, f"real-time data can be read: {counted(page.count, 'event')} in the last hour")
        except SourceError as error:
            yield Finding("note", what, f"no real-time data: {error}")
