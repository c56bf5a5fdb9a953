"""Golden cases of the alert rules: invented events with what must come of them, run through the evaluator itself.

The format is that of tests/fixtures/alert-cases.json: `cases` of rules, `lifecycle`, `business_day` and `late`, told
in its `how_to_read`. Beyond it, a case of `data_stale` has `watermark` and `now` instead of events, and any case may
hold `settings`, laid over those given. Not here: how events of a case are read (case_events.py), printing
(cli/alerts.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from matokit_pipelines.alert_settings import AlertSettings, clock_time
from matokit_pipelines.alerts.business_days import next_opening
from matokit_pipelines.alerts.case_events import MOST_EVENTS, CaseEvents, checked, instant
from matokit_pipelines.alerts.evaluation import EVALUATED, findings_at, stale_verdict
from matokit_pipelines.alerts.evaluator import Evaluator
from matokit_pipelines.alerts.event_log import LoadedLog
from matokit_pipelines.alerts.lifecycle import run_lifecycle
from matokit_pipelines.alerts.rules import arch_gap, commit_regression, data_stale
from matokit_pipelines.alerts.verdicts import ALL, Verdict
from matokit_pipelines.errors import SettingsError
from matokit_pipelines.warehouse.event_columns import microseconds
from matokit_pipelines.windows import ONE_DAY, parse_day, start_of_day, zone_named

SECTIONS = ("cases", "lifecycle", "business_day", "late")
_ABOUT = {"about", "how_to_read", "defaults"}
_CASE = {"id", "rule", "at", "tz", "why", "series", "expect", "watermark", "now", "settings"}
_LIFECYCLE = {"id", "ticks", "config", "expect", "why"}
_BUSINESS_DAY = {"id", "raised_at", "tz", "opening", "holidays", "expect", "why"}
_LATE = {"id", "rule", "series", "runs", "why", "expect", "tz", "settings"}
_OF_VERDICT = ("subject", "raw", "guarded", "state")
_NOTHING: Mapping[str, Any] = {  # what is true of a subject without an event, and needs no verdict
    "subject": None, "raw": False, "guarded": False, "n": 0, "failures": 0, "before_n": 0, "before_failures": 0,
}  # fmt: skip
_INSTANTS = ("began_at", "since", "watermark")


@dataclass(frozen=True)
class CaseResult:
    """One case. differs: what is other than expected, in words; nothing when it passed."""

    id: str
    section: str
    why: str
    differs: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.differs


def run_cases(cases: Path | str | Mapping[str, Any], settings: AlertSettings | None = None) -> list[CaseResult]:
    """Every case of a file, or of what such a file holds, in its order; `settings`: the default ones where None.

    SettingsError when the file cannot be read, or names a rule, section or field that there is not.
    """
    name = "the cases" if isinstance(cases, Mapping) else str(cases)
    given = cases if isinstance(cases, Mapping) else _loaded(Path(cases))
    if not isinstance(given, Mapping):
        raise SettingsError(f"{name} holds no cases; write an object with the lists {', '.join(SECTIONS)}.")
    checked(given, {*SECTIONS, *_ABOUT}, name)
    for section in SECTIONS:
        if not isinstance(given.get(section, []), list):
            raise SettingsError(f"{name}: {section} is no list; write its cases in brackets.")
    if not any(given.get(section) for section in SECTIONS):
        raise SettingsError(f"{name} holds no cases; write some into {', '.join(SECTIONS)}.")
    runner = _Runner(settings or AlertSettings())
    try:
        return list(runner.all(given, name))
    finally:
        runner.events.close()


def _loaded(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"The cases {path} cannot be read: {error.strerror}; name a file that is there.") from error
    except ValueError as error:
        raise SettingsError(f"The cases {path} are not JSON ({error}); mend the file.") from error


class _Runner:
    """Runs cases one after the other; the tables that read their events are made once."""

    def __init__(self, settings: AlertSettings) -> None:
        self.settings = settings
        self.events = CaseEvents()

    def all(self, given: Mapping[str, Any], name: str) -> Iterator[CaseResult]:
        run: Mapping[str, Callable[[Mapping[str, Any]], tuple[str, ...]]] = {
            "cases": self._rule, "lifecycle": self._lifecycle, "business_day": self._business_day, "late": self._late,
        }  # fmt: skip
        known = {"cases": _CASE, "lifecycle": _LIFECYCLE, "business_day": _BUSINESS_DAY, "late": _LATE}
        for section in SECTIONS:
            for number, case in enumerate(given.get(section, ()), start=1):
                place = f"{name}, {section} {case['id'] if isinstance(case, Mapping) and 'id' in case else number}"
                checked(case, known[section], place)
                try:
                    differs = run[section](case)
                except KeyError as error:
                    raise SettingsError(f"{place} lacks {error}; add it.") from error
                except (ValueError, TypeError, AttributeError, OverflowError) as error:
                    raise SettingsError(f"{place} cannot be read: {error}.") from error
                yield CaseResult(str(case.get("id", number)), section, str(case.get("why", "")), differs)

    # -- rules --------------------------------------------------------------------------------------------------------

    def _rule(self, case: Mapping[str, Any]) -> tuple[str, ...]:
        settings, rule = self._settings_of(case), _rule_of(case, {*EVALUATED, data_stale.RULE})
        expect = case["expect"]
        if rule == data_stale.RULE:
            mark = case.get("watermark")
            verdicts = [stale_verdict(instant(mark) if mark else None, instant(case["now"]), settings)]
            return tuple(_differences(expect, _state(rule, verdicts, is_quiet=True), verdicts))
        zone = zone_named(case.get("tz", "UTC"))
        log = LoadedLog(self.events.read(case["series"], zone))
        at = _at(rule, case["at"], zone)
        verdicts = findings_at(rule, log, [at], settings, zone)
        return tuple(_differences(expect, _state(rule, verdicts, is_quiet=_is_quiet(log, settings, at)), verdicts))

    def _settings_of(self, case: Mapping[str, Any]) -> AlertSettings:
        if "settings" not in case:
            return self.settings
        try:
            return AlertSettings.model_validate(_laid_over(self.settings.model_dump(by_alias=True), case["settings"]))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise SettingsError(f"The case {case.get('id', '')} sets {where}: {first['msg']}; correct it.") from error

    # -- what follows of verdicts -------------------------------------------------------------------------------------

    def _lifecycle(self, case: Mapping[str, Any]) -> tuple[str, ...]:
        checked(case.get("config", {}), {"for_min", "keep_min", "repeat_min", "silences"}, "config")
        checked(case["expect"], {"notifications", "final_state"}, "expect")
        if sum(int(count) for count in re.findall(r"\d+", case["ticks"])) > MOST_EVENTS:
            raise ValueError(f"more than {MOST_EVENTS:,} ticks")
        notifications, state = run_lifecycle(case["ticks"], case.get("config", {}))
        expect = case["expect"]
        found = {"notifications": notifications, "final_state": state}
        return tuple(_other(name, expect[name], found[name]) for name in expect if expect[name] != found[name])

    def _business_day(self, case: Mapping[str, Any]) -> tuple[str, ...]:
        holidays = [date.fromisoformat(day) for day in case.get("holidays", ())]
        opening = clock_time(case.get("opening", self.settings.business_hours.opening))
        found = next_opening(instant(case["raised_at"]), zone_named(case["tz"]), opening, holidays=holidays)
        wanted = instant(case["expect"])
        return () if found == wanted else (_other("the opening", wanted.isoformat(), found.isoformat()),)

    def _late(self, case: Mapping[str, Any]) -> tuple[str, ...]:
        zone = zone_named(case.get("tz", "UTC"))
        settings, rule = self._settings_of(case), _rule_of(case, set(EVALUATED))
        evaluator = Evaluator(settings, zone=zone, only=[rule])
        before: datetime | None = None
        found: list[dict[str, Any]] = []
        for now in (instant(run) for run in case["runs"]):
            log = LoadedLog(self.events.read(case["series"], zone, seen_at=now))
            horizon = evaluator.newest_tick(now) - timedelta(hours=settings.catch_up)
            came = self.events.earliest_arrival(case["series"], before, now, horizon) if before else None
            outcome = evaluator.run(log, now=now, watermark=now, late_from=came)
            found += [
                {"started_at": episode.started_at, "detected_at": episode.detected_at, "late": episode.is_late}
                for episode in outcome.started
            ]
            before = now
        wanted = [
            {name: value if name == "late" else instant(value) for name, value in alert.items()}
            for alert in case["expect"]["alerts"]
        ]
        shown = [{name: alert[name] for name in want} for alert, want in zip(found, wanted, strict=False)]
        is_same = len(found) == len(wanted) and shown == wanted
        return () if is_same else (_other("the alerts", wanted, found),)


def _rule_of(case: Mapping[str, Any], known: set[str]) -> str:
    rule = case["rule"]
    if rule not in known:
        raise SettingsError(
            f'The case {case.get("id", "")} names the rule "{rule}"; use one of {", ".join(sorted(known))}.'
        )
    return str(rule)


def _at(rule: str, text: str, zone: ZoneInfo) -> datetime:
    """The evaluation time: an instant, for arch_gap the end of a local day."""
    if rule == arch_gap.RULE and len(text) == len("2026-03-10"):
        return start_of_day(parse_day(text) + ONE_DAY, zone)
    return instant(text)


def _is_quiet(log: LoadedLog, settings: AlertSettings, at: datetime) -> bool:
    """Whether there is no event at all in which a new commit could have been seen."""
    hours = timedelta(hours=settings.rules.commit_regression.hours_after)
    windows = (
        log.of(environment).events.window(microseconds(at - hours), microseconds(at))
        for environment in settings.environments
    )
    return all(window.start == window.stop for window in windows)


def _state(rule: str, verdicts: list[Verdict], *, is_quiet: bool) -> str:
    """The state of a rule at one evaluation, from those of its subjects."""
    if len(verdicts) == 1 and verdicts[0].subject == ALL:
        return verdicts[0].state
    if not verdicts and rule == commit_regression.RULE and not is_quiet:
        return "ok"
    return "no_data" if all(verdict.state == "no_data" for verdict in verdicts) else "ok"


def _differences(expect: Mapping[str, Any], state: str, verdicts: list[Verdict]) -> Iterator[str]:
    checked(expect, {"state", "results"}, "expect")
    if state != expect["state"]:
        yield _other("the state", expect["state"], state)
    found = {verdict.subject: verdict for verdict in verdicts}
    wanted = {result["subject"]: result for result in expect.get("results", ())}
    for subject, result in wanted.items():
        if subject in found:
            yield from _of_subject(found[subject], result)
        elif any(result.get(key, value) != value for key, value in _NOTHING.items() if key != "subject") or set(
            result
        ) - set(_NOTHING):
            yield f"{subject}: there is no verdict, as there is no event"
    for subject, verdict in found.items():
        if subject not in wanted and verdict.raw:
            yield f"{subject}: raw is true, and it is not among the expected results"


def _of_subject(verdict: Verdict, result: Mapping[str, Any]) -> Iterator[str]:
    for name, value in result.items():
        found = getattr(verdict, name) if name in _OF_VERDICT else verdict.inputs.get(name)
        if isinstance(found, str) and name in _INSTANTS:
            value, found = instant(value), instant(found)
        is_near = isinstance(found, float) and isinstance(value, int | float) and abs(found - value) <= 1e-6
        if found != value and not is_near:
            yield f"{verdict.subject}: {_other(name, value, found)}"


def _other(what: str, wanted: Any, found: Any) -> str:
    return f"{what} is {_shown(found)}, expected {_shown(wanted)}"


def _shown(value: Any) -> str:
    return json.dumps(value, default=lambda other: other.astimezone(UTC).isoformat())


def _laid_over(settings: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with those given in place of theirs, at any depth."""
    for name, value in given.items():
        inner = settings.get(name)
        settings[name] = _laid_over(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return settings
