"""docs/alerts.md keeps step with the code: every rule, every setting with its default, the example."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from matokit_pipelines import settings
from matokit_pipelines.alert_settings import AlertSettings, AllRules, RuleSettings
from matokit_pipelines.cli import alerts_document, main

TEXT = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
RULES = [name for name, _ in AllRules().named()]


def test_every_table_of_settings_is_the_one_of_the_code() -> None:
    """Write them anew with: python -m matokit_pipelines.cli.alerts_document docs/alerts.md."""
    assert alerts_document.places(TEXT) == alerts_document.tables()
    assert alerts_document.renewed(TEXT, alerts_document.tables()) == TEXT


def test_no_setting_of_alerts_and_delivery_is_left_out() -> None:
    rows = set(re.findall(r"^\| `([a-z_]+)` \| (\S.*?) \| \S.*\|$", TEXT, re.MULTILINE))
    known = {key for key, _ in rows}
    for section in (AlertSettings(), *(section() for name, section in settings.SECTIONS.items() if name in DELIVERY)):
        assert {field.alias or key for key, field in type(section).model_fields.items()} <= known
    for name, rule in AllRules().named():
        own = {key: getattr(rule, key) for key in type(rule).model_fields if key not in RuleSettings.model_fields}
        table = section_of(name)
        for key, value in own.items():
            assert f"| `{key}` | `{value}` |" in table, (name, key)


DELIVERY = ("recipients", "slack", "smtp", "links")


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_section_with_trigger_and_delivery(rule: str) -> None:
    text = section_of(rule)
    assert "**Trigger:**" in text
    assert "**Told:**" in text
    [defaults] = re.findall(rf"^\| \[`{rule}`\].*$", TEXT, re.MULTILINE)
    group = getattr(AllRules(), rule).destinations[0]
    assert f"to `{group}`" in text
    assert f" {group} |" in defaults


def test_numbers_of_the_triggers_are_the_defaults() -> None:
    r = AllRules()
    osr, pattern = r.overall_success_rate, r.new_failure_pattern
    said = {
        "overall_success_rate": (
            f"last {osr.window_hours} hours more than {osr.min_events} events, and less than {osr.below_percent:g} %"
        ),
        "new_failure_pattern": (
            f"in the last {pattern.window_hours} hours at least one event and less than {pattern.below_percent:g} % "
            f"succeeded; in the {pattern.before_hours} hours directly before at least one event and more than "
            f"{pattern.before_above_percent:g} %"
        ),
        "high_volume_failures": f"more than {r.high_volume_failures.failures_above} failures in the last hour",
        "arch_gap": f"more than {r.arch_gap.gap_points:g} points above",
        "commit_regression": f"in the {r.commit_regression.hours_after} hours after",
        "component_failure_rate": f"more than {r.component_failure_rate.above_percent:g} % of",
        "new_component_failure": f"none in the {r.new_component_failure.quiet_days} days before",
        "success_drop_7d": f"more than {r.success_drop_7d.drop_points:g} points below",
        "slow_regression": f"{r.slow_regression.worse_by_points:g} points",
        "no_events": f"the last {('one', 'two', 'three', 'four')[r.no_events.weeks - 1]} weeks",
        "data_stale": f"more than {r.data_stale.after_hours:g} hours ago",
    }
    assert set(said) == set(RULES)
    for rule, words in said.items():
        assert words in section_of(rule)


def test_the_example_is_a_settings_file_that_is_taken(tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    tomllib.loads(example)
    (tmp_path / "matokit.toml").write_text(example, encoding="utf-8")
    loaded = settings.load(environ={}, cwd=tmp_path).settings
    assert loaded.recipients.of(("on_call",)) == ("slack:#installer-alerts", "email:oncall@example.org")
    assert not loaded.alerts.rules.arch_gap.enabled
    given = {"MATOKIT_ALERTS_DAILY_AT": "06:30", "MATOKIT_ALERTS_RULES": "{ arch_gap = { gap_points = 20 } }"}
    for variable, value in given.items():
        assert f"{variable}={value}" in TEXT.replace("'", "")
    changed = settings.load(environ=given, cwd=tmp_path.parent).settings.alerts
    assert (changed.daily_at, changed.rules.arch_gap.gap_points) == ("06:30", 20)


def test_every_command_and_every_option_that_is_named_is_there() -> None:
    commands = re.findall(r"matokit ((?:alerts|outbox) [a-z]+|send-test|doctor)([^`\n#]*)", TEXT)
    named = {words for words, _ in commands}
    root = typer.main.get_command(main.app)
    for words, rest in commands:
        found: Any = root
        for word in words.split():
            found = found.commands[word]
        known = {option for parameter in found.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z]+", rest)) <= known, (words, rest)
    groups = {group: root.commands[group].commands for group in ("alerts", "outbox")}  # type: ignore[attr-defined]
    assert {f"{group} {name}" for group, own in groups.items() for name in own} <= named


def section_of(rule: str) -> str:
    """What stands under the heading of a rule, on one line."""
    return " ".join(TEXT.split(f"\n### {rule}\n")[1].split("\n### ")[0].split("\n## ")[0].split())
