"""The numbers of the daily component health report: what the page, its text twin, its JSON and its message all say.

Shares are between 0 and 1, instants are aware and in UTC, a `date` is a day in the project's zone, None is "nothing to
say". Not here: how the numbers are found or shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from matokit_pipelines.alerts.silences import Silence
from matokit_pipelines.reports.comparison import SMALL_NUMBER, Verdict
from matokit_pipelines.reports.shapes import Period, Quality
from matokit_pipelines.statistics import rate, wilson


@dataclass(frozen=True)
class Failures:
    """Counted events and those that failed; the share with its 95 % Wilson interval. `small`: fewer than ten events."""

    events: int
    failures: int
    failure_rate: float | None
    failure_rate_low: float | None
    failure_rate_high: float | None
    small: bool


def failures_of(failures: int, events: int) -> Failures:
    """Failures with their share, from counts."""
    low, high = wilson(failures, events) or (None, None)
    return Failures(events, failures, rate(failures, events), low, high, events < SMALL_NUMBER)


NO_FAILURES = failures_of(0, 0)


@dataclass(frozen=True)
class Stretch:
    """One day of a trend, from the hour of the report to the same hour of the next day; the last may be cut."""

    start: datetime
    end: datetime
    counts: Failures


@dataclass(frozen=True)
class System:
    os_release: str
    architecture: str
    counts: Failures


@dataclass(frozen=True)
class ErrorType:
    """Failures that name the same kind of error; "" where they name none."""

    error_type: str
    failures: int


@dataclass(frozen=True)
class Began:
    """The first failure after the last run of ten successes or more, within a week before the window or in it."""

    at: datetime
    commit_sha: str | None
    os_release: str
    architecture: str


@dataclass(frozen=True)
class CommitSeen:
    """A commit first seen in the 48 hours before failures began; `counts`: of the component, with it, since then."""

    commit_sha: str
    first_seen: datetime
    previous: str | None
    counts: Failures


@dataclass(frozen=True)
class CiComparison:
    """The same component in CI: in the last 24 hours, and with the commits in question in the last 7 days.

    `is_green`: enough of it ran and hardly any failed (alerts/content/surroundings.py).
    """

    last_day: Failures
    commits: Failures
    is_green: bool


@dataclass(frozen=True)
class Component:
    """One component in the window; `week`, `four_weeks`: the 7 and the 28 days before it.

    `verdict`: its first tries against those of the 28 days before. `is_listed`: more failed than the limit. `rules`:
    those of its triggers that are met more than chance. `silenced_until`: nobody wants to be told of it until then.
    """

    component: str
    counts: Failures
    machines: int
    machines_failing: int
    week: Failures
    four_weeks: Failures
    verdict: Verdict
    chance: float | None
    is_listed: bool
    rules: tuple[str, ...] = ()
    silenced_until: datetime | None = None


@dataclass(frozen=True)
class Health:
    """A component that is told in full. `started_at`: where `slow_regression` fires, its estimate of when it began."""

    row: Component
    trend: tuple[Stretch, ...]
    systems: tuple[System, ...]
    systems_more: int
    errors: tuple[ErrorType, ...]
    errors_more: int
    began: Began | None
    commits: tuple[CommitSeen, ...]
    ci: CiComparison
    started_at: datetime | None


@dataclass(frozen=True)
class Trigger:
    """One of the three rules, met at the end of the window (`subject`: a component, None for everything).

    `counts`: its last 24 hours, `before`: what it holds them against, where it does. `is_guarded`: rule and guard are
    met. `firing_since`: it was more than chance before and the rule has been met since; then the guard is not asked
    again, as what is usual holds its failures by now. `guard`: met, not_met or off; `why_not`: the first part of it
    that is not met. `chance`: how often so many failures would be seen had nothing changed; `once_in`: the same as once
    in about so many days, None for what is rarer than one in a million or not rare at all. `is_rare`: rarer than the
    rule's guard asks; a guard can also be met by a rate that is surely above the rule's threshold. `was_met`: the rule
    was met a day before, or fired and had no event to be measured by; never of
    everything while a component that fired has no event.
    """

    rule: str
    subject: str | None
    counts: Failures
    before: Failures | None
    machines_failing: int | None
    chance: float | None
    once_in: int | None
    is_met: bool
    is_guarded: bool
    firing_since: datetime | None
    guard: str
    why_not: str | None
    silenced_until: datetime | None = None
    is_rare: bool = False
    was_met: bool = False

    @property
    def is_sure(self) -> bool:
        """Whether it is told as more than chance."""
        return self.is_met and (self.is_guarded or self.firing_since is not None)

    @property
    def is_news_of_an_end(self) -> bool:
        """Whether it was firing and its events do not meet it for the first time: told once, since its end has no
        message of its own. Without an event nothing is known to be over."""
        return not self.is_met and self.was_met and self.counts.events > 0 and self.silenced_until is None


@dataclass(frozen=True)
class Totals:
    """Everything in the window; without silenced components: `listed`: those above the limit, `listed_enough`: those of
    them with ten events or more, `sure`: those of which a trigger is met more than chance.

    `verdict`: of all first tries against the 28 days before, mix adjusted.
    """

    counts: Failures
    machines: int
    machines_failing: int
    week: Failures
    four_weeks: Failures
    components: int
    components_failing: int
    listed: int
    listed_enough: int
    sure: int
    listed_silenced: int
    verdict: Verdict
    chance: float | None


@dataclass(frozen=True)
class Burst:
    """Many times the usual load: `usual` events are the median of the `days` before that held any, up to 28."""

    events: int
    usual: int
    times: float
    days: int


@dataclass(frozen=True)
class Met:
    """How many triggers are met: more than chance (now, or once and since), as could be chance, and silenced ones;
    `over`: how many were firing and are not met for the first time."""

    more_than_chance: int
    could_be_chance: int
    silenced: int
    over: int = 0


@dataclass(frozen=True)
class DailyNumbers:
    """The report of one morning.

    `period`: from the hour of the report the day before to that hour; `compared_from`: where the 28 days before it
    begin; `window_end`: where the data end it, None when
    they do not reach into it. `components`: in full, worst first; `others`: further listed ones as rows, `others_more`:
    how many more there are. `triggers`: those met, `triggers_more` further ones; `ended`: met more than chance a day
    before and not met any more. `rules_off`: rules that are switched off.
    """

    period: Period
    compared_from: datetime
    window_end: datetime | None
    zone: str
    now: datetime
    watermark: datetime | None
    code_version: str
    rule_version: str
    limit: float
    totals: Totals
    components: tuple[Health, ...]
    others: tuple[Component, ...]
    others_more: int
    met: Met
    triggers: tuple[Trigger, ...]
    triggers_more: int
    ended: tuple[Trigger, ...]
    rules_off: tuple[str, ...]
    burst: Burst | None
    quality: Quality
    worth_sending: bool


@dataclass(frozen=True)
class Standing:
    """What the alerts know at the end of the window. regressions: component -> when `slow_regression` says that it
    began; firing: (rule, subject) of the three rules -> since when an alert has been firing; silences: those in force.
    """

    regressions: Mapping[str, datetime] = field(default_factory=dict)
    firing: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    silences: tuple[Silence, ...] = ()


@dataclass(frozen=True)
class Card:
    """What is said of a component in full: its rules and silence, what is usual, since when, CI, kinds of error."""

    marks: tuple[str, ...]
    usual: str
    since: tuple[str, ...]
    ci: str
    errors: str


@dataclass(frozen=True)
class Findings:
    """The sentences of the report; templates over its document, see marking.py.

    `subject`: the finding in the subject of a mail; `window`: what the report is about; `ended`: what was firing and is
    not met any more; `why`: why it is sent, or is not. `cards`: in the order of the document's components; `verdicts`:
    in that of its triggers, how each was judged.
    """

    headline_kind: str
    headline: str
    subject: str
    details: tuple[str, ...]
    incomplete: tuple[str, ...]
    window: str
    ended: tuple[str, ...]
    cards: tuple[Card, ...]
    verdicts: tuple[str, ...]
    why: str
