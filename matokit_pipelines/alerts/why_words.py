"""The conditions of a rule at one evaluation, one by one: what was found, what is wanted, and whether that is met.

From the counts of a verdict and the settings; compared exactly, as the rules do. Not here: what followed of it
(why.py), the words of messages (content/wording.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Any, Literal
from zoneinfo import ZoneInfo

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.content import wording
from matokit_pipelines.alerts.verdicts import ALL, Input, Verdict

Inputs = Mapping[str, Input]
MOST_DECIMALS = 6
DAILY = ("component_failure_rate", "new_component_failure", "success_drop_7d")


@dataclass(frozen=True)
class Part:
    """One condition. `met`: None for what is no condition but tells how it was judged."""

    of: Literal["trigger", "guard"]
    sentence: str
    met: bool | None = None


def parts(verdict: Verdict, settings: AlertSettings, zone: ZoneInfo) -> list[Part]:
    """The trigger's conditions, then the guard's; only what is known where the state is not `ok`."""
    if verdict.state != "ok":
        return [Part("trigger", _unknown(verdict))]
    rule: Any = getattr(settings.rules, verdict.rule)
    times = {
        name: day_and_clock(datetime.fromisoformat(told), zone)
        for name in ("began_at", "since")
        if isinstance(told := verdict.inputs.get(name), str)
    }
    said = replace(verdict, inputs={**verdict.inputs, **times})
    found = list(_TRIGGERS[verdict.rule](said.inputs, rule))
    if verdict.rule == "slow_regression":  # whether it has crossed since it last was 0 is not in the numbers
        found[-1] = replace(found[-1], met=verdict.raw)
    return found + (list(_guard(said, rule)) if verdict.raw else [])


def outcome(verdict: Verdict, zone: ZoneInfo) -> str:
    """The first sentence: what the rule said, of what, when."""
    about = f"{verdict.rule} of {wording.name(verdict.subject)}" if verdict.subject != ALL else verdict.rule
    when = day_and_clock(verdict.at, zone)
    if verdict.state == "no_data":
        return f"{about} could not be judged at {when}: there was nothing to count."
    if verdict.state == "not_evaluable":
        return f"{about} could not be evaluated at {when}."
    if verdict.guarded:
        return f"{about} held at {when}: {_met(verdict)}."
    if verdict.raw:
        return f"{about} started no alert at {when}: the trigger was met, the guard was not."
    return f"{about} did not hold at {when}: the trigger was not met."


def _met(verdict: Verdict) -> str:
    if verdict.rule == "data_stale":
        return "the trigger was met"
    is_off = verdict.inputs.get("guard") == "off"
    return "the trigger was met, the guard is switched off" if is_off else "trigger and guard were met"


def day_and_clock(at: datetime, zone: ZoneInfo) -> str:
    """`Sun 22 Nov 2026 02:40 CET`."""
    local = at.astimezone(zone)
    return f"{wording.day(at, zone)} {local:%Y %H:%M %Z}"


def percent(successes: int, events: int, against: float | None = None) -> str:
    """A share with as many decimals as it takes to tell it from `against` (percent)."""
    if events == 0:
        return "no share"
    exact = Fraction(100 * successes, events)
    limit = None if against is None else Fraction(str(against))
    for decimals in range(1, MOST_DECIMALS):
        shown = f"{float(exact):.{decimals}f}"
        if limit is None or (Fraction(shown) < limit, Fraction(shown) > limit) == (exact < limit, exact > limit):
            return f"{shown} %"
    return f"{float(exact)} %"


def hours(number: float) -> str:
    """A length of time: `2 hours`, `the hour` for one."""
    return "hour" if number == 1 else f"{number:g} hours"


def tries(number: int) -> str:
    """A count of first tries."""
    return wording.many(number, "first try", "first tries")


def odds(chance: float) -> str:
    """A probability as people say it: `once in 20,000`."""
    if chance <= 0 or 1 / chance > 1e9:
        return "less than once in a billion"
    times = 1 / chance
    if times < 10:
        return f"{100 * chance:.0f} times in 100"
    digits = max(0, len(str(int(times))) - 2)
    return f"once in {round(times / 10**digits) * 10**digits:,}"


def _unknown(verdict: Verdict) -> str:
    if verdict.state == "no_data":
        return "There was no event in the window; an alert that fires keeps its state, and its recovery waits."
    because = {
        "arch_gap": "There was one known architecture only, so there is nothing to hold it against.",
        "commit_regression": "There is no valid commit before it, so there is nothing to hold it against.",
        "no_events": "Too little is known of the same hours of earlier weeks to say how much is usual.",
    }
    return because.get(verdict.rule, "Too little is known to judge it.")


# -- triggers ---------------------------------------------------------------------------------------------------------


def _whole(inputs: Inputs, key: str) -> int:
    value = inputs.get(key)
    return int(value) if isinstance(value, int | float) else 0


def _below(inputs: Inputs, limit: float, prefix: str = "") -> bool:
    """Whether the success rate is below `limit` percent."""
    n, failures = _whole(inputs, prefix + "n"), _whole(inputs, prefix + "failures")
    return n > 0 and 100 * (n - failures) < Fraction(str(limit)) * n


def _above(inputs: Inputs, limit: float, prefix: str = "") -> bool:
    n, failures = _whole(inputs, prefix + "n"), _whole(inputs, prefix + "failures")
    return n > 0 and 100 * (n - failures) > Fraction(str(limit)) * n


def _success(inputs: Inputs, limit: float, prefix: str = "") -> str:
    n, failures = _whole(inputs, prefix + "n"), _whole(inputs, prefix + "failures")
    return f"{percent(n - failures, n, limit)} succeeded" if n else "there was no event"


def _overall(inputs: Inputs, rule: Any) -> Iterator[Part]:
    n, failures = _whole(inputs, "n"), _whole(inputs, "failures")
    yield Part("trigger", f"{wording.failed(failures, n)} in the last {hours(rule.window_hours)}.")
    yield Part("trigger", f"{wording.many(n, 'event')}; more than {rule.min_events:,} are wanted.", n > rule.min_events)
    limit = rule.below_percent
    yield Part("trigger", f"{_success(inputs, limit)}; less than {limit:g} % is wanted.", _below(inputs, limit))


def _pattern(inputs: Inputs, rule: Any) -> Iterator[Part]:
    n, failures = _whole(inputs, "n"), _whole(inputs, "failures")
    before, before_failures = _whole(inputs, "before_n"), _whole(inputs, "before_failures")
    yield Part("trigger", f"{wording.failed(failures, n)} in the last {hours(rule.window_hours)}.")
    limit = rule.below_percent
    yield Part("trigger", f"{_success(inputs, limit)}; less than {limit:g} % is wanted.", _below(inputs, limit))
    yield Part(
        "trigger", f"{wording.failed(before_failures, before)} in the {hours(rule.before_hours)} directly before."
    )
    limit = rule.before_above_percent
    sentence = f"{_success(inputs, limit, 'before_')} then; more than {limit:g} % is wanted."
    yield Part("trigger", sentence, _above(inputs, limit, "before_"))


def _volume(inputs: Inputs, rule: Any) -> Iterator[Part]:
    n, failures = _whole(inputs, "n"), _whole(inputs, "failures")
    yield Part("trigger", f"{wording.failed(failures, n)} in the last {hours(rule.window_hours)}.")
    wanted = rule.failures_above
    yield Part("trigger", f"{wording.many(failures, 'failure')}; more than {wanted:,} are wanted.", failures > wanted)


def _gap(inputs: Inputs) -> Fraction | None:
    """Points by which the failure rate is above that of before, or of the others."""
    n, failures = _whole(inputs, "n"), _whole(inputs, "failures")
    before, before_failures = _whole(inputs, "before_n"), _whole(inputs, "before_failures")
    return Fraction(100 * failures, n) - Fraction(100 * before_failures, before) if n and before else None


def _points(gap: Fraction | None, wanted: float) -> Part:
    if gap is None:
        return Part("trigger", "One of the two sides has no event, so there is nothing to compare.", False)
    limit = Fraction(str(wanted))
    shown = next(
        text
        for text in (*(f"{float(gap):.{decimals}f}" for decimals in range(1, MOST_DECIMALS)), str(float(gap)))
        if (Fraction(text) > limit) == (gap > limit)
    )
    return Part("trigger", f"That is {shown} points more failures; more than {wanted:g} are wanted.", gap > limit)


def _arch(inputs: Inputs, rule: Any) -> Iterator[Part]:
    yield Part(
        "trigger", f"{wording.failed(_whole(inputs, 'failures'), _whole(inputs, 'n'))} on the last complete day."
    )
    others = wording.failed(_whole(inputs, "before_failures"), _whole(inputs, "before_n"))
    yield Part("trigger", f"{others} on all other architectures.")
    yield _points(_gap(inputs), rule.gap_points)


def _commit(inputs: Inputs, rule: Any) -> Iterator[Part]:
    yield Part("trigger", f"{wording.failed(_whole(inputs, 'failures'), _whole(inputs, 'n'))} since it was first seen.")
    before = wording.failed(_whole(inputs, "before_failures"), _whole(inputs, "before_n"))
    yield Part("trigger", f"{before} with the commit before it, {inputs.get('previous') or 'unknown'}.")
    yield _points(_gap(inputs), rule.drop_points)


def _component(inputs: Inputs, rule: Any) -> Iterator[Part]:
    n, failures = _whole(inputs, "n"), _whole(inputs, "failures")
    limit = rule.above_percent
    yield Part("trigger", f"{wording.many(n, 'event')} in the 24 hours before the run.")
    share = percent(failures, n, limit) if n else "none"
    met = n > 0 and 100 * failures > Fraction(str(limit)) * n
    yield Part("trigger", f"{failures:,} of them failed ({share}); more than {limit:g} % is wanted.", met)


def _new(inputs: Inputs, rule: Any) -> Iterator[Part]:
    failures, before = _whole(inputs, "failures"), _whole(inputs, "before_failures")
    yield Part(
        "trigger", f"{wording.many(failures, 'failure')} in the 24 hours before the run; 1 is wanted.", failures > 0
    )
    days = wording.many(rule.quiet_days, "day")
    yield Part("trigger", f"{wording.many(before, 'failure')} in the {days} before; none is wanted.", before == 0)


def _drop(inputs: Inputs, rule: Any) -> Iterator[Part]:
    yield Part(
        "trigger", f"{wording.failed(_whole(inputs, 'failures'), _whole(inputs, 'n'))} in the 24 hours before the run."
    )
    before = wording.failed(_whole(inputs, "before_failures"), _whole(inputs, "before_n"))
    yield Part("trigger", f"{before} in the {wording.many(rule.before_days, 'day')} before.")
    yield _points(_gap(inputs), rule.drop_points)


def _number(inputs: Inputs, key: str) -> float | None:
    value = inputs.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _slow(inputs: Inputs, rule: Any) -> Iterator[Part]:
    units, failures = _whole(inputs, "n"), _whole(inputs, "failures")
    began = inputs.get("began_at")
    since = f" since {began}, when the evidence left 0 and the change seems to have begun" if began else ""
    yield Part("trigger", f"{failures:,} of {tries(units)} failed{since}." if units else "No evidence is open.")
    if (usual := _number(inputs, "expected_share")) is not None:
        before = f"{_whole(inputs, 'baseline_failures'):,} of {tries(_whole(inputs, 'baseline_units'))}"
        days = wording.many(rule.baseline_days, "day")
        yield Part("trigger", f"Usual are {100 * usual:.1f} %: {before} in {days} that ended two days before.")
    evidence, threshold = _number(inputs, "evidence"), _number(inputs, "threshold")
    if evidence is None or threshold is None:
        yield Part("trigger", "There is no evidence.")
    else:
        yield Part(
            "trigger", f"The evidence is {evidence:.2f}. It has to rise above {threshold:.2f}, and holds until it is 0."
        )


def _silence(inputs: Inputs, rule: Any) -> Iterator[Part]:
    expected, chance, lasted = (_number(inputs, key) for key in ("expected", "chance", "hours"))
    if lasted is None:
        yield Part("trigger", f"{wording.many(_whole(inputs, 'n'), 'event')} in the last hour; none is wanted.", False)
        return
    yield Part("trigger", f"No event for {wording.hours_and_minutes(lasted)}, since {inputs.get('since')}.", True)
    if expected is not None:
        weeks = wording.many(_whole(inputs, "weeks"), "week")
        yield Part("trigger", f"The same hours of {weeks} before make one expect {expected:.1f}.")
    if chance is not None:
        alpha = rule.guard.alpha
        yield Part(
            "trigger", f"No event by chance: {odds(chance)}; rarer than {odds(alpha)} is wanted.", chance < alpha
        )


def _stale(inputs: Inputs, rule: Any) -> Iterator[Part]:
    age = _number(inputs, "age_hours")
    if age is None:
        yield Part("trigger", "Nothing is known to be complete yet.")
        return
    wanted = f"more than {hours(rule.after_hours)} is wanted"
    yield Part("trigger", f"Data were complete to {age:.1f} hours before; {wanted}.", age > rule.after_hours)


_TRIGGERS: Mapping[str, Any] = {
    "overall_success_rate": _overall,
    "new_failure_pattern": _pattern,
    "high_volume_failures": _volume,
    "arch_gap": _arch,
    "commit_regression": _commit,
    "component_failure_rate": _component,
    "new_component_failure": _new,
    "success_drop_7d": _drop,
    "slow_regression": _slow,
    "no_events": _silence,
    "data_stale": _stale,
}


# -- the guard --------------------------------------------------------------------------------------------------------


def _guard(verdict: Verdict, rule: Any) -> Iterator[Part]:
    """What the guard asked, as far as it got; it stops at the first part that is not met."""
    inputs, guard = verdict.inputs, rule.guard
    if verdict.rule == "data_stale":
        yield Part("guard", "The rule has no guard: the trigger alone starts an alert.")
    elif inputs.get("guard") == "off":
        yield Part("guard", "The guard is switched off, so the trigger alone starts an alert.")
    if inputs.get("shared_key"):
        yield Part(
            "guard",
            "One machine key holds more than 30 % of the week's events, so keys are not machines: events are counted "
            "instead, halved, and machines are not asked.",
        )
    elif "machines_failing" in inputs:
        found = _whole(inputs, "machines_failing")
        wanted = f"at least {guard.min_machines:,} {'is' if guard.min_machines == 1 else 'are'} wanted"
        yield Part("guard", f"{wording.many(found, 'machine')} failed; {wanted}.", found >= guard.min_machines)
    if "units" in inputs:
        yield from _units(inputs, guard)
    if "baseline_units" in inputs and verdict.rule != "slow_regression":
        yield from _baseline(verdict.rule, inputs, guard)
    if (chance := _number(inputs, "chance")) is not None and verdict.rule != "no_events":
        wanted = f"rarer than {odds(guard.alpha)} is wanted"
        yield Part("guard", f"So many by chance, had nothing changed: {odds(chance)}; {wanted}.", chance < guard.alpha)
    yield from _own(inputs, rule)
    if inputs.get("guard") == "met":
        yield Part("guard", "So the guard is met: an alert may start.")
    elif inputs.get("guard") == "not_met":
        yield Part("guard", f"So the guard is not met{_because(inputs)}: no alert starts; one that fires goes on.")


def _units(inputs: Inputs, guard: Any) -> Iterator[Part]:
    units, failures = _whole(inputs, "units"), _whole(inputs, "unit_failures")
    share = f" ({percent(failures, units)})" if units else ""
    if inputs.get("shared_key"):
        what = f"{failures:,} of {wording.many(units, 'event')} failed{share}, counted by half"
    else:
        what = f"{failures:,} of {tries(units)} failed{share}; further tries are not counted"
    if inputs.get("why_not") == "units":
        yield Part("guard", f"{what}. At least {guard.min_units:,} are wanted.", False)
    else:
        yield Part("guard", f"{what}.")


def _baseline(rule: str, inputs: Inputs, guard: Any) -> Iterator[Part]:
    units, failures = _whole(inputs, "baseline_units"), _whole(inputs, "baseline_failures")
    share = f" ({percent(failures, units)})" if units else ""
    whose = "on the other side" if rule == "arch_gap" else "before"
    sentence = (
        f"{failures:,} of {tries(units)} {whose} failed{share}; at least {guard.min_units:,} are needed to compare."
    )
    yield Part("guard", sentence, units >= guard.min_units)
    if (expected := _number(inputs, "expected_share")) is not None:
        yield Part("guard", f"So {100 * expected:.1f} % were to be expected of the components that ran.")


def _own(inputs: Inputs, rule: Any) -> Iterator[Part]:
    """What single rules add."""
    if (sure := _number(inputs, "sure_below")) is not None:
        sentence = f"The share of successes is below {rule.below_percent:g} % with {100 * sure:.1f} % certainty"
        yield Part("guard", f"{sentence}; more than {100 * rule.sure:g} % would do by itself.", sure > rule.sure)
    if inputs.get("why_not") == "times_expected":
        yield Part("guard", f"That is less than {rule.times_expected:g} times what is to be expected.", False)
    if inputs.get("why_not") == "points":
        yield Part("guard", f"Held against the same components it is not more than {rule.min_points:g} points.", False)
    if inputs.get("why_not") == "machines" and "units" not in inputs and "began_at" in inputs:
        yield Part("guard", "So many machines had not failed yet when the evidence rose above what it has to.", False)
    if (least := _number(inputs, "share_at_least")) is not None:
        limit = getattr(rule, "above_percent", getattr(rule, "seldom_seen_percent", 0.0))
        how = (
            "would do without the comparison" if hasattr(rule, "above_percent") else "is wanted, as it was hardly seen"
        )
        met = None if hasattr(rule, "above_percent") else 100 * least > limit
        yield Part("guard", f"Surely {100 * least:.1f} % or more fail (95 %, one-sided); above {limit:g} % {how}.", met)
    if (chance := _number(inputs, "chance_by_machines")) is not None:
        machines, alpha = _number(inputs, "expected_machines") or 0.0, rule.guard.alpha
        sentence = f"{machines:.1f} machines were to be expected; none of them by chance: {odds(chance)}"
        yield Part("guard", f"{sentence}; rarer than {odds(alpha)} is wanted.", chance < alpha)


def _because(inputs: Inputs) -> str:
    because = {
        "machines": "too few machines failed",
        "units": "there are too few first tries",
        "baseline": "too little is known of before",
        "chance": "chance alone explains it",
        "times_expected": "it is not so far above what is usual",
        "points": "the drop is too small, mix adjusted",
        "seldom_seen": "too few failed to be sure of a component that is hardly known",
    }
    part = inputs.get("why_not")
    return f", because {because.get(part, part)}" if isinstance(part, str) else ""
