"""The three daily rules at the end of the window, by the rules themselves: those met, and those that were.

Pure over the events. Not here: the rules (alerts/rules/), the words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.content.wording import odds
from matokit_pipelines.alerts.evaluation import DAILY, findings_at
from matokit_pipelines.alerts.event_log import EventLog
from matokit_pipelines.alerts.silences import Silence
from matokit_pipelines.alerts.verdicts import ALL, Verdict
from matokit_pipelines.reports.daily.shapes import Failures, Standing, Trigger, failures_of
from matokit_pipelines.reports.quality import ENVIRONMENT


def rules_off(settings: AlertSettings) -> tuple[str, ...]:
    """Those of the three that are switched off."""
    return tuple(rule for rule in DAILY if not (settings.enabled and getattr(settings.rules, rule).enabled))


def triggers_at(
    log: EventLog,
    at: datetime,
    day_before: datetime,
    settings: AlertSettings,
    zone: ZoneInfo,
    standing: Standing,
) -> tuple[Trigger, ...]:
    """Triggers that are met at `at`, and those not met that were firing a day before; the most important first."""
    production = settings.model_copy(update={"environments": (ENVIRONMENT,)})
    rules = [rule for rule in DAILY if rule not in rules_off(settings)]
    now, before = (_verdicts(rules, log, instant, production, zone) for instant in (at, day_before))
    firing = {key: day_before for key, one in before.items() if one.guarded}
    firing |= {key: since for key, since in standing.firing.items() if key[0] in rules and since <= day_before}
    wanted = [key for key, one in now.items() if one.raw or key in firing]
    wanted += [key for key in firing if key not in now]
    found = [_trigger(key, now.get(key), firing.get(key), at, standing.silences) for key in wanted]
    alphas = {rule: getattr(settings.rules, rule).guard.alpha for rule in rules}
    # while a component that fired does not run, it is not known whether everything is over
    has_silent = any(one.subject is not None and not one.is_met and not one.counts.events for one in found)
    judged = [
        replace(
            one,
            is_rare=one.chance is not None and one.chance < alphas[one.rule],
            was_met=_was_met(before.get(key), key in standing.firing) and not (has_silent and one.subject is None),
        )
        for key, one in zip(wanted, found, strict=True)
    ]
    return tuple(sorted(judged, key=_rank))


def silenced_until(silences: Iterable[Silence], rules: Sequence[str], subject: str, at: datetime) -> datetime | None:
    """Until when nobody wants to be told of a subject by any of these rules; None when somebody does."""
    ends = [
        max((one.until for one in silences if one.is_active(at) and one.fits(rule, subject)), default=None)
        for rule in rules
    ]
    known = [end for end in ends if end is not None]
    return min(known) if known and len(known) == len(ends) else None


def _verdicts(
    rules: Sequence[str], log: EventLog, at: datetime, settings: AlertSettings, zone: ZoneInfo
) -> dict[tuple[str, str], Verdict]:
    return {
        (rule, verdict.subject): verdict
        for rule in rules
        for verdict in findings_at(rule, log, [at], settings, zone, is_thorough=False)
    }


def _trigger(
    key: tuple[str, str], now: Verdict | None, since: datetime | None, at: datetime, silences: Sequence[Silence]
) -> Trigger:
    rule, subject = key
    inputs = now.inputs if now else {}
    found = inputs.get("chance")
    chance = float(found) if isinstance(found, int | float) else None
    return Trigger(
        rule=rule,
        subject=None if subject == ALL else subject,
        counts=failures_of(_count(inputs, "failures"), _count(inputs, "n")),
        before=_before(inputs),
        machines_failing=_count(inputs, "machines_failing") if "machines_failing" in inputs else None,
        chance=chance,
        once_in=odds(chance),
        is_met=now is not None and now.raw,
        is_guarded=now is not None and now.guarded,
        firing_since=since,
        guard=str(inputs.get("guard", "not_asked")),
        why_not=str(inputs["why_not"]) if inputs.get("why_not") else None,
        silenced_until=silenced_until(silences, [rule], subject, at),
    )


def _was_met(before: Verdict | None, is_firing: bool) -> bool:
    """Whether it was met a day before; where it had no event then, an alert that fires keeps its state."""
    if before is None or not _count(before.inputs, "n"):
        return is_firing
    return before.raw


def _before(inputs: Mapping[str, object]) -> Failures | None:
    """The events before, else the first tries of the guard's baseline."""
    for failures, n in (("before_failures", "before_n"), ("baseline_failures", "baseline_units")):
        if n in inputs:
            return failures_of(_count(inputs, failures), _count(inputs, n))
    return None


def _count(inputs: Mapping[str, object], name: str) -> int:
    value = inputs.get(name)
    return int(value) if isinstance(value, int | float) else 0


def _rank(trigger: Trigger) -> tuple[bool | int | str, ...]:
    """Met ones first, then those more than chance, of enough events, everything before components, most failures."""
    return (
        not trigger.is_met, trigger.silenced_until is not None, not trigger.is_met and not trigger.was_met,
        not trigger.is_sure, trigger.counts.small,
        trigger.subject is not None, -trigger.counts.failures, -trigger.counts.events, trigger.subject or "",
        DAILY.index(trigger.rule),
    )  # fmt: skip
