"""The numbers of the monthly compatibility report: what the page, its text twin, its JSON and its message all say.

Shares are between 0 and 1, changes of shares are differences of them, instants are aware and in UTC, a `date` is a
day in the project's zone, None is "nothing to say". "The period" is the 30 days that end with the month's last day,
"before" the 30 days before those. Not here: how the numbers are found or shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from matokit_pipelines.reports.comparison import Verdict
from matokit_pipelines.reports.monthly.vendor import Support
from matokit_pipelines.reports.shapes import Change, Period, Quality, Rates


@dataclass(frozen=True)
class PeriodTotal:
    """`machines`: None while the days are not whole, since machines are counted then."""

    rates: Rates
    installations: int
    machines: int | None


@dataclass(frozen=True)
class Totals:
    """`installations` and `events` are None when the days before are not wholly known: counts would not compare.

    `is_compared`: the days are whole, so that first tries have been counted.
    """

    last: PeriodTotal
    before: PeriodTotal
    before_is_known: bool
    is_compared: bool
    installations: Change | None
    events: Change | None
    success_rate: float | None
    verdict: Verdict
    chance: float | None


@dataclass(frozen=True)
class WorseComponent:
    """A component that fails more than before, by more than chance, over all systems."""

    component: str
    last: Rates
    before: Rates
    chance: float


@dataclass(frozen=True)
class NewVersion:
    """A release whose first counted event ever lies in the period; its counts are of the period.

    `share`: of all installations from its first day to the period's end.
    """

    os_family: str
    os_release: str
    first_seen: datetime
    machines: int | None
    installations: int
    share: float | None
    rates: Rates


@dataclass(frozen=True)
class NewMajor:
    """A major version none of whose releases was seen before the period; counts as in NewVersion."""

    os_family: str
    major: str
    first_seen: datetime
    machines: int | None
    installations: int
    share: float | None
    rates: Rates


@dataclass(frozen=True)
class NewVersions:
    """`is_known`: records began before the period, so that new is told from unrecorded. `more`: rows left out."""

    is_known: bool
    rows: tuple[NewVersion, ...]
    more: int
    majors: tuple[NewMajor, ...]


@dataclass(frozen=True)
class Share:
    """Installations and their share; both None for a week that is not wholly recorded."""

    installations: int | None
    share: float | None


@dataclass(frozen=True)
class Architecture:
    """Shares of one architecture: of the weeks (oldest first), of the period and of the days before.

    `since`: the Monday of the first week with a share, from which `change_weeks` counts.
    """

    architecture: str
    weeks: tuple[Share, ...]
    last: Share
    before: Share
    change: float | None
    change_weeks: float | None
    since: date | None


@dataclass(frozen=True)
class Adoption:
    """Whole ISO weeks that end by the period's last day; architectures of Macs, and of all systems."""

    weeks: tuple[date, ...]
    macs: tuple[Architecture, ...]
    systems: tuple[Architecture, ...]


@dataclass(frozen=True)
class Segment:
    """A release on an architecture. `installations_change` as in Totals; `success_rate`: period less before."""

    os_family: str
    os_release: str
    architecture: str
    installations: int
    installations_change: Change | None
    rates: Rates
    before: Rates
    success_rate: float | None
    verdict: Verdict
    chance: float | None


@dataclass(frozen=True)
class OtherSegments:
    """All segments that have no row, together."""

    segments: int
    installations: int
    rates: Rates
    before: Rates


@dataclass(frozen=True)
class Segments:
    count: int
    rows: tuple[Segment, ...]
    others: OtherSegments | None


@dataclass(frozen=True)
class WorstComponent:
    """A component on the release and on all others. `error_type`: the most frequent one of its failures there;
    None where error types of these days are not at hand."""

    component: str
    rates: Rates
    others: Rates
    error_type: str | None
    error_failures: int | None


