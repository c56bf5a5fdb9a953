"""When people are told: business days with their opening, quiet hours, and the daily run, on the local clock.

Every instant is aware and in UTC; local times of day that a day skips are taken as if the clock had not been moved yet,
those that it shows twice as the first of the two. Not here: what is told then (announcing.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from matokit_pipelines.alert_settings import AlertSettings, clock_time
from matokit_pipelines.errors import SettingsError
from matokit_pipelines.windows import ONE_DAY, local_date

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
BUSINESS_DAYS = WEEKDAYS[:5]
LOOKED_AHEAD = 400  # days


def next_opening(
    after: datetime,
    zone: ZoneInfo,
    opening: time,
    *,
    days: Collection[str] = BUSINESS_DAYS,
    holidays: Collection[date] = (),
    country: str = "",
) -> datetime:
    """The first opening strictly after an instant, in UTC.

    `days`: names of the weekdays on which somebody reads; `holidays`: days in `zone` on which nobody does; `country`:
    whose public holidays are added, such as "DK" or "DE-BE". SettingsError when no day of the coming year is left.
    """
    first = local_date(after, zone)
    for day in (first + number * ONE_DAY for number in range(LOOKED_AHEAD)):
        if WEEKDAYS[day.weekday()] not in days or day in holidays or _is_public_holiday(day, country):
            continue
        at = at_local(day, opening, zone)
        if at > after:
            return at
    raise SettingsError("alerts.business_hours and alerts.holidays leave no business day in the coming year.")


def at_local(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """The instant at which a clock in `zone` shows `clock` on `day`, in UTC."""
    return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)


@dataclass(frozen=True)
class Calendar:
    """The settings of alerts that say when; `zone`: that of the alerts, else of the project."""

    settings: AlertSettings
    zone: ZoneInfo

    @classmethod
    def of(cls, settings: AlertSettings, project_zone: ZoneInfo) -> Calendar:
        return cls(settings, ZoneInfo(settings.timezone) if settings.timezone else project_zone)

    def next_opening(self, after: datetime) -> datetime:
        """The first opening of a business day strictly after an instant."""
        hours = self.settings.business_hours
        return next_opening(
            after, self.zone, clock_time(hours.opening), days=hours.days, holidays=self.settings.holidays,
            country=self.settings.holiday_country,
        )  # fmt: skip

    def next_daily(self, after: datetime) -> datetime:
        """The first daily run strictly after an instant."""
        clock = clock_time(self.settings.daily_at)
        return next(at for at in self._each(after, clock) if at > after)

    def quiet_until(self, now: datetime) -> datetime | None:
        """The end of the quiet hours that `now` lies in; None outside of them."""
        quiet = self.settings.quiet_hours
        if not quiet.begin or quiet.begin == quiet.end:
            return None
        begin, end = clock_time(quiet.begin), clock_time(quiet.end)
        for day in (local_date(now, self.zone) - ONE_DAY, local_date(now, self.zone)):
            begins = at_local(day, begin, self.zone)
            ends = at_local(day if end > begin else day + ONE_DAY, end, self.zone)
            if begins <= now < ends:
                return ends
        return None

    def _each(self, after: datetime, clock: time) -> Iterator[datetime]:
        day = local_date(after, self.zone)
        while True:
            yield at_local(day, clock, self.zone)
            day += timedelta(days=1)


def _is_public_holiday(day: date, country: str) -> bool:
    return bool(country) and day in _public_holidays(country, day.year)


@lru_cache(maxsize=32)
def _public_holidays(country: str, year: int) -> frozenset[date]:
    import holidays  # slow to load, and most projects name no country

    name, _, part = country.partition("-")
    try:
        return frozenset(holidays.country_holidays(name, subdiv=part or None, years=year))
    except NotImplementedError as error:
        raise SettingsError(
            f'alerts.holiday_country: the holidays of "{country}" are not known; list them in alerts.holidays.'
        ) from error
