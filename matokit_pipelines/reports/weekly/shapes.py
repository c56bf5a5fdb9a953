"""The numbers of the weekly operations summary: what the page, its text twin and its JSON all say.

Shares are between 0 and 1, changes of shares are differences of them, instants are aware and in UTC, a `date` is a
day in the project's zone, None is "nothing to say". Not here: how the numbers are found or shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from matokit_pipelines.alerts.period import AlertsOfPeriod
from matokit_pipelines.reports.comparison import Verdict
from matokit_pipelines.reports.shapes import Change, Period, Quality, Rates


@dataclass(frozen=True)
class WeekTotal:
    rates: Rates
    installations: int
    machines: int


@dataclass(frozen=True)
class Totals:
    """`before_is_known`: records hold all of the week before; without that its counts are compared with nothing."""

    this_week: WeekTotal
    week_before: WeekTotal
    before_is_known: bool
    installations: Change | None
    events: Change | None
    machines: Change | None
    success_rate: float | None
    verdict: Verdict
    chance: float | None


@dataclass(frozen=True)
class Day:
    """One local day. `complete`: the data are known to hold all of it. What was not recorded yet has no counts."""

    day: date
    rates: Rates | None
    installations: int | None
    machines: int | None
    complete: bool


@dataclass(frozen=True)
class Trend:
    """The days with at least ten events: how many, how many below 75 %, the lowest (the later one on ties)."""

    days_judged: int
    days_below: int
    lowest_day: date | None
    lowest_rate: float | None


@dataclass(frozen=True)
class Deployment:
    """A commit at its first production event."""

    commit_sha: str
    first_seen: datetime


@dataclass(frozen=True)
class FailingComponent:
    """`error_type`: the most frequent one of its failures this week, ties by name; `not_reported` where none was."""

    component: str
    this_week: Rates
    week_before: Rates
    success_rate: float | None
    machines: int
    machines_failing: int
    error_type: str
    error_type_failures: int
    verdict: Verdict
    chance: float | None


@dataclass(frozen=True)
class Failing:
    """The (at most three) components with most failures, beside the sum over all components.

    `worse`: the first few of all that got worse by more than chance, by failures, whether among `rows` or not;
    `more_worse` how many others did.
    """

    components: int
    components_failing: int
    rows: tuple[FailingComponent, ...]
    worse: tuple[FailingComponent, ...]
    more_worse: int
    failures: int
    failures_before: int


@dataclass(frozen=True)
class NewFailing:
    """A component that did not fail in the week before and now does, by more than chance.

    `events_before`: how often it ran in the week before.
    """

    component: str
    failures: int
    events: int
    machines_failing: int
    events_before: int


@dataclass(frozen=True)
class NewOs:
    """An OS version whose first production event ever lies in the week; its machines and rates are of the week."""

    os_family: str
    os_release: str
    first_seen: datetime
    machines: int
    rates: Rates


@dataclass(frozen=True)
class AffectedComponent:
    """A component that a commit made worse by more than chance; its events of the commit's first 24 hours."""

    component: str
    events: int
    failures: int


@dataclass(frozen=True)
class Commit:
    """A commit with production events in the week, as marts.commit_regression judges it.

    `this_week` is of the week. Everything else compares the commit's first 24 hours in production, to
    `compared_until` (`is_final`: they have passed), with the commit before it in the seven days before and beside it:
    `first_day` and `predecessor` are rates over events, `success_rate` their difference, None unless both have ten.
    The verdict rests on something else: `units`, its first tries, and `baseline_units`, those of the seven days before
    it with the previous commit and with earlier ones as far as it takes to reach thirty, of `baseline_commits` in all.
    `unit_failure_share` is of `units`; `expected_share` what the baseline makes of them at the same mix of components;
    both None where they are too few.
    `affected`: the first few of its components that are worse, `more_affected` how many others are.
    """

    commit_sha: str
    first_seen: datetime
    is_new: bool
    this_week: Rates
    compared_until: datetime | None
    is_final: bool
    first_day: Rates
    predecessor_sha: str | None
    predecessor: Rates
    success_rate: float | None
    units: int
    unit_failures: int
    unit_failure_share: float | None
    baseline_units: int
    baseline_unit_failures: int
    baseline_commits: int
    expected_share: float | None
    verdict: Verdict
    chance: float | None
    affected: tuple[AffectedComponent, ...]
    more_affected: int


@dataclass(frozen=True)
class Commits:
    """The commits of the week, the newest first; beyond a hundred those with most events, and what the others have."""

    rows: tuple[Commit, ...]
    others: int
    others_events: int
    events_without: int


@dataclass(frozen=True)
class Share:
    """Installations of one architecture in one week (None before records), and their share of that week's."""

    installations: int | None
    share: float | None


@dataclass(frozen=True)
class Architecture:
    """`shares` has one entry a week, oldest first; changes are of this week's share. The last may be all others."""

    architecture: str
    shares: tuple[Share, ...]
    change_one_week: float | None
    change_since: float | None


@dataclass(frozen=True)
class AdoptionWeek:
    monday: date
    installations: int | None


@dataclass(frozen=True)
class Adoption:
    """Weeks, the oldest first. `since`: the first of them, before this one, recorded whole and with an installation."""

    weeks: tuple[AdoptionWeek, ...]
    since: date | None
    architectures: tuple[Architecture, ...]


@dataclass(frozen=True)
class Findings:
    """What the page says in sentences: templates over the numbers (marking.py).

    `headline_kind`: no_data | no_events | alert | too_few | success_change | new_failing | steady | first_week.
    `subject`: the finding on one line, for a mail. The titles state what their sections show.
    """

    headline_kind: str
    headline: str
    subject: str
    details: tuple[str, ...]
    incomplete: tuple[str, ...]
    trend_title: str
    failing_title: str
    new_os_title: str
    commits_title: str
    adoption_title: str
    alerts_title: str
    alerts_known: str | None
    quality_title: str


@dataclass(frozen=True)
class WeeklyNumbers:
    period: Period
    week_before: Period
    zone: str
    now: datetime
    watermark: datetime | None
    generation: int
    published_at: datetime
    code_version: str
    rule_version: str
    totals: Totals
    days: tuple[Day, ...]
    trend: Trend
    deployments: tuple[Deployment, ...]
    failing: Failing
    new_failing: tuple[NewFailing, ...]
    new_os_is_known: bool
    new_os: tuple[NewOs, ...]
    more_new_os: int
    commits: Commits
    adoption: Adoption
    alerts: AlertsOfPeriod | None
    quality: Quality