@dataclass(frozen=True)
class Issue:
    """A release that fails more than all others together, by more than chance.

    `tries` and `failed_tries`: the first tries that are compared (half the events where `Quality.shared_keys`), with
    `failed_share`; `expected_share`: what the other releases' components give at this release's mix of components.
    """

    os_family: str
    os_release: str
    rates: Rates
    others: Rates
    tries: int
    failed_tries: int
    failed_share: float
    expected_share: float
    machines: int
    machines_failing: int
    chance: float
    components: tuple[WorstComponent, ...]


@dataclass(frozen=True)
class Issues:
    """`versions` with events, of which `judged` had enough tries; `more`: issues without a row.

    `errors_first_day` to `errors_last_day`: the days whose error types are named; None when there are none at hand.
    """

    versions: int
    judged: int
    rows: tuple[Issue, ...]
    more: int
    errors_first_day: date | None
    errors_last_day: date | None


@dataclass(frozen=True)
class Month:
    """The 30 days that end with a month's last day. `is_known`: records began before them."""

    month: date
    first_day: date
    last_day: date
    is_known: bool
    installations: int | None


@dataclass(frozen=True)
class MonthShare:
    """What a version did in a month's 30 days; None where those are not wholly recorded."""

    installations: int | None
    share: float | None
    rates: Rates | None


@dataclass(frozen=True)
class MajorVersion:
    """`months` as those of the trend, oldest first; `share_change`: from the first with installations to the last,
    None with one; `support`: None when the table does not know the version."""

    os_family: str
    major: str
    months: tuple[MonthShare, ...]
    share_change: float | None
    support: Support | None


@dataclass(frozen=True)
class OtherVersions:
    versions: int
    months: tuple[MonthShare, ...]


@dataclass(frozen=True)
class MajorTrend:
    """Major versions with most installations in the period first; `since`: the first known month."""

    months: tuple[Month, ...]
    since: date | None
    rows: tuple[MajorVersion, ...]
    others: OtherVersions | None


@dataclass(frozen=True)
class Recommendation:
    """`kind`: `consider` ending support, or `watch`. `months`: three, the reported one last; `installations`: theirs.

    `rates`, `others`, `gap` (others less this one), `verdict`, `machines` are of the period. `is_failing` and
    `is_unmaintained`: which of the two reasons hold.
    """

    kind: str
    os_family: str
    major: str
    months: tuple[MonthShare, ...]
    installations: int
    machines: int
    rates: Rates
    others: Rates
    gap: float | None
    verdict: Verdict
    chance: float | None
    is_failing: bool
    is_unmaintained: bool
    support: Support | None


@dataclass(frozen=True)
class Deprecation:
    """`is_known`: the three months are wholly recorded; without them nothing is recommended. `more`: left out.

    `table_date`: when the table of vendor support was looked through; `is_table_old`: over a year before the period's
    end.
    """

    is_known: bool
    months: tuple[Month, ...]
    rows: tuple[Recommendation, ...]
    more: int
    table_date: date
    is_table_old: bool


@dataclass(frozen=True)
class Findings:
    """What the page says first, and titles. Sentences are templates over the numbers (marking.py).

    `headline_kind`: no_data | no_events | too_few | issue | success_change | new_major | first_month |
    not_compared | steady.
    """

    headline_kind: str
    headline: str
    subject: str
    details: tuple[str, ...]
    incomplete: tuple[str, ...]
    new_title: str
    adoption_title: str
    segments_title: str
    issues_title: str
    trend_title: str
    deprecation_title: str
    recommendations: tuple[str, ...]


@dataclass(frozen=True)
class MonthlyNumbers:
    period: Period
    before: Period
    month: date
    zone: str
    now: datetime
    watermark: datetime | None
    generation: int
    published_at: datetime
    code_version: str
    rule_version: str
    known_from: date | None
    totals: Totals
    worse_components: tuple[WorseComponent, ...]
    new_versions: NewVersions
    adoption: Adoption
    segments: Segments
    issues: Issues
    trend: MajorTrend
    deprecation: Deprecation
    quality: Quality
