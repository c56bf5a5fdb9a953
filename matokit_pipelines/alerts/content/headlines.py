"""The one plain sentence with which each message begins: what fails, with counts, beside what is usual.

Numbers are those of the verdict; one that it lacks is left out or said to be unknown, never made up. Not here: what
follows the sentence (stories.py).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from matokit_pipelines.alerts.content import wording
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.content.scopes import moment_of
from matokit_pipelines.alerts.content.wording import failed, many, number, percent, whole
from matokit_pipelines.alerts.verdicts import ALL, Verdict

UNKNOWN_USUAL = "what is usual is not known yet"


def headline(verdict: Verdict, links: Links, now: datetime, *, is_named: bool = True) -> str:
    """The sentence, without a full stop; not `is_named` where the subject stands above it already."""
    sentence = _headline(verdict, links, now)
    return sentence if is_named else sentence.removeprefix(_who(verdict))


def with_usual_of(verdict: Verdict, judged: Verdict) -> Verdict:
    """The verdict with what is usual as `judged` found it, the one at the start: later the failures themselves slip
    into what is usual, and nobody asks for it where the condition does not hold."""
    if usual_share(judged) is None:
        return verdict
    known = ("expected_share", "baseline_units", "baseline_failures")
    return replace(verdict, inputs={**verdict.inputs, **{key: judged.inputs.get(key) for key in known}})


def _headline(verdict: Verdict, links: Links, now: datetime) -> str:
    match verdict.rule:
        case "no_events":
            return _silence(verdict, links, now)
        case "data_stale":
            return _stale(verdict, links, now)
        case "slow_regression":
            return _slow(verdict, links, now)
    n, failures = whole(verdict.inputs, "n"), whole(verdict.inputs, "failures")
    if n is None or failures is None:
        return f"{_who(verdict)}{wording.RULE_NAMES.get(verdict.rule, verdict.rule)}; the counts are missing"
    if verdict.rule == "high_volume_failures":
        return _volume(verdict, n, failures, links)
    return f"{_who(verdict)}{failed(failures, n)}{_within(verdict.rule)}, {_against(verdict)}"


def usual_share(verdict: Verdict, least: int = 10) -> float | None:
    """The share of failures that is usual, adjusted for the mix of components where the rule does that; None when too
    little is known to say."""
    units, bad = whole(verdict.inputs, "baseline_units"), whole(verdict.inputs, "baseline_failures")
    if units is not None and units < least:
        return None
    expected = number(verdict.inputs, "expected_share")
    if expected is not None:
        return expected
    return bad / units if units and bad is not None else None


def points_apart(verdict: Verdict) -> float | None:
    """Percentage points by which more fails than in what it is held against; None where that is not known."""
    n, failures = whole(verdict.inputs, "n"), whole(verdict.inputs, "failures")
    before, before_failures = whole(verdict.inputs, "before_n"), whole(verdict.inputs, "before_failures")
    if not n or failures is None:
        return None
    if before and before_failures is not None:
        return 100 * (failures / n - before_failures / before)
    usual = usual_share(verdict)
    return None if usual is None else 100 * (failures / n - usual)


def _who(verdict: Verdict) -> str:
    if verdict.subject == ALL:
        return ""
    shown = wording.name(verdict.subject)
    return f"Commit {shown}: " if verdict.rule == "commit_regression" else f"{shown}: "


def _within(rule: str) -> str:
    return " in 24 hours" if rule in ("component_failure_rate", "new_component_failure", "success_drop_7d") else ""


def _against(verdict: Verdict) -> str:
    """What it is held against: the counts before where the rule compares with them, else what is usual."""
    before, bad = whole(verdict.inputs, "before_n"), whole(verdict.inputs, "before_failures")
    shown = None if before is None or bad is None else wording.part_failed(bad, before) if before else "no events"
    previous = verdict.inputs.get("previous")
    match verdict.rule:
        case "new_failure_pattern" if shown:
            return f"the day before {shown}"
        case "arch_gap" if shown:
            return f"on all others {shown}"
        case "commit_regression" if shown:
            return f"with {wording.name(str(previous))} before it {shown}" if previous else f"before it {shown}"
        case "new_component_failure" if bad == 0 and before:
            return f"none of {wording.count(before)} in the week before"
        case "success_drop_7d" if shown:
            return f"in the week before {shown}"
    usual = usual_share(verdict)
    return UNKNOWN_USUAL if usual is None else f"usually {percent(usual)}"


def _volume(verdict: Verdict, n: int, failures: int, links: Links) -> str:
    hours = links.alerts.rules.high_volume_failures.window_hours
    usual = usual_share(verdict)
    at_most = UNKNOWN_USUAL if usual is None else f"usually {_about(usual * n)} of so many"
    share = f" ({percent(failures / n)})" if n else ""
    return f"{many(failures, 'failure')} in {_one(hours)}, of {many(n, 'event')}{share}; {at_most}"


def _slow(verdict: Verdict, links: Links, now: datetime) -> str:
    n, failures = whole(verdict.inputs, "n"), whole(verdict.inputs, "failures")
    began = moment_of(verdict, "began_at")
    since = f" since about {wording.clock(began, links.zone, now)}" if began else ""
    if n is None or failures is None:
        return f"{_who(verdict)}worse{since}; the counts are missing"
    counted = f"{wording.count(failures)} of {many(n, 'first try', 'first tries')} failed"
    tries = f"{counted} ({percent(failures / n)})" if n else "no first tries"
    usual = usual_share(verdict)
    return f"{_who(verdict)}{tries}{since}, " + (UNKNOWN_USUAL if usual is None else f"usually {percent(usual)}")


def _silence(verdict: Verdict, links: Links, now: datetime) -> str:
    since = moment_of(verdict, "since") or moment_of(verdict, "began_at")
    expected = number(verdict.inputs, "expected")
    start = f"No installer event since {wording.clock(since, links.zone, now)}" if since else "No installer event"
    return start + (f", usually {_about(expected)} in these hours" if expected is not None else "")


def _stale(verdict: Verdict, links: Links, now: datetime) -> str:
    age, mark = number(verdict.inputs, "age_hours"), moment_of(verdict, "watermark")
    if mark is None and age is None:
        return "No data are complete yet, so nothing can be judged"
    shown = f" to {wording.clock(mark, links.zone, now)} only" if mark else ""
    span = f", {wording.hours_and_minutes(age)} ago" if age is not None else ""
    return f"Data are complete{shown}{span}: nothing later is watched"


def _about(value: float) -> str:
    return f"about {wording.count(round(value))}" if value >= 1 else "fewer than 1"


def _one(hours: int) -> str:
    return "one hour" if hours == 1 else f"{hours} hours"
