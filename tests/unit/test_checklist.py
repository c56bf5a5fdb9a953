"""The checklist and the document of reports name commands, options, pages and headings that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from matokit_pipelines.cli.main import app
from matokit_pipelines.reports.dashboards.widgets import load_widgets
from matokit_pipelines.settings import Settings
from tests.page_homes import PAGES

DOCS = Path(__file__).parents[2] / "docs"
NAMES = ("checklist.md", "reports.md")
ITEMS = (
    "Naming", "Conventions", "Timing", "Four dashboards", "Segments", "Weekly report", "Monthly analysis",
    "Notifications", "Critical alerts", "Component alerts", "Thresholds are tested", "Runbook", "Weekly review",
)  # fmt: skip


def texts() -> str:
    return "\n".join((DOCS / name).read_text(encoding="utf-8") for name in NAMES)


def commands() -> list[str]:
    return sorted(set(re.findall(r"`(matokit [a-z][^`]*)`", texts())))


def test_every_item_of_the_list_is_there() -> None:
    bold = re.findall(r"\*\*([^*]+)\*\*", (DOCS / "checklist.md").read_text(encoding="utf-8"))
    assert [item for item in ITEMS if not any(found.startswith(item) for found in bold)] == []


@pytest.mark.parametrize("said", commands())
def test_a_command_with_its_options_is_one_of_ours(said: str) -> None:
    words = shlex.split(said)[1:]
    found: Any = typer.main.get_command(app)
    while hasattr(found, "commands"):
        assert words[0] in found.commands, said
        found = found.commands[words.pop(0)]
    known = {option for parameter in found.params for option in parameter.opts} | {"--help"}
    assert {word for word in words if word.startswith("--")} <= known, said


def test_pages_and_widgets_that_are_named_exist() -> None:
    text = texts()
    widgets = load_widgets()
    for page, widget in re.findall(r"dashboards/([a-z_]+)\.html[^`\s)]*?#([a-z_]+)", text):
        assert widgets[widget].dashboard == page
    for page in re.findall(r"dashboards/([a-z_]+)\.html", text):
        assert page in PAGES
    for picture in re.findall(r"images/([a-z_-]+)\.png", text):
        assert picture in (*PAGES, "weekly-mail")


def test_every_heading_that_is_linked_exists() -> None:
    for name in NAMES:
        for target, anchor in re.findall(
            r"\]\(([a-z-]*(?:\.md)?)#([^)]+)\)", (DOCS / name).read_text(encoding="utf-8")
        ):
            headings = re.findall(r"^#+ (.+)$", (DOCS / (target or name)).read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{name}: {target}#{anchor}"


def test_settings_that_are_named_exist() -> None:
    for path in re.findall(r"`((?:reports|links|alerts)\.[a-z_.]+)`", texts()):
        found: object = Settings()
        for step in path.split("."):
            assert hasattr(found, step), path
            found = getattr(found, step)
