"""What `alerts why` says of a verdict: each condition with what was found and wanted, and whether it is met."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.case_events import CaseEvents, instant
from matokit_pipelines.alerts.cases import _at
from matokit_pipelines.alerts.evaluation import findings_at, stale_verdict
from matokit_pipelines.alerts.event_log import LoadedLog
from matokit_pipelines.alerts.verdicts import ALL, Verdict
from matokit_pipelines.alerts.why_words import odds, outcome, parts, percent
from matokit_pipelines.windows import zone_named

ZONE = ZoneInfo("Europe/Copenhagen")
AT = datetime(2026, 11, 20, 2, tzinfo=UTC)
FILES = [Path(__file__).parents[1] / "fixtures" / name for name in ("alert-cases.json", "alert-cases-extra.json")]
CASES = [case for file in FILES for case in json.loads(file.read_text(encoding="utf-8"))["cases"]]


@lru_cache
def events() -> CaseEvents:
    return CaseEvents()


def verdicts_of(case: dict[str, Any]) -> list[Verdict]:
    """What the rule of a golden case says of each subject."""
    if case["rule"] == "data_stale":
        mark = case.get("watermark")
        return [stale_verdict(instant(mark) if mark else None, instant(case["now"]), AlertSettings())]
    zone = zone_named(case.get("tz", "UTC"))
    log = LoadedLog(events().read(case["series"], zone))
    return findings_at(case["rule"], log, [_at(case["rule"], case["at"], zone)], AlertSettings(), zone)


@pytest.mark.parametrize("case", [case for case in CASES if "settings" not in case], ids=lambda case: case["id"])
def test_the_conditions_that_are_told_are_those_that_decided(case: dict[str, Any]) -> None:
    for verdict in verdicts_of(case):
        told = parts(verdict, AlertSettings(), ZONE)
        trigger = [part.met for part in told if part.of == "trigger" and part.met is not None]
        guard = [part for part in told if part.of == "guard"]
        assert all(part.sentence.endswith(".") and "None" not in part.sentence for part in told)
        assert outcome(verdict, ZONE).startswith(verdict.rule)
        if verdict.state != "ok":
            assert trigger == []
            continue
        assert all(trigger) == verdict.raw, told
        assert bool(guard) == verdict.raw or verdict.rule == "data_stale"
        if verdict.raw and not verdict.guarded:
            assert any(part.met is False for part in guard), told
            assert ", because " in guard[-1].sentence
        if verdict.raw and verdict.guarded:
            last = ("So the guard is met", "The guard is switched off", "The rule has no guard")
            assert guard == [] or guard[-1].sentence.startswith(last)


def told_of(rule: str, subject: str = ALL, **inputs: Any) -> list[str]:
    """The marked sentences of a verdict whose trigger holds."""
    verdict = Verdict(rule, subject, "production", AT, "ok", raw=True, guarded=False, inputs=inputs)
    marks = {True: "+", False: "-", None: " "}
    return [f"{marks[part.met]} {part.sentence}" for part in parts(verdict, AlertSettings(), ZONE)]


def test_a_share_at_the_threshold_is_told_apart_from_it() -> None:
    told = told_of("overall_success_rate", n=12_001, failures=3_000, guard="not_met", why_not="chance")
    assert told[2] == "- 75.002 % succeeded; less than 75 % is wanted."
    assert percent(9, 12, 75.0) == "75.0 %"


def test_the_guard_is_told_part_by_part() -> None:
    told = told_of(
        "high_volume_failures", n=60, failures=21, machines_failing=2, units=40, unit_failures=12, baseline_units=400,
        baseline_failures=12, expected_share=0.031, chance=0.0004, guard="not_met", why_not="machines",
    )  # fmt: skip
    assert told == [
        "  21 of 60 events failed (35 %) in the last hour.",
        "+ 21 failures; more than 20 are wanted.",
        "- 2 machines failed; at least 3 are wanted.",
        "  12 of 40 first tries failed (30.0 %); further tries are not counted.",
        "+ 12 of 400 first tries before failed (3.0 %); at least 10 are needed to compare.",
        "  So 3.1 % were to be expected of the components that ran.",
        "+ So many by chance, had nothing changed: once in 2,500; rarer than once in 1,000 is wanted.",
        "  So the guard is not met, because too few machines failed: no alert starts; one that fires goes on.",
    ]


@pytest.mark.parametrize("name", ["a\x1b[2Jb\r\nc", "\u202egnp.exe", "x" * 10_000, " ", "<!channel>"])
def test_a_hostile_name_is_one_line_of_plain_text(name: str) -> None:
    said = outcome(Verdict("new_failure_pattern", name, "production", AT, "ok", raw=True, guarded=True), ZONE)
    assert said.startswith("new_failure_pattern of ")
    assert len(said) < 200
    assert said.isprintable()


def test_shared_keys_and_a_guard_that_is_off_are_told() -> None:
    told = told_of("overall_success_rate", n=20, failures=9, guard="off", shared_key=True, units=10, unit_failures=4)
    assert told[3] == "  The guard is switched off, so the trigger alone starts an alert."
    assert told[4].startswith("  One machine key holds more than 30 %")
    assert told[5] == "  4 of 10 events failed (40.0 %), counted by half."


def test_a_guard_that_was_not_asked_is_never_said_to_be_met() -> None:
    def said(rule: str, guard: str) -> str:
        return outcome(
            Verdict(rule, ALL, "production", AT, "ok", raw=True, guarded=True, inputs={"guard": guard}), ZONE
        )

    assert said("data_stale", "off").endswith(": the trigger was met.")
    assert said("overall_success_rate", "off").endswith(": the trigger was met, the guard is switched off.")
    assert said("overall_success_rate", "met").endswith(": trigger and guard were met.")
    told = told_of("data_stale", age_hours=8.3, watermark="2026-03-11T00:00:00+00:00", guard="off")
    assert told[-1] == "  The rule has no guard: the trigger alone starts an alert."
    assert not any("switched off" in sentence for sentence in told)


def test_the_extra_rules_are_told_in_local_time() -> None:
    told = told_of(
        "slow_regression", "latex_install", n=40, failures=14, evidence=8.25, threshold=6.5, baseline_units=300,
        baseline_failures=12, expected_share=0.04, began_at="2026-11-17T09:05:00+00:00", machines_failing=12,
        guard="met",
    )  # fmt: skip
    assert told == [
        "  14 of 40 first tries failed since Tue 17 Nov 2026 10:05 CET, when the evidence left 0 and the change seems "
        "to have begun.",
        "  Usual are 4.0 %: 12 of 300 first tries in 28 days that ended two days before.",
        "+ The evidence is 8.25. It has to rise above 6.50, and holds until it is 0.",
        "+ 12 machines failed; at least 3 are wanted.",
        "  So the guard is met: an alert may start.",
    ]
    told = told_of(
        "no_events", n=0, failures=0, since="2026-11-19T20:00:00+00:00", hours=6.0, expected=40.0, weeks=4,
        chance=4e-18, expected_machines=2.5, chance_by_machines=0.08, guard="not_met", why_not="chance",
    )  # fmt: skip
    assert told[0] == "+ No event for 6 h, since Thu 19 Nov 2026 21:00 CET."
    assert told[2].startswith("+ No event by chance: less than once in a billion")
    assert told[3].startswith("- 2.5 machines were to be expected; none of them by chance: once in 12")
    assert told_of("data_stale", age_hours=7.5, guard="off")[0] == (
        "+ Data were complete to 7.5 hours before; more than 6 hours is wanted."
    )


@given(st.floats(min_value=0, max_value=1))
def test_odds_are_words(chance: float) -> None:
    assert odds(chance)


@given(st.integers(1, 10**6), st.data())
def test_a_share_never_reads_on_the_wrong_side_of_its_threshold(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    shown = float(percent(successes, n, 75.0).removesuffix(" %"))
    assert (shown < 75, shown > 75) == (100 * successes < 75 * n, 100 * successes > 75 * n)
