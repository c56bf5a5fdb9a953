"""What the index page says: freshness, open alerts, completeness, and which pages there are.

Instants are aware and in UTC, ages are in whole seconds and in words, None is "not known". Not here: how it is found
(numbers.py, alerts.py, listing.py) or said (words.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from matokit_pipelines.reports.shapes import Gap, KnownLoss, Period


@dataclass(frozen=True)
class Age:
    """How long ago something was at the time of making, in seconds and in words (`2 h 40 min`)."""

    seconds: int
    words: str


@dataclass(frozen=True)
class Source:
    """How far one source is complete, and what is missing of it in the period.

    `losses`: events cut off at the source and closed days that differ from its own report; `windows`: how many windows
    do not add up, `gaps` the first of them, `more_gaps` the others; `quarantined`: rows that could not be read, ever.
    A mirror is compared, never counted.
    """

    source: str
    kind: str
    mirror_of: str | None
    watermark: datetime | None
    age: Age | None
    is_stale: bool
    last_read_at: datetime | None
    losses: KnownLoss
    windows: int
    gaps: tuple[Gap, ...]
    more_gaps: int
    quarantined: int
    last_error: str | None
    last_error_at: datetime | None


@dataclass(frozen=True)
class Freshness:
    """The snapshot in service. `is_stale`: complete data are older than `stale_after`; `windows`, `days` and
    `truncated`: what is missing of all sources that count, in `period`; `damage`: why the snapshot cannot be read."""

    period: Period | None
    generation: int | None
    published_at: datetime | None
    watermark: datetime | None
    age: Age | None
    is_stale: bool
    stale_after: Age
    windows: int
    days: int
    truncated: int
    quarantined: int
    sources: tuple[Source, ...]
    damage: str | None = None


@dataclass(frozen=True)
class OpenAlert:
    """An alert that fires or recovers. `name`: the rule in words; `events` and `failures`: None where the rule counts
    neither; `page` and `widget`: the dashboard and its part that show more, the page "" while it is not made."""

    rule: str
    name: str
    subject: str
    environment: str
    severity: str
    since: datetime
    lasts: Age
    events: int | None
    failures: int | None
    told_at: datetime | None
    is_provisional: bool
    is_silenced: bool
    page: str
    widget: str


@dataclass(frozen=True)
class OpenAlerts:
    """`rows`: the first ones, those not silenced first, then by severity and start; `more`: how many are not listed.

    `evaluated_to`: the newest evaluation; None: nothing was evaluated yet. `is_behind`: it is older than data may be.
    `is_on`: whether the settings want alerts. `damage`: why nothing is known of them.
    """

    rows: tuple[OpenAlert, ...]
    more: int
    firing: int
    silenced: int
    evaluated_to: datetime | None
    damage: str | None = None
    is_behind: bool = False
    is_on: bool = True


@dataclass(frozen=True)
class ReportEntry:
    """One report as its JSON tells of it. `headline`, `made_at` and `is_incomplete`: None when that cannot be read."""

    period: str
    headline: str | None
    made_at: datetime | None
    is_incomplete: bool | None


@dataclass(frozen=True)
class ReportKind:
    """All reports of a kind, newest first; `older`: how many are in the folder and not listed."""

    kind: str
    title: str
    when: str
    entries: tuple[ReportEntry, ...]
    older: int


@dataclass(frozen=True)
class WidgetEntry:
    name: str
    title: str


@dataclass(frozen=True)
class Dashboard:
    """One dashboard. `made_at`: None when the page is there and does not say."""

    name: str
    title: str
    is_made: bool
    made_at: datetime | None
    widgets: tuple[WidgetEntry, ...]


@dataclass(frozen=True)
class IndexNumbers:
    """Everything the index says, at `now`."""

    now: datetime
    zone: str
    code_version: str
    freshness: Freshness
    alerts: OpenAlerts
    dashboards: tuple[Dashboard, ...]
    reports: tuple[ReportKind, ...]
