"""Golden cases of the alert rules, run through the evaluator, and what a faulty case file is told."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines.alerts.cases import SECTIONS, CaseResult, run_cases
from matokit_pipelines.errors import SettingsError

FIXTURES = Path(__file__).parents[1] / "fixtures"
GOLDEN, EXTRA = FIXTURES / "alert-cases.json", FIXTURES / "alert-cases-extra.json"
RULES = (
    "overall_success_rate", "new_failure_pattern", "high_volume_failures", "arch_gap", "commit_regression",
    "component_failure_rate", "new_component_failure", "success_drop_7d",
)  # fmt: skip
ONE: dict[str, Any] = {
    "id": "one",
    "rule": "overall_success_rate",
    "at": "2026-03-11T12:00:00Z",
    "tz": "UTC",
    "why": "eleven failures on a first day",
    "series": [{"start": "2026-03-11T10:00:00Z", "n": 11, "value": 0, "machine": "f{i}"}],
    "expect": {"state": "ok", "results": [{"subject": "*", "raw": True, "guarded": True, "n": 11}]},
}


def in_words(results: list[CaseResult]) -> list[str]:
    return [f"{result.section} {result.id}: {'; '.join(result.differs)}" for result in results if not result.passed]


def test_the_golden_file_is_whole() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    counted = {section: len(golden[section]) for section in ("cases", "lifecycle", "business_day", "late")}
    assert counted == {"cases": 53, "lifecycle": 12, "business_day": 6, "late": 3}
    assert {case["rule"] for case in golden["cases"]} == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_golden_cases_of_a_rule_pass(rule: str) -> None:
    cases = [case for case in json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"] if case["rule"] == rule]
    results = run_cases({"cases": cases})
    assert in_words(results) == []
    assert len(results) == len(cases) > 0


@pytest.mark.parametrize("section", ["lifecycle", "business_day", "late"])
def test_golden_cases_of_the_other_sections_pass(section: str) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    results = run_cases({name: cases if name == section else [] for name, cases in golden.items() if name in SECTIONS})
    assert in_words(results) == []
    assert Counter(result.section for result in results) == {section: len(golden[section])}


def test_cases_of_our_own_pass() -> None:
    results = run_cases(EXTRA)
    assert in_words(results) == []
    rules = Counter(case["rule"] for case in json.loads(EXTRA.read_text(encoding="utf-8"))["cases"])
    assert min(rules[rule] for rule in ("slow_regression", "no_events", "data_stale")) >= 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"state": "no_data", "results": []}, 'the state is "ok", expected "no_data"'),
        ({"state": "ok", "results": []}, "*: raw is true, and it is not among the expected results"),
        ({"state": "ok", "results": [{"subject": "x", "raw": True}]}, "x: there is no verdict, as there is no event"),
        ({"state": "ok", "results": [{"subject": "*", "guarded": False}]}, "*: guarded is true, expected false"),
        ({"state": "ok", "results": [{"subject": "*", "n": 12}]}, "*: n is 11, expected 12"),
    ],
)
def test_a_case_that_differs_says_how(change: dict[str, Any], said: str) -> None:
    [result] = run_cases({"cases": [{**ONE, "expect": change}]})
    assert said in result.differs


def test_settings_of_a_case_are_laid_over_the_defaults() -> None:
    settings = {"rules": {"overall_success_rate": {"min_events": 11}}}
    expect = {"state": "ok", "results": [{"subject": "*", "raw": False, "n": 11}]}
    assert [result.differs for result in run_cases({"cases": [{**ONE, "settings": settings, "expect": expect}]})] == [
        ()
    ]


@pytest.mark.parametrize(
    "section",
    [
        {"lifecycle": [{"id": "l", "ticks": "T1 F14", "config": {}, "expect": {"notifications": []}}]},
        {
            "business_day": [
                {"id": "b", "raised_at": "2026-03-10T13:00:00Z", "tz": "UTC", "expect": "2026-03-10T14:00:00Z"}
            ]
        },
        {
            "late": [
                {
                    "id": "l",
                    "rule": "overall_success_rate",
                    "series": ONE["series"],
                    "runs": ["2026-03-11T12:00:00Z"],
                    "expect": {"alerts": []},
                }
            ]
        },
    ],
)
def test_other_sections_tell_what_differs(section: dict[str, Any]) -> None:
    [result] = run_cases(section)
    assert result.section == next(iter(section))
    assert len(result.differs) == 1


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({**ONE, "rule": "no_such_rule"}, 'The case one names the rule "no_such_rule"'),
        ({**ONE, "when": "now"}, "cases one has no field when"),
        ({**ONE, "series": [{"start": "2026-03-11T10:00:00Z", "n": 1, "nmae": "x"}]}, "a series has no field nmae"),
        ({**ONE, "at": "yesterday"}, "cases one cannot be read"),
        ({**ONE, "tz": "Mars/Olympus"}, '"Mars/Olympus" is not a time zone'),
        ({name: value for name, value in ONE.items() if name != "expect"}, "cases one lacks 'expect'"),
        ({**ONE, "expect": {"state": "ok", "result": []}}, "expect has no field result"),
        ({**ONE, "settings": {"rules": {"arch_gap": {"gap": 1}}}}, "The case one sets rules.arch_gap.gap"),
        ("osr-01", "is no object"),
    ],
)
def test_a_faulty_case_is_a_sentence(case: Any, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        run_cases({"cases": [case]})
    assert said in str(raised.value)


def test_a_file_that_is_missing_or_broken_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing\.json cannot be read"):
        run_cases(tmp_path / "missing.json")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    with pytest.raises(SettingsError, match="are not JSON"):
        run_cases(tmp_path / "broken.json")
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    with pytest.raises(SettingsError, match="holds no cases"):
        run_cases(str(tmp_path / "list.json"))
    with pytest.raises(SettingsError, match="has no field rules"):
        run_cases({"rules": []})


def test_a_case_without_events_has_no_data() -> None:
    at = "2026-03-11T12:00:00Z"
    expect = {"state": "no_data", "results": [{"subject": "packages", "raw": False, "guarded": False, "n": 0}]}
    given = {
        "cases": [{"id": "none", "rule": "new_failure_pattern", "at": at, "series": [], "expect": expect}],
        "late": [
            {"id": "none", "rule": "overall_success_rate", "series": [], "runs": [at], "expect": {"alerts": []}}
        ],
    }  # fmt: skip
    assert [result.differs for result in run_cases(given)] == [(), ()]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"cases": None},
        {"lifecycle": [{"ticks": 5, "expect": {}}]},
        {"lifecycle": [{"ticks": "T99999999999", "expect": {}}]},
        {"cases": [{"id": "a", "rule": "arch_gap", "at": "2026-13-11", "series": [], "expect": {"state": "ok"}}]},
        {"cases": [{"id": "a", "rule": "arch_gap", "at": "2026-03-11", "series": [], "expect": [], "settings": 5}]},
        {
            "cases": [
                {
                    "id": "a",
                    "rule": "arch_gap",
                    "at": "2026-03-11",
                    "expect": {"state": "ok"},
                    "series": [{"start": "9999-12-31T00:00:00Z", "n": 99_999}],
                }
            ]
        },
        {
            "cases": [
                {
                    "id": "a",
                    "rule": "arch_gap",
                    "at": "2026-03-11",
                    "expect": {"state": "ok"},
                    "series": [{"start": "2026-03-10T00:00:00Z", "n": 9, "machine_mod": 0}],
                }
            ]
        },
    ],
)
def test_cases_that_mean_nothing_are_refused_in_a_sentence(given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        run_cases(given)
