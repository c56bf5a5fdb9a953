"""Reading every source of one kind: what is due, or whole days of the project as the whole site-days they overlap.

Not here: how a source is read (matomo_pass.py, piwik_pro_pass.py).
"""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from matokit_pipelines.errors import SettingsError
from matokit_pipelines.settings import NO_SOURCE, Kind, Loaded, SourceSettings
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse.passes import PassResult, Progress
from matokit_pipelines.warehouse.refresh import Home, extract
from matokit_pipelines.windows import ONE_DAY, days_window, local_date


def sources_of(loaded: Loaded, kind: Kind) -> list[SourceSettings]:
    """The sources of a kind whose events are read, maybe none. SettingsError when there is no source of any kind."""
    if not loaded.settings.sources:
        raise SettingsError(NO_SOURCE)
    return [source for source in loaded.settings.sources if source.kind == kind and source.has_events]


def extract_kind(
    home: Home, kind: Kind, *, days: tuple[date, date] | None = None, progress: Progress | None = None
) -> list[PassResult]:
    """One pass over every source of a kind. `days`: first and last day in the project's zone, read again."""
    results: list[PassResult] = []
    for source in sources_of(home.loaded, kind):
        theirs = _site_days(home, source, days) if days else None
        if days is None or theirs is not None:
            results += extract(home, only=source.name, what="events", days=theirs, progress=progress)
    return results


def _site_days(home: Home, source: SourceSettings, days: tuple[date, date]) -> tuple[date, date] | None:
    """The days of the site that hold the project's `days`; None when its start_date comes after all of them."""
    with home.warehouse.writer() as connection:
        known = ledger.state(connection, source.name)
        if ledger.first_reading(connection, source.name) is None:
            known = None  # refused until now, if it was asked at all, so its zone is not known
    zone = home.loaded.settings.project.zone
    if known is None:
        first, last = days[0] - ONE_DAY, days[1] + ONE_DAY
    else:
        first, last = overlapping_days(days, zone, ZoneInfo(known.zone))
    last = min(last, local_date(home.clock.now(), ZoneInfo(known.zone) if known else zone))
    first = max(first, source.start_date or first)
    return (first, last) if first <= last else None


def overlapping_days(days: tuple[date, date], zone: ZoneInfo, other: ZoneInfo) -> tuple[date, date]:
    """The first and last day in `other` that share an instant with the days `days` in `zone`."""
    window = days_window(*days, zone)
    return local_date(window.start, other), local_date(window.end - timedelta(microseconds=1), other)
