"""Settings of the alerts: which rules, their thresholds and guards, when and to whom, and the calendar.

Times are minutes unless the name says otherwise; thresholds are percent or percentage points as the rule's sentence
prints them. Not here: what a rule computes (alerts/rules), how a message is sent (delivery_settings.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, time
from typing import Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from matokit_pipelines.delivery_settings import DESTINATION, GROUPS
from matokit_pipelines.section import Section

Severity = Literal["critical", "warning", "daily"]
When = Literal["at_once", "business_day", "daily"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
AlertEnvironment = Literal["production", "test", "development", "ci", "staging", "unknown"]
_CLOCK = re.compile(r"^([01]\d|2[0-3]):[0-5]\d$")
IMMEDIATE_ALPHA, USUAL_ALPHA = 0.001, 0.01


class GuardSettings(Section):
    """The second condition of a rule: enough machines, and so many failures would be rare had nothing changed."""

    enabled: bool = Field(True, description="Off: the raw condition alone starts an alert, and the message says so.")
    alpha: float = Field(USUAL_ALPHA, gt=0, lt=1, description="How rare so many failures must be by chance alone.")
    min_machines: int = Field(3, ge=1, description="Machines that must have failed.")
    min_units: int = Field(10, ge=1, description="First tries that a baseline must hold to support a verdict.")


class RuleSettings(Section):
    """What every rule has."""

    enabled: bool = Field(True, description="Off: the rule is not evaluated.")
    severity: Severity = Field("warning", description="critical is told at any hour and reminded of.")
    when: When = Field(
        "at_once",
        description="at_once; business_day: in one digest at the next opening; daily: in one message at daily_at.",
    )
    for_minutes: int = Field(
        0, ge=0, le=10_080, alias="for", description="Minutes that rule and guard must hold without a break."
    )
    keep_firing: int = Field(60, ge=0, le=10_080, description="Minutes without the raw condition until it is over.")
    repeat: int = Field(0, ge=0, le=10_080, description="Minutes between reminders while it lasts; 0: none.")
    guard: GuardSettings = Field(default_factory=GuardSettings, description="The guard.")
    destinations: tuple[str, ...] = Field(
        ("development",), description="Groups of [recipients], or single destinations such as email:a@example.org."
    )
    runbook_url: str = Field("", description="Where the runbook of this rule is; default: links.runbook_url#<rule>.")

    @field_validator("destinations")
    @classmethod
    def _are_destinations(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            if not DESTINATION.match(entry) and entry not in GROUPS:
                known = ", ".join(GROUPS)
                raise ValueError(f'"{entry}" is neither a destination such as slack:#alerts nor one of {known}')
        return value


def _guard(alpha: float = USUAL_ALPHA, min_machines: int = 3) -> GuardSettings:
    return GuardSettings(alpha=alpha, min_machines=min_machines)


class OverallSuccessRate(RuleSettings):
    """The share of all steps that succeed fell below a threshold."""

    severity: Severity = "critical"
    repeat: int = Field(240, ge=0, le=10_080)
    guard: GuardSettings = Field(default_factory=lambda: _guard(IMMEDIATE_ALPHA, 2))
    destinations: tuple[str, ...] = ("on_call",)
    window_hours: int = Field(2, ge=1, le=168, description="Hours looked at.")
    min_events: int = Field(10, ge=0, description="More events than this must be there.")
    below_percent: float = Field(75.0, gt=0, lt=100, description="Fires when fewer than this share succeeded.")
    baseline_days: int = Field(7, ge=1, le=28, description="Days before the window that say what is usual.")
    sure: float = Field(0.95, gt=0.5, lt=1, description="How sure to be that the share is below, without a baseline.")


class NewFailurePattern(RuleSettings):
    """A component that was fine began to fail."""

    severity: Severity = "critical"
    repeat: int = Field(240, ge=0, le=10_080)
    guard: GuardSettings = Field(default_factory=lambda: _guard(IMMEDIATE_ALPHA))
    window_hours: int = Field(4, ge=1, le=168, description="Hours looked at.")
    before_hours: int = Field(24, ge=1, le=168, description="Hours directly before them that must have been good.")
    below_percent: float = Field(80.0, gt=0, lt=100, description="Fires when fewer than this share succeeded now,")
    before_above_percent: float = Field(95.0, gt=0, lt=100, description="and more than this share before.")


class HighVolumeFailures(RuleSettings):
    """Many failures within an hour."""

    severity: Severity = "critical"
    repeat: int = Field(240, ge=0, le=10_080)
    guard: GuardSettings = Field(default_factory=lambda: _guard(IMMEDIATE_ALPHA))
    destinations: tuple[str, ...] = ("on_call",)
    window_hours: int = Field(1, ge=1, le=168, description="Hours looked at.")
    failures_above: int = Field(20, ge=0, description="Fires at more failures than this.")
    baseline_days: int = Field(7, ge=1, le=28, description="Days before the window that say what is usual.")
    times_expected: float = Field(1.5, ge=1, description="The guard wants so many times what is usual.")


class ArchGap(RuleSettings):
    """One architecture fails more often than all others."""

    when: When = "business_day"
    gap_points: float = Field(15.0, gt=0, lt=100, description="Fires when it fails more points more often.")


class CommitRegression(RuleSettings):
    """A new commit fails more often than the one before."""

    when: When = "business_day"
    hours_after: int = Field(24, ge=1, le=168, description="Hours after the deployment in which it is watched.")
    drop_points: float = Field(10.0, gt=0, lt=100, description="Fires when it succeeds more points less often.")
    baseline_days: int = Field(7, ge=1, le=28, description="Days before the deployment that say what is usual.")
    min_points: float = Field(5.0, ge=0, lt=100, description="The guard wants a drop of more points, mix adjusted.")


class ComponentFailureRate(RuleSettings):
    """A component failed often in the last 24 hours."""

    severity: Severity = "daily"
    when: When = "daily"
    destinations: tuple[str, ...] = ("on_call",)
    above_percent: float = Field(20.0, gt=0, lt=100, description="Fires when more than this share failed.")
    baseline_days: int = Field(28, ge=1, le=28, description="Days before that say what is usual.")


class NewComponentFailure(RuleSettings):
    """A component failed that had not failed for a week."""

    severity: Severity = "daily"
    when: When = "daily"
    guard: GuardSettings = Field(default_factory=lambda: _guard(min_machines=2))
    destinations: tuple[str, ...] = ("on_call",)
    quiet_days: int = Field(7, ge=1, le=28, description="Days without a failure before.")
    baseline_days: int = Field(28, ge=1, le=28, description="Days before that say what is usual.")
    seldom_seen_percent: float = Field(
        10.0, gt=0, lt=100, description="Hardly seen before: the failure share must surely be above this."
    )


class SuccessDrop7d(RuleSettings):
    """A component, or everything, succeeds less often than in the week before."""

    severity: Severity = "daily"
    when: When = "daily"
    destinations: tuple[str, ...] = ("on_call",)
    drop_points: float = Field(15.0, gt=0, lt=100, description="Fires when it succeeds more points less often.")
    before_days: int = Field(7, ge=1, le=28, description="Days before the last 24 hours that it is held against.")
    baseline_days: int = Field(28, ge=1, le=28, description="Days instead, where those hold too few first tries.")


class SlowRegression(RuleSettings):
    """A component became worse, told from its first tries one by one, where hours hold too few events."""

    worse_by_points: float = Field(15.0, gt=0, lt=100, description="The change it is tuned to find.")
    baseline_days: int = Field(28, ge=7, le=28, description="Days, ending two days ago, that say what is usual.")
    least_threshold: float = Field(4.0, gt=0, description="Evidence needed at least; grows with the volume.")


class NoEvents(RuleSettings):
    """Nothing arrives although something usually does at these hours."""

    guard: GuardSettings = Field(default_factory=lambda: _guard(IMMEDIATE_ALPHA, 1))
    weeks: int = Field(4, ge=1, le=4, description="Weeks whose same hours say how much is usual.")


class DataStale(RuleSettings):
    """The data are complete to long ago only: a source or the extraction is down."""

    destinations: tuple[str, ...] = ("operators",)
    repeat: int = Field(1440, ge=0, le=10_080)
    after_hours: float = Field(6.0, gt=0, le=168, description="Fires when complete data are older than this.")


class AllRules(Section):
    """The rules."""

    overall_success_rate: OverallSuccessRate = Field(default_factory=OverallSuccessRate)
    new_failure_pattern: NewFailurePattern = Field(default_factory=NewFailurePattern)
    high_volume_failures: HighVolumeFailures = Field(default_factory=HighVolumeFailures)
    arch_gap: ArchGap = Field(default_factory=ArchGap)
    commit_regression: CommitRegression = Field(default_factory=CommitRegression)
    component_failure_rate: ComponentFailureRate = Field(default_factory=ComponentFailureRate)
    new_component_failure: NewComponentFailure = Field(default_factory=NewComponentFailure)
    success_drop_7d: SuccessDrop7d = Field(default_factory=SuccessDrop7d)
    slow_regression: SlowRegression = Field(default_factory=SlowRegression)
    no_events: NoEvents = Field(default_factory=NoEvents)
    data_stale: DataStale = Field(default_factory=DataStale)

    def named(self) -> Iterator[tuple[str, RuleSettings]]:
        """(id, settings) of every rule, in the order in which they are documented."""
        for name in type(self).model_fields:
            yield name, getattr(self, name)


class BusinessHours(Section):
    """When somebody reads what can wait."""

    opening: str = Field("08:30", description="Local time of the digest of warnings.")
    days: tuple[Weekday, ...] = Field(
        ("monday", "tuesday", "wednesday", "thursday", "friday"), min_length=1, description="Business days."
    )

    @field_validator("opening")
    @classmethod
    def _is_time(cls, value: str) -> str:
        return _clock(value)


class QuietHours(Section):
    """Hours in which only critical alerts are told; the others wait for their end."""

    begin: str = Field("", description='Local time, such as "22:00"; empty: no quiet hours.')
    end: str = Field("", description='Local time, such as "07:00".')

    @field_validator("begin", "end")
    @classmethod
    def _is_time(cls, value: str) -> str:
        return _clock(value) if value else value

    @model_validator(mode="after")
    def _both(self) -> QuietHours:
        if bool(self.begin) != bool(self.end):
            raise ValueError("quiet_hours needs both begin and end")
        return self


class Provisional(Section):
    """Alerts on events of the last hour that are not complete yet."""

    enabled: bool = Field(False, description="Evaluate overall_success_rate and high_volume_failures on them too.")
    confirm_hours: float = Field(4.0, gt=0, le=48, description="Hours after which an unconfirmed one is closed.")


class AlertSettings(Section):
    """The alerts."""

    enabled: bool = Field(True, description="Off: nothing is evaluated and nothing is told.")
    environments: tuple[AlertEnvironment, ...] = Field(
        ("production",), min_length=1, description="Whose events the rules count."
    )
    timezone: str = Field("", description="Zone of the business hours and of daily_at; default: the project's.")
    daily_at: str = Field("07:00", description="Local time at which the daily rules are evaluated.")
    business_hours: BusinessHours = Field(
        default_factory=BusinessHours, description="opening and days, of the digest of warnings."
    )
    quiet_hours: QuietHours = Field(
        default_factory=QuietHours, description="begin and end, between which only critical alerts are told."
    )
    holidays: tuple[date, ...] = Field((), description="Further days on which nobody reads, beside those of a country.")
    holiday_country: str = Field(
        "", description='Country whose public holidays are no business days, such as "DK" or "DE-BE".'
    )
    watermark_lag: int = Field(
        0, ge=0, le=1440, description="Further minutes to wait behind the time to which data are complete."
    )
    catch_up: int = Field(24, ge=1, le=24, description="Hours back that events which arrive late are evaluated again.")
    grouping: int = Field(
        30, ge=0, le=1440, description="Minutes in which further subjects of a rule join the first one's message."
    )
    provisional: Provisional = Field(
        default_factory=Provisional, description="enabled and confirm_hours, of alerts on incomplete data."
    )
    rules: AllRules = Field(default_factory=AllRules, description="Each rule; docs/alerts.md lists their settings.")

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        if value and value not in available_timezones():
            raise ValueError('is not an IANA time zone such as "Europe/Copenhagen"')
        return value

    @field_validator("daily_at")
    @classmethod
    def _is_time(cls, value: str) -> str:
        return _clock(value)

    @field_validator("holiday_country")
    @classmethod
    def _is_country(cls, value: str) -> str:
        if value and not re.match(r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$", value):
            raise ValueError('must be a country, with or without its part, such as "DK" or "DE-BE"')
        return value


def clock_time(text: str) -> time:
    """`08:30` as a time of day."""
    return time.fromisoformat(text)


def _clock(value: str) -> str:
    if not _CLOCK.match(value):
        raise ValueError('must be a time of day such as "08:30"')
    return value
