"""Whether the page of a week is due. Not here: rendering it (assets/reports.py), when to ask (schedules.py)."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from matokit_pipelines.errors import NothingPublished, SnapshotDamaged
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.snapshots import open_current
from matokit_pipelines.windows import ONE_DAY, start_of_day, week_label

PATIENCE = timedelta(hours=3)


def page_of(home: Home, monday: date) -> Path:
    """Where the page of the week lies, or will."""
    return home.loaded.home / "reports" / "weekly" / f"{week_label(monday)}.html"


def end_of(monday: date, zone: ZoneInfo) -> datetime:
    """The first instant after the week, UTC."""
    return start_of_day(monday + 7 * ONE_DAY, zone)


def complete_to(home: Home) -> datetime | None:
    """Up to where the snapshot in service is complete, UTC; None when it is not known or there is none."""
    try:
        with open_current(home.loaded.home) as snapshot:
            return snapshot.manifest.watermark
    except (NothingPublished, SnapshotDamaged):
        return None


def is_due(home: Home, monday: date) -> bool:
    """Due when there is no page, or when the page was made before the whole week was known complete and more is known.

    NothingPublished when there is nothing to make it from.
    """
    numbers = page_of(home, monday).with_suffix(".json")
    if not numbers.exists():
        return True
    with open_current(home.loaded.home) as snapshot:
        complete = snapshot.manifest.watermark
    try:
        made = json.loads(numbers.read_text(encoding="utf-8")).get("watermark")
        knew = datetime.fromisoformat(made) if made is not None else None
        was_complete = knew is not None and knew >= end_of(monday, home.loaded.settings.project.zone)
    except (ValueError, AttributeError, TypeError):
        return True  # damaged: made again
    return not was_complete and complete is not None and (knew is None or complete > knew)


def why_to_wait(home: Home, monday: date, *, first_tick: datetime, now: datetime) -> str | None:
    """Why the page of a week is not to be made at `now`; None to make it.

    Waits for data of the whole week until three hours after `first_tick`; then it is made and says it is incomplete.
    """
    label, end = week_label(monday), end_of(monday, home.loaded.settings.project.zone)
    known = complete_to(home)
    if known is None:
        return f"Week {label} waits: nothing is published yet."
    if not is_due(home, monday):
        return f"The page of week {label} is made."
    if known < end and now < first_tick + PATIENCE:
        return f"Week {label} waits for its last events: all is complete to {known:%Y-%m-%d %H:%M} UTC."
    return None
