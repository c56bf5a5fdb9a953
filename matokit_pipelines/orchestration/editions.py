"""Which reports are due: the newest edition of each, and whether it is to be made or sent now.

An edition is one report of one period. Not here: making it (assets/reports.py), when to ask (schedules.py).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from matokit_pipelines.alert_settings import clock_time
from matokit_pipelines.alerts.business_days import Calendar, at_local, next_opening
from matokit_pipelines.errors import NothingPublished, SnapshotDamaged
from matokit_pipelines.orchestration.partitions import first_day
from matokit_pipelines.reports.rendering import ReportFiles
from matokit_pipelines.reports.sending import PATIENCE, is_to_be_sent, note_delay
from matokit_pipelines.settings import Settings
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.snapshots import open_current
from matokit_pipelines.windows import (
    ONE_DAY,
    last_complete_month,
    last_complete_week,
    local_date,
    month_after,
    month_label,
    start_of_day,
    week_label,
)

WEEKLY_AT, MONTHLY_AT = time(7, 30), time(8, 0)
# After that long nobody is sent it by itself any more: it would be old news, as in a home that is set up only now.
NEWS_FOR = {"weekly": timedelta(days=3), "daily": timedelta(hours=12), "monthly": timedelta(days=7)}


@dataclass(frozen=True)
class Edition:
    """One report of one period. day: its partition's day (Monday, day of the morning, first of the month); due: when
    it is to go out; needs: up to where the data must be complete, both UTC."""

    report: str
    day: date
    period: str
    due: datetime
    needs: datetime

    @property
    def key(self) -> str:
        """The key of its partition."""
        return self.day.isoformat()

    @property
    def patience(self) -> timedelta:
        """How long it waits for its data; the daily one never does."""
        return timedelta() if self.report == "daily" else PATIENCE

    def is_news(self, now: datetime) -> bool:
        """Whether it is still sent by itself."""
        return self.due <= now <= self.due + NEWS_FOR[self.report]


def weekly_edition(monday: date, zone: ZoneInfo) -> Edition:
    """The weekly summary of the ISO week of `monday`."""
    after = monday + 7 * ONE_DAY
    return Edition("weekly", monday, week_label(monday), at_local(after, WEEKLY_AT, zone), start_of_day(after, zone))


def daily_edition(day: date, settings: Settings) -> Edition:
    """The component health of the morning of `day`."""
    calendar = Calendar.of(settings.alerts, settings.project.zone)
    at = at_local(day, clock_time(settings.alerts.daily_at), calendar.zone)
    return Edition("daily", day, day.isoformat(), at, at)


def monthly_edition(month: date, settings: Settings) -> Edition:
    """The compatibility report of a month: due at 08:00 on the first business day after it, holidays regarded."""
    alerts, after = settings.alerts, month_after(month)
    calendar = Calendar.of(alerts, settings.project.zone)
    due = next_opening(
        start_of_day(after, calendar.zone) - timedelta(microseconds=1), calendar.zone, MONTHLY_AT,
        days=alerts.business_hours.days, holidays=alerts.holidays, country=alerts.holiday_country,
    )  # fmt: skip
    return Edition("monthly", month, month_label(month), due, start_of_day(after, settings.project.zone))


def newest(report: str, settings: Settings, now: datetime) -> Edition:
    """The newest edition of a report that is due at `now`, or was."""
    zone = settings.project.zone
    if report == "weekly":
        monday = last_complete_week(now, zone)
        found = weekly_edition(monday, zone)
        return found if found.due <= now else weekly_edition(monday - 7 * ONE_DAY, zone)
    if report == "monthly":
        month = last_complete_month(now, zone)
        found = monthly_edition(month, settings)
        return found if found.due <= now else monthly_edition((month - ONE_DAY).replace(day=1), settings)
    day = local_date(now, Calendar.of(settings.alerts, zone).zone)
    found = daily_edition(day, settings)
    return found if found.due <= now else daily_edition(day - ONE_DAY, settings)


def due_editions(home: Home) -> Iterator[Edition]:
    """The newest editions that are to be made now, whatever the hour; none without a snapshot."""
    now = home.clock.now()
    for report in NEWS_FOR:
        edition = newest(report, home.loaded.settings, now)
        if why_to_wait(home, edition, now) is None:
            yield edition


def page_of(home: Home, edition: Edition) -> Path:
    """Where its page lies, or will."""
    return ReportFiles.at(home.loaded.home / "reports", edition.report, edition.period).html


def complete_to(home: Home) -> datetime | None:
    """Up to where the snapshot in service is complete, UTC; None when that is not known. NothingPublished without."""
    with open_current(home.loaded.home) as snapshot:
        return snapshot.manifest.watermark


def is_made(home: Home, edition: Edition, known: datetime | None) -> bool:
    """Whether its page need not be made again: it was made from complete data, or nothing more is known than then.

    The daily one is made again once only, when all of its window is known.
    """
    files = ReportFiles.at(home.loaded.home / "reports", edition.report, edition.period)
    try:
        document = json.loads(files.json.read_text(encoding="utf-8"))
        written, made = document.get("watermark"), datetime.fromisoformat(document["now"])
        knew = datetime.fromisoformat(written) if written is not None else None
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return False  # missing, or damaged: made again
    if edition.report == "daily" and made < edition.due:
        return False  # by hand, before its window was over
    if known is None or (knew is not None and knew >= edition.needs):
        return True
    if edition.report == "daily":
        return known < edition.needs
    return knew is not None and known <= knew


def why_to_wait(home: Home, edition: Edition, now: datetime) -> str | None:
    """Why an edition is not to be made at `now`; None to make it: also when its page stands, and it is news that was
    sent to nobody, say because a run was ended before it came to that. What it waits for is noted."""
    name = f"The {edition.report} report of {edition.period}"
    zone = home.loaded.settings.project.zone
    first = first_day(home.loaded.settings, local_date(now, zone))
    if edition.needs <= start_of_day(first, zone):
        return f"{name} would tell of nothing: the records begin with {first}."
    try:
        known = complete_to(home)
    except (NothingPublished, SnapshotDamaged):
        return f"{name} waits: nothing is published yet."
    if is_made(home, edition, known) and not (
        edition.is_news(now) and is_to_be_sent(home.loaded, edition.report, edition.period)
    ):
        return f"{name} is made."
    if known is None:  # a source that never answered is told of elsewhere; there is nothing to report on
        return f"{name} waits: no source is known to be complete up to any time."
    if known < edition.needs and now < edition.due + edition.patience:
        note_delay(home.loaded, edition.report, edition.period, "it waited for the last events of its period")
        return f"{name} waits for its last events: all is complete to {known:%Y-%m-%d %H:%M} UTC."
    return None
