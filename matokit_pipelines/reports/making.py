"""Making a report, the dashboards or the index of a home: its snapshot, links, store and clock put together.

One place for the graph, the commands and the demo. What draws is loaded only when something is made. Not here: when
(orchestration/), what they say (the packages beside).
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path

from matokit_pipelines import __version__
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.period import alerts_of_home
from matokit_pipelines.reports.rendering import ReportFiles
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.snapshots import open_current
from matokit_pipelines.windows import local_date

DASHBOARDS = ("installation_health", "system_compatibility", "component_analysis", "deployment_tracking")
RENEWED_AFTER = timedelta(hours=1)


def make_report(home: Home, report: str, day: date) -> tuple[ReportFiles, datetime | None]:
    """Make the `weekly`, `daily` or `monthly` report of the period that begins with `day`; gives its files and up to
    where the data behind it are complete, UTC. NothingPublished without a snapshot."""
    from matokit_pipelines.reports.daily.pages import write_daily
    from matokit_pipelines.reports.monthly.pages import write_monthly
    from matokit_pipelines.reports.weekly.numbers import week_of
    from matokit_pipelines.reports.weekly.pages import write_weekly

    now, links, out = home.clock.now(), Links.of(home.loaded), home.loaded.home / "reports"
    if report == "daily":
        return write_daily(home, day, now, out, links)
    with open_current(home.loaded.home) as snapshot:
        mark = snapshot.manifest.watermark
        if report == "monthly":
            return write_monthly(snapshot, day, now, out, links), mark
        week = week_of(day, home.loaded.settings.project.timezone)
        alerts = alerts_of_home(home.loaded, week.start, week.end, now)
        return write_weekly(snapshot, day, now, out, links, alerts), mark


def why_dashboards_stand(home: Home) -> str | None:
    """Why the dashboards need not be made again now; None to make them. NothingPublished without a snapshot."""
    now, folder = home.clock.now(), home.loaded.home / "dashboards"
    with open_current(home.loaded.home) as snapshot:
        manifest = snapshot.manifest
    made = [_made_from(folder / f"{page}.json") for page in DASHBOARDS]
    if None in made:
        return None
    generations, times = zip(*[one for one in made if one], strict=True)
    if min(generations) == manifest.generation:
        return f"The dashboards show snapshot {manifest.generation}."
    day = local_date(now, home.loaded.settings.project.zone)
    if local_date(min(times), home.loaded.settings.project.zone) == day and now - min(times) < RENEWED_AFTER:
        return "The dashboards were made less than an hour ago; late events reach them then."
    return None


def make_dashboards(home: Home, out: Path | None = None) -> tuple[Path, ...]:
    """Write the four dashboards into `out`, else into the home; gives their pages."""
    from matokit_pipelines.reports.dashboards.pages import write_dashboards

    with open_current(home.loaded.home) as snapshot:
        folder = out or home.loaded.home / "dashboards"
        return write_dashboards(snapshot, home.clock.now(), folder, Links.of(home.loaded))


def make_index(home: Home) -> Path:
    """Write the start page of the home."""
    from matokit_pipelines.reports.index.pages import write_index

    return write_index(home.loaded.home, home.loaded, home.clock.now())


def _made_from(document: Path) -> tuple[int, datetime] | None:
    """Generation of the snapshot and time of making of a page; None when it must be made, as after an upgrade."""
    try:
        found = json.loads(document.read_text(encoding="utf-8"))
        if found["code_version"] != __version__:
            return None
        return int(found["generation"]), datetime.fromisoformat(found["now"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
