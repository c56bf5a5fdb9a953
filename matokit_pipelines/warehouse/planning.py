"""Which windows of a source are due, and which closed days are to be held against its report. Pure: no reading.

Three tiers, or a big site re-reads itself to death: each pass what is new with an hour's overlap, nightly the last
48 hours (the visit log takes late events without moving anything a cursor would see) and the reports of the last
seven days, and history day by day once. Not here: doing it (extraction.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from matokit_pipelines.errors import SettingsError
from matokit_pipelines.warehouse.ledger import Reconciled, Tier
from matokit_pipelines.windows import (
    ONE_DAY,
    Window,
    day_window,
    each_day,
    gap_free_end,
    local_date,
    runs_of_days,
    start_of_day,
)

OVERLAP = timedelta(hours=1)
LOOK_BACK = timedelta(hours=48)  # covers every event that a client may date back without a token (24 h)
RECONCILED_DAYS = 7
RECHECK_AFTER = timedelta(hours=1)
READS_OF_A_DIFFERING_DAY = 5
NIGHTLY_HOUR = 3
READ_AGAIN = frozenset({"differs", "report_behind"})  # a surplus may be visits that were deleted at the source
OPEN_VERDICTS = READ_AGAIN | {"not_archived"}


@dataclass(frozen=True)
class Step:
    """One window to read. With a `day` the visits of that closed site-day, else all visits since `window.start`."""

    tier: Tier
    window: Window
    day: date | None = None

    @property
    def label(self) -> str:
        return self.day.isoformat() if self.day else f"since {self.window.start:%Y-%m-%d %H:%M} UTC"


def plan(
    covered: Sequence[Window],
    *,
    since: datetime,
    now: datetime,
    zone: ZoneInfo,
    looked_back_at: datetime | None,
) -> list[Step]:
    """The windows a pass at `now` should read, in order: closed days that nothing covers, then what is new.

    `covered`: windows read whole so far; `looked_back_at`: when the last 48 hours were last read again.
    """
    today = local_date(now, zone)
    steps = [
        Step("history", day_window(day, zone), day)
        for day in each_day(local_date(since, zone), today - ONE_DAY)
        if gap_free_end(covered, day_window(day, zone).start) < day_window(day, zone).end
    ]
    midnight = start_of_day(today, zone)
    reached = gap_free_end([*covered, *(step.window for step in steps)], since)
    if covered and looked_back_at and looked_back_at < latest_night(now, zone):
        cursor = min(now - LOOK_BACK, reached - OVERLAP)
        return [*steps, Step("look_back", Window(cursor, now))]
    cursor = min(max(reached, midnight) if steps else reached, now) - OVERLAP
    return [*steps, Step("recent", Window(cursor, now))]


def latest_night(now: datetime, zone: ZoneInfo) -> datetime:
    """The most recent 03:00 in `zone`, when the nightly work is due."""
    today = local_date(now, zone)
    tonight = start_of_day(today, zone) + timedelta(hours=NIGHTLY_HOUR)
    return tonight if tonight <= now else start_of_day(today - ONE_DAY, zone) + timedelta(hours=NIGHTLY_HOUR)


def asked(first: date, last: date, *, now: datetime, zone: ZoneInfo) -> list[Step]:
    """Whole site-days `first` to `last`, read again whatever is known; today by cursor.

    SettingsError when `first` is still to come.
    """
    today = local_date(now, zone)
    if first > today:
        raise SettingsError(
            f"{first} has not begun yet in {zone.key}, the time zone of the site; ask for earlier days."
        )
    steps = [Step("asked", day_window(day, zone), day) for day in each_day(first, min(last, today - ONE_DAY))]
    if last >= today:
        steps.append(Step("asked", Window(max(start_of_day(first, zone), start_of_day(today, zone) - OVERLAP), now)))
    return steps


def verdict_of(reported: int, extracted: int, truncated: int) -> str:
    """What the source's count of a day says about ours.

    `equal`; `truncated` (the difference is what the server does not give); `not_archived` (a zero report beside
    events is no report); `report_behind` (we have more: a late event, the report is not made anew yet); `differs`
    (the report knows events that we do not have).
    """
    if reported == extracted:
        return "equal"
    if reported == 0:
        return "not_archived"
    if reported < extracted:
        return "report_behind"
    return "truncated" if reported - extracted <= truncated else "differs"


def days_to_reconcile(
    known: dict[date, Reconciled],
    *,
    since: datetime,
    now: datetime,
    zone: ZoneInfo,
    asked_days: tuple[date, date] | None = None,
) -> list[date]:
    """Closed days to compare now, in order: never compared, the last seven once a night, open ones once an hour."""
    yesterday = local_date(now, zone) - ONE_DAY
    first = local_date(since, zone)
    if asked_days:
        return list(each_day(asked_days[0], min(asked_days[1], yesterday)))
    night = latest_night(now, zone)
    due = []
    for day in each_day(first, yesterday):
        entry = known.get(day)
        recent = day > yesterday - RECONCILED_DAYS * ONE_DAY
        if (
            entry is None
            or (recent and entry.checked_at < night)
            or entry.checked_at > now  # by a clock that ran ahead
            or (
                entry.verdict in OPEN_VERDICTS
                and recent
                and entry.reads < READS_OF_A_DIFFERING_DAY
                and entry.checked_at < now - RECHECK_AFTER
            )
        ):
            due.append(day)
    return due


def stretches(days: Sequence[date], longest: int) -> list[tuple[date, date]]:
    """Days as runs of at most `longest` neighbours, `(first, last)` both included: no other day is asked for."""
    found = []
    for first, last in runs_of_days(days):
        while first <= last:
            end = min(last, first + (longest - 1) * ONE_DAY)
            found.append((first, end))
            first = end + ONE_DAY
    return found
