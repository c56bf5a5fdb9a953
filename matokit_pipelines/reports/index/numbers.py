"""What the index page says, from the snapshot in service, the SQLite store and the folders of a home.

Any of these may be missing or damaged: the page says so, since people look here first when something is wrong. Not
here: sentences (words.py) and the page itself (pages.py).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from matokit_pipelines import __version__
from matokit_pipelines.errors import NothingPublished, WarehouseError
from matokit_pipelines.reports.index.ages import age, span
from matokit_pipelines.reports.index.alerts import open_alerts
from matokit_pipelines.reports.index.listing import dashboards, reports
from matokit_pipelines.reports.index.shapes import Freshness, IndexNumbers, Source
from matokit_pipelines.reports.quality import GAPS_NAMED, known_gaps, known_losses
from matokit_pipelines.reports.shapes import KnownLoss, Period, period_of
from matokit_pipelines.settings import Loaded
from matokit_pipelines.warehouse.snapshots import Snapshot, open_current
from matokit_pipelines.windows import last_complete_day, zone_named

DAYS = 30


def index_numbers(home: Path, loaded: Loaded, now: datetime) -> IndexNumbers:
    """Everything the index of `home` says at `now`."""
    zone, found = _freshness(home, loaded, now)
    return IndexNumbers(
        now=now,
        zone=zone,
        code_version=__version__,
        freshness=found,
        alerts=open_alerts(home, now, stale_after=_stale_after(loaded), is_on=loaded.settings.alerts.enabled),
        dashboards=dashboards(home),
        reports=reports(home),
    )


def _freshness(home: Path, loaded: Loaded, now: datetime) -> tuple[str, Freshness]:
    """`(zone, freshness)`; without a snapshot the zone of the settings and nothing known."""
    stale_after = _stale_after(loaded)
    damage = None
    try:
        with open_current(home) as snapshot:
            return snapshot.manifest.project_zone, freshness(snapshot, now, stale_after)
    except NothingPublished:
        pass
    except WarehouseError as error:
        damage = str(error)
    nothing = Freshness(None, None, None, None, None, False, span(stale_after), 0, 0, 0, 0, (), damage)
    return str(loaded.settings.project.zone), nothing


def freshness(snapshot: Snapshot, now: datetime, stale_after: timedelta) -> Freshness:
    """How far the snapshot's data go and what is missing in the 30 days that end with the last complete day."""
    manifest = snapshot.manifest
    zone = zone_named(manifest.project_zone)
    last = last_complete_day(manifest.watermark or now, zone)
    period = period_of(f"last {DAYS} days", last - timedelta(days=DAYS - 1), last, manifest.project_zone)
    sources = _sources(snapshot, period, now, stale_after)
    counted = [source for source in sources if source.mirror_of is None]
    return Freshness(
        period=period,
        generation=manifest.generation,
        published_at=manifest.published_at,
        watermark=manifest.watermark,
        age=age(manifest.watermark, now) if manifest.watermark else None,
        is_stale=_is_stale(manifest.watermark, now, stale_after),
        stale_after=span(stale_after),
        windows=sum(source.windows for source in counted),
        days=sum(source.losses.open_differences for source in counted),
        truncated=sum(source.losses.truncated for source in counted),
        quarantined=sum(source.quarantined for source in counted),
        sources=sources,
    )


def _sources(snapshot: Snapshot, period: Period, now: datetime, stale_after: timedelta) -> tuple[Source, ...]:
    losses, gaps = known_losses(snapshot, period), known_gaps(snapshot, period)
    rows = snapshot.query(
        """
        select source, kind, mirror_of, watermark, last_read_at, quarantined, last_error, last_error_at
        from extraction_status
        order by mirror_of is not null, source
        """
    )
    return tuple(
        Source(
            source=row["source"],
            kind=row["kind"],
            mirror_of=row["mirror_of"],
            watermark=row["watermark"],
            age=age(row["watermark"], now) if row["watermark"] else None,
            is_stale=_is_stale(row["watermark"], now, stale_after),
            last_read_at=row["last_read_at"],
            losses=losses.get(row["source"], KnownLoss()),
            windows=len(gaps.get(row["source"], ())),
            gaps=gaps.get(row["source"], ())[:GAPS_NAMED],
            more_gaps=max(0, len(gaps.get(row["source"], ())) - GAPS_NAMED),
            quarantined=row["quarantined"],
            last_error=row["last_error"],
            last_error_at=row["last_error_at"],
        )
        for row in rows.iter_rows(named=True)
    )


def _stale_after(loaded: Loaded) -> timedelta:
    return timedelta(hours=loaded.settings.alerts.rules.data_stale.after_hours)


def _is_stale(watermark: datetime | None, now: datetime, stale_after: timedelta) -> bool:
    return watermark is not None and now - watermark > stale_after
