"""Where a message leads to: each rule to a widget that exists, with the filters of its controls."""

from __future__ import annotations

from pathlib import Path

import pytest

from matokit_pipelines.alerts.content.links import WIDGETS, Links
from matokit_pipelines.reports.dashboards.widgets import load_widgets
from matokit_pipelines.settings import load
from tests.alert_scenes import episode


def links(folder: Path, public_url: str = "https://matokit.example.org/pages/") -> Links:
    return Links.of(load(environ={"MATOKIT_LINKS_PUBLIC_URL": public_url}, cwd=folder))


@pytest.mark.parametrize("rule", WIDGETS)
def test_each_rule_leads_to_a_widget_of_a_page_that_was_made(rule: str, tmp_path: Path) -> None:
    page, widget = WIDGETS[rule]
    assert load_widgets()[widget].dashboard == page
    assert links(tmp_path).dashboard(rule) == "https://matokit.example.org/pages"
    folder = load(environ={}, cwd=tmp_path).home / "dashboards"
    folder.mkdir(parents=True)
    (folder / f"{page}.html").write_text("", encoding="utf-8")
    address = f"https://matokit.example.org/pages/dashboards/{page}.html?environment=production&days=7#{widget}"
    assert links(tmp_path).dashboard(rule) == address


def test_every_rule_has_a_widget() -> None:
    assert set(WIDGETS) == {name for name, _ in load(environ={}, cwd=Path("/")).settings.alerts.rules.named()}


def test_filters_are_written_so_that_a_browser_reads_them_back(tmp_path: Path) -> None:
    address = links(tmp_path).widget("system_compatibility", "os_versions", os="macOS 14.2 & <more>", days=90)
    assert address.endswith("system_compatibility.html?os=macOS%2014.2%20%26%20%3Cmore%3E&days=90#os_versions")
    assert links(tmp_path, "").widget("system_compatibility", "os_versions") == ""


def test_an_alert_has_a_page_where_the_tool_server_answers(tmp_path: Path) -> None:
    one = episode("new_failure_pattern")
    assert links(tmp_path).alert(one) == f"https://matokit.example.org/pages/alerts/{one.id}"
    assert links(tmp_path).alerts_list() == "https://matokit.example.org/pages/alerts/"
    plain = {"MATOKIT_LINKS_PUBLIC_URL": "https://www.example.org", "MATOKIT_LINKS_TOOLSERVER": "false"}
    nowhere = (links(tmp_path, ""), Links.of(load(environ=plain, cwd=tmp_path)))
    assert {(found.alert(one), found.alerts_list()) for found in nowhere} == {("", "")}


def test_a_report_has_an_address_where_there_is_one(tmp_path: Path) -> None:
    assert links(tmp_path).report("weekly", "2026-W46") == (
        "https://matokit.example.org/pages/reports/weekly/2026-W46.html"
    )
    assert links(tmp_path, "").report("weekly", "2026-W46") == ""
