"""The runbook keeps step with the code: a heading for each rule, settings and commands that exist, links that lead."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from matokit_pipelines.alert_settings import AllRules
from matokit_pipelines.alerts.content.links import RUNBOOK
from matokit_pipelines.cli.main import app
from matokit_pipelines.toolserver.pages.runbook import rendered
from tests.alert_scenes import links

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / RUNBOOK).read_text(encoding="utf-8")
RULES = tuple(AllRules.model_fields)


def section_of(heading: str) -> str:
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"no heading {heading}"
    return found[1]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_its_heading_and_leads_there(rule: str) -> None:
    text = section_of(rule)
    for part in ("**It means:**", "**First:**", "**Tune:**", "**When it is wrong:**"):
        assert part in text
    assert links().runbook(rule) == f"https://wiki.example.org/runbook#{rule}"
    assert links(runbook_url="").runbook(rule) == f"https://matokit.example.org/runbook#{rule}"
    for plain in (links(runbook_url="", public_url=""), links(runbook_url="", is_toolserver=False)):
        assert plain.runbook(rule) == f"docs/runbook.md#{rule}"


@pytest.mark.parametrize("rule", RULES)
def test_every_setting_named_for_a_rule_exists(rule: str) -> None:
    settings = getattr(AllRules(), rule)
    [tune] = re.findall(r"\*\*Tune:\*\*(.*?)\n\n", section_of(rule), re.DOTALL)
    named = re.findall(r"`([a-z_.]+)`", tune)
    assert named
    for key in named:
        value = settings
        for step in key.split("."):
            assert hasattr(value, step), f"{rule} has no setting {key}"
            value = getattr(value, step)


def test_the_page_of_it_has_every_heading_and_leads_nowhere_else() -> None:
    page = rendered()
    found = set(re.findall(r'<h[1-6] id="([^"]+)"', page))
    assert set(RULES) <= found
    assert len(found) == len(re.findall(r"^#+ ", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL), re.MULTILINE))
    targets = re.findall(r'href="([^"]*)"', page)
    assert targets
    assert {target[1:] for target in targets if target.startswith("#")} <= found
    assert all(target.startswith("#") for target in targets)
    assert "alerts.md" in page  # named, and no link


def test_headings_for_operators() -> None:
    text = section_of("Notices to operators")
    assert len(re.findall(r"^### ", text, re.MULTILINE)) >= 4


def test_every_command_of_the_runbook_exists() -> None:
    root = typer.main.get_command(app)
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL))
    lines = re.findall(r"^matokit .*?(?:\"[^\"]*\"[^\n]*)?$", blocks, re.MULTILINE)
    lines += re.findall(r"`(matokit [^`]+)`", TEXT)
    assert len(lines) > 15
    for line in lines:
        words = shlex.split(line.partition("  #")[0].replace("(", "").replace(")", ""))[1:]
        command = root
        while words and hasattr(command, "commands"):
            assert words[0] in command.commands, line
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_links_within_the_runbook_and_to_other_documents_lead_somewhere() -> None:
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if target.startswith("#"):
            assert target[1:] in headings, target
        else:
            assert (ROOT / "docs" / target.partition("#")[0]).exists(), target
