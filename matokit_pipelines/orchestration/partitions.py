"""The partitions of the graph, in the project's zone: made once for one set of definitions and shared by identity.

The zone is fixed for the life of a home: changing it gives every partition another key. Not here: which days a run
reads or marks (days.py).
"""

from dataclasses import dataclass
from datetime import date

import dagster as dg

from matokit_pipelines.settings import Settings
from matokit_pipelines.windows import ONE_DAY, monday_of, month_label

FIRST_DAY = date(2025, 8, 15)  # the first event that any installer sent


@dataclass(frozen=True)
class Calendar:
    """The days, weeks and months of one project, and the mornings of the daily rules, which may be in another zone. A
    key is the day, the week's Monday or the month's first day, as `YYYY-MM-DD`."""

    days: dg.DailyPartitionsDefinition
    mornings: dg.DailyPartitionsDefinition
    weeks: dg.WeeklyPartitionsDefinition
    months: dg.MonthlyPartitionsDefinition

    @property
    def zone(self) -> str:
        """The project's zone, by name."""
        return str(self.days.timezone)

    def day_of(self, key: str) -> date:
        """The day of a partition key."""
        return self.days.time_window_for_partition_key(key).start.date()

    def monday_of(self, key: str) -> date:
        """The Monday of a week's key."""
        return self.weeks.time_window_for_partition_key(key).start.date()

    def keys_between(self, first: date, last: date) -> list[str]:
        """The keys of the days `first` to `last`, both included, as far as there are such partitions."""
        return [key for key in self.days.get_partition_keys() if first <= self.day_of(key) <= last]


def first_day(settings: Settings, today: date) -> date:
    """The day, in the project's zone, before which there are no records: the earliest start_date of a source of events;
    a source without one may reach back to any day.

    One that is still to come, which a pass refuses, does not count, so that there is no calendar without days.
    """
    given = [source.start_date or FIRST_DAY for source in settings.sources if source.has_events]
    return min((day for day in given if day <= today), default=FIRST_DAY)


def calendar_of(settings: Settings, today: date) -> Calendar:
    """Days from the first one to today; weeks and months from those that hold it."""
    first, zone, of_rules = first_day(settings, today), settings.project.timezone, settings.alerts.timezone
    days = mornings = dg.DailyPartitionsDefinition(start_date=first.isoformat(), timezone=zone, end_offset=1)
    if of_rules and of_rules != zone:  # where the first day may begin on the evening before
        before = (first - ONE_DAY).isoformat()
        mornings = dg.DailyPartitionsDefinition(start_date=before, timezone=of_rules, end_offset=1)
    return Calendar(
        days,
        mornings,
        dg.WeeklyPartitionsDefinition(
            start_date=monday_of(min(first, FIRST_DAY)).isoformat(), day_offset=1, timezone=zone
        ),
        dg.MonthlyPartitionsDefinition(start_date=f"{month_label(min(first, FIRST_DAY))}-01", timezone=zone),
    )
