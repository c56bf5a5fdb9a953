"""Which periods of web reports are kept, which of them are due, and what a reading of one is worth. Pure.

A day, week or month is one of the site's zone. Not here: asking (web_pass.py), what is kept between passes
(web_ledger.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from matokit_pipelines.toolserver_settings import WebReportSettings
from matokit_pipelines.windows import ONE_DAY, each_day, local_date, monday_of, month_after, start_of_day

PeriodName = Literal["day", "week", "month"]
State = Literal["final", "provisional", "unknown"]
PERIODS: tuple[PeriodName, ...] = ("day", "week", "month")
# A server that counts by a schedule may take some hours until what happened just before midnight is in its reports.
SETTLING = timedelta(hours=3)
LATE_ARCHIVE = 31  # days after its end in which an unknown period is asked for daily
ASKED_WEEKLY = timedelta(days=7)


@dataclass(frozen=True)
class Span:
    """One period: its kind, first and last day."""

    period: PeriodName
    start: date
    end: date

    @property
    def key(self) -> tuple[PeriodName, date]:
        return self.period, self.start

    @property
    def days(self) -> Iterator[date]:
        return each_day(self.start, self.end)

    def over_at(self, zone: ZoneInfo) -> datetime:
        """The instant after its last one, UTC."""
        return start_of_day(self.end + ONE_DAY, zone)


@dataclass(frozen=True)
class Known:
    """What is known of a period: how sure, its visits (None while unknown), when it was last asked for (UTC).

    `is_proven`: that 0 visits means that nobody came.
    """

    state: State
    visits: int | None
    asked_at: datetime
    is_proven: bool = False


Ledger = Mapping[tuple[PeriodName, date], Known]


def span_of(period: PeriodName, day: date) -> Span:
    """The period that holds `day`."""
    if period == "week":
        return Span(period, monday_of(day), monday_of(day) + 6 * ONE_DAY)
    if period == "month":
        return Span(period, day.replace(day=1), month_after(day) - ONE_DAY)
    return Span(period, day, day)


def kept(settings: WebReportSettings, today: date, first_day: date) -> list[Span]:
    """The periods that the settings keep, the running ones first, else the newest first and its days before a week.

    A period that `first_day` lies in is kept; what ended before it is not.
    """
    spans = [
        span
        for period, many in zip(PERIODS, (settings.days, settings.weeks, settings.months), strict=True)
        for span in _newest(period, many, today)
        if span.end >= first_day
    ]
    return sorted(spans, key=lambda span: (span.end < today, -span.start.toordinal(), PERIODS.index(span.period)))


def due(settings: WebReportSettings, known: Ledger, *, now: datetime, zone: ZoneInfo, first_day: date) -> list[Span]:
    """The periods that a pass asks for, in order: at most `first_time_periods` new and as many old unknown ones."""
    today = local_date(now, zone)
    new: list[Span] = []
    doubtful: list[Span] = []
    again: list[Span] = []
    for span in kept(settings, today, first_day):
        entry = known.get(span.key)
        if entry is None:
            new.append(span)
        elif _is_due(span, entry, settings, now, zone):
            is_old = entry.state == "unknown" and (today - span.end).days > settings.again_days
            (doubtful if is_old else again).append(span)
    doubtful.sort(key=lambda span: known[span.key].asked_at)
    most = settings.first_time_periods
    running = [span for span in new if span.end >= today]
    history = [span for span in new if span.end < today]
    return [*running, *again, *history[: max(most - len(running), 0)], *doubtful[:most]]


def asked_for(settings: WebReportSettings, days: tuple[date, date], today: date, first_day: date) -> list[Span]:
    """The kept periods that hold any of `days`, whether due or not."""
    first, last = days
    return [span for span in kept(settings, today, first_day) if span.start <= last and span.end >= first]


def beyond(settings: WebReportSettings, known: Ledger, today: date, first_day: date) -> list[tuple[PeriodName, date]]:
    """The keys of known periods that are no longer kept, in order."""
    wanted = {span.key for span in kept(settings, today, first_day)}
    return sorted(key for key in known if key not in wanted)


def state_of(span: Span, visits: int, *, is_proven: bool, asked_at: datetime, zone: ZoneInfo) -> State:
    """What a reading is worth. 0 visits that nothing proves may mean that the server has not counted yet.

    Of the running day nobody can say so: its 0 stands until later.
    """
    if asked_at < span.over_at(zone) + SETTLING:
        return "provisional" if visits or is_proven or _is_running_day(span, asked_at, zone) else "unknown"
    return "final" if visits or is_proven else "unknown"


def zero_by_days(span: Span, known: Ledger, today: date, first_day: date) -> bool | None:
    """Whether the days of a week or month prove that nobody came in it; None when not all of them are known.

    A day before `first_day` and a day to come hold nothing. False: a day had visits, or is doubtful itself.
    """
    seen: list[bool | None] = []
    for day in span.days:
        entry = known.get(("day", day))
        if day < first_day or day > today:
            seen.append(True)
        elif entry is None:
            seen.append(None)
        else:
            seen.append(entry.visits == 0 and (entry.is_proven or day == today))
    if False in seen:
        return False
    return None if None in seen else True


def days_are_kept(span: Span, settings: WebReportSettings, today: date) -> bool:
    """Whether every day of the period is one whose own reports are kept."""
    return span.start > today - settings.days * ONE_DAY


def last_complete_day(known: Ledger) -> date | None:
    """The newest day whose reports are final."""
    days = (day for (period, day), entry in known.items() if period == "day" and entry.state == "final")
    return max(days, default=None)


def _newest(period: PeriodName, many: int, today: date) -> Iterator[Span]:
    span = span_of(period, today)
    for _ in range(many):
        yield span
        span = span_of(period, span.start - ONE_DAY)


def _is_running_day(span: Span, at: datetime, zone: ZoneInfo) -> bool:
    return span.period == "day" and at < span.over_at(zone)


def _is_due(span: Span, entry: Known, settings: WebReportSettings, now: datetime, zone: ZoneInfo) -> bool:
    """Whether a known period is asked for again."""
    if entry.asked_at > now:  # the clock was put back
        return True
    age, over = now - entry.asked_at, span.over_at(zone)
    often = timedelta(minutes=settings.every_minutes)
    today = local_date(now, zone)
    ended = (today - span.end).days
    if now < over + SETTLING:
        return age >= often
    if entry.asked_at < over + SETTLING:
        return True
    if entry.state == "unknown":
        wait = often if ended <= settings.again_days else ONE_DAY if ended <= LATE_ARCHIVE else ASKED_WEEKLY
        return age >= wait
    return ended <= settings.again_days and local_date(entry.asked_at, zone) < today


def in_words(spans: Sequence[Span]) -> str:
    """How many periods of each kind, as "3 days, 1 week"."""
    counts = [(period, sum(span.period == period for span in spans)) for period in PERIODS]
    return ", ".join(f"{many:,} {period}{'' if many == 1 else 's'}" for period, many in counts if many) or "none"
