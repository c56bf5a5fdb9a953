"""The files of the four dashboards: same numbers everywhere, names as text, bounded, whole with anything or nothing."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.reports.dashboards import specs
from matokit_pipelines.reports.dashboards.bounds import MOST, bounded
from matokit_pipelines.reports.dashboards.pages import write_dashboards
from matokit_pipelines.reports.dashboards.tables import TABLES
from matokit_pipelines.reports.dashboards.widgets import load_widgets
from matokit_pipelines.reports.dashboards.words import SENTENCES, finding
from matokit_pipelines.reports.formats import in_words, plain
from matokit_pipelines.warehouse.snapshots import open_current
from tests.dashboard_marts import landed
from tests.page_homes import HOSTILE, NOW, home_of, hostile, one_event, usual

pytestmark = pytest.mark.slow

ZONE = ZoneInfo("Europe/Copenhagen")
WIDGETS = load_widgets()
BOARDS = tuple(dict.fromkeys(widget.dashboard for widget in WIDGETS.values()))
MEGABYTE = 1_000_000
Pages = Callable[[str], Mapping[str, Path]]
_MARKED = re.compile(r'<(bdi|data|time|span)([^>]*? data-path="([^"]+)" data-form="([^"]+)"[^>]*)>(.*?)</\1>', re.S)
_PICTURE = re.compile(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)")


def write(folder: Path, rows: pl.DataFrame | None) -> dict[str, Path]:
    """The four pages of these landed events."""
    home_of(folder, rows)
    return written(folder, folder / "dashboards")


def written(home: Path, folder: Path) -> dict[str, Path]:
    """The four pages of a home's snapshot."""
    links = replace(Links.without_settings(), repository_url="https://git.example.org/scripts")
    with open_current(home) as snapshot:
        return {page.stem: page for page in write_dashboards(snapshot, NOW, folder, links)}


SCENES: Mapping[str, Callable[[], pl.DataFrame | None]] = {
    "usual": lambda: usual(45, 50),
    "hostile": hostile,
    "one event": one_event,
    "nothing": lambda: None,
    "only failures": lambda: landed([{"event_ts": NOW - timedelta(days=n), "value": 0.0} for n in range(1, 13)]),
}


@pytest.fixture(scope="module")
def pages_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Path]]:
    """The pages of a scene by name, made once."""
    return cache(lambda scene: write(tmp_path_factory.mktemp("home"), SCENES[scene]()))


def document_of(page: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    return found


def at_path(document: Any, path: str) -> Any:
    for step in path.split("."):
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document


def words_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


def without_scripts(html: str) -> str:
    return re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.S)


@pytest.mark.parametrize("scene", SCENES)
def test_every_number_of_a_page_is_in_its_json(pages_of: Pages, scene: str) -> None:
    for page in pages_of(scene).values():
        document = document_of(page)
        marked = _MARKED.findall(without_scripts(page.read_text(encoding="utf-8")))
        assert len(marked) > 10
        for _, _, path, form, shown in marked:
            assert words_of(shown) == in_words(at_path(document, unescape(path)), form, ZONE), path


@pytest.mark.parametrize("scene", SCENES)
def test_a_page_has_all_its_widgets_is_small_and_asks_for_nothing(pages_of: Pages, scene: str) -> None:
    for board, page in pages_of(scene).items():
        html = page.read_text(encoding="utf-8")
        for widget in WIDGETS.values():
            assert (f'id="{widget.name}"' in html) == (widget.dashboard == board)
        body = without_scripts(html)
        assert not re.search(r"\b(None|NaN|nan|undefined|Infinity)\b", words_of(body))
        assert "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'" in unescape(html)
        assert not re.search(r"<(img|link|source)[^>]+(src|href|srcset)=\"(?!data:)", body)
        assert not re.search(r"<script[^>]+src=", html)
        assert page.stat().st_size < 1.5 * MEGABYTE


def test_hostile_names_are_text_everywhere(pages_of: Pages) -> None:
    for board, page in pages_of("hostile").items():
        html = page.read_text(encoding="utf-8")
        assert html.count("</script>") == 4
        assert "<!channel>" not in html
        if board != "installation_health":
            assert HOSTILE in words_of(without_scripts(html))


@pytest.mark.parametrize("scene", ["usual", "hostile", "only failures"])
def test_charts_without_scripts_are_whole_pictures_with_words(pages_of: Pages, scene: str) -> None:
    for page in pages_of(scene).values():
        pictures = _PICTURE.findall(page.read_text(encoding="utf-8"))
        assert pictures
        for picture in pictures:
            root = ElementTree.fromstring(b64decode(picture))
            assert [text for text in root.iter("{http://www.w3.org/2000/svg}text") if text.text]


def test_totals_of_tables_equal_the_tile(pages_of: Pages) -> None:
    documents = {board: document_of(page)["widgets"] for board, page in pages_of("usual").items()}
    events = documents["installation_health"]["success_rate"]["rows"][0]["events"]
    assert events > 500
    assert sum(row["events"] for row in documents["installation_health"]["outcomes"]["rows"][:2]) == events
    for board, name in (
        ("system_compatibility", "architecture_performance"), ("system_compatibility", "os_versions"),
        ("component_analysis", "component_success"), ("component_analysis", "component_matrix"),
    ):  # fmt: skip
        widget = documents[board][name]
        assert sum(row["events"] for row in widget["rows"]) == events == widget["finding"]["counted"]
    total = next(row for row in documents["deployment_tracking"]["ci_comparison"]["rows"] if row["component"] == "all")
    assert total["production_events"] == events


def test_a_page_without_data_says_so_and_begins_with_it(pages_of: Pages) -> None:
    for page in pages_of("nothing").values():
        html = page.read_text(encoding="utf-8")
        main = words_of(without_scripts(html[html.index("<main") :])).split()
        assert main[:1] == ["Incomplete:"]
        assert html.count("No events in this period") + html.count("No event of this period") >= 2


def test_files_of_a_page_lie_beside_it(pages_of: Pages) -> None:
    for board, page in pages_of("usual").items():
        html = page.read_text(encoding="utf-8")
        files = set(re.findall(r'href="([^"]+)" download', html))
        assert files == {f"{board}/{file.name}" for file in (page.parent / board).iterdir()}
        assert f'href="{board}.json"' in html


def test_the_same_numbers_give_the_same_bytes(pages_of: Pages, tmp_path: Path) -> None:
    first = pages_of("usual")
    again = written(first[BOARDS[0]].parent.parent, tmp_path)
    for board, page in first.items():
        assert page.read_bytes() == again[board].read_bytes()
        assert page.with_suffix(".json").read_bytes() == again[board].with_suffix(".json").read_bytes()


def test_ten_thousand_components_are_a_page_like_any_other(tmp_path: Path) -> None:
    rows = landed(
        [
            {
                "event_ts": NOW - timedelta(days=1 + n % 25, minutes=n % 600),
                "visitor_id": str(n % 900),
                "name": f"step_{n % 9_999:04d}",
                "value": 0.0 if n % 7 == 0 else 2.0,
                "category": "Installer_CI" if n % 3 == 0 else "Installer",
                "commit_raw": f"{n % 300:07x}",
                "os_raw": f"Odd system {n % 90}",
            }
            for n in range(20_000)
        ]
        + [{"event_ts": NOW - timedelta(days=2), "name": "x" * 10_000, "value": 0.0}] * 20
    )
    found = write(tmp_path, rows)
    for page in found.values():
        assert page.stat().st_size < 1.5 * MEGABYTE
    widget = document_of(found["component_analysis"])["widgets"]["component_success"]
    assert len(widget["rows"]) == MOST
    assert widget["others"] > 6_000
    assert widget["finding"]["counted"] > sum(row["events"] for row in widget["rows"])
    assert max(len(row["component"]) for row in widget["rows"]) == 200
    assert f"others ({widget['others']})" in found["component_analysis"].read_text(encoding="utf-8")


# -- findings ---------------------------------------------------------------------------------------------------------


def said(widget: str, rows: list[dict[str, Any]], parts: Mapping[str, Any] | None = None) -> str:
    found = finding(widget, rows, parts or {})
    return re.sub(
        r"\{(\w+)\|(\w+)\}", lambda place: in_words(found.values[place[1]], place[2], ZONE), found.sentence
    ).translate({0xA0: " ", 0x202F: " ", 0x2212: "-"})


def component(name: str, events: int, failures: int) -> dict[str, Any]:
    successes = events - failures
    rate = successes / events
    return {"component": name, "events": events, "failures": failures, "successes": successes, "success_rate": rate}


@pytest.mark.parametrize(
    ("rows", "title"),
    [
        ([], "No events in this period"),
        ([component("a", 40, 12), component("b", 9, 9)], "a fails most often: 12 of 40 events"),
        ([component("b", 9, 9), component("a", 400, 2)], "a fails most often: 2 of 400 events"),
        ([component("b", 9, 9), component("a", 400, 0)], "No component with 10 events or more failed"),
    ],
)
def test_fewer_than_ten_events_make_no_title(rows: list[dict[str, Any]], title: str) -> None:
    assert said("component_success", rows) == title


CELLS = [component("a", 9, 9) | {"architecture": "x86"}, component("a", 50, 5) | {"architecture": "arm64"}]


def test_the_lowest_cell_has_enough_events() -> None:
    assert said("component_matrix", CELLS) == "Lowest: a on arm64, 90.0 % of 50 events"


def test_nothing_is_called_the_lowest_where_nothing_failed() -> None:
    assert said("component_matrix", [component("a", 50, 0) | {"architecture": "arm64"}]) == (
        "No failure in a cell of 10 events or more"
    )


def change(day: str, is_rollback: bool) -> dict[str, Any]:
    return {"event_date": day, "from_commit": "bbb", "to_commit": "aaa", "is_rollback": is_rollback}


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ([], "No rollback; the leading commit did not change"),
        ([change("2026-11-09", False)], "No rollback; aaa took the lead on Mon 9 Nov"),
        ([change("2026-11-09", False)] * 2, "No rollback; the leading commit changed 2 times"),
        ([change("2026-11-09", True), change("2026-11-12", False)], "Rollback on Mon 9 Nov: from bbb to aaa"),
        ([change("2026-11-09", True)] * 2, "2 rollbacks, the latest on Mon 9 Nov to aaa"),
    ],
)
def test_a_rollback_is_named(changes: list[dict[str, Any]], title: str) -> None:
    rows = [{"event_date": "2026-11-09", "place": 1, "commit_sha": "aaa", "events": 5}]
    assert said("version_rollback", rows, {"changes": changes}) == title


def side(name: str, verdict: str | None, is_marked: bool | None, events: int = 40) -> dict[str, Any]:
    return {
        "component": name, "production_events": events, "production_success_rate": 0.5, "ci_events": events,
        "ci_success_rate": 1.0, "verdict": verdict, "is_marked": is_marked,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "title"),
    [
        (
            [side("a", "worse", True), side("all", "worse", True)],
            "a is green in CI and worse in production, more than chance",
        ),
        (
            [side("a", "worse", True), side("b", "worse", True), side("all", "worse", True)],
            "2 components are green in CI and worse in production, more than chance",
        ),
        (
            [side("a", "could be chance", False), side("all", "worse", False)],
            "No component that is green in CI is worse in production by more than chance",
        ),
        ([side("a", None, None), side("all", None, None)], "50.0 % succeed in production, 100.0 % in CI"),
        ([side("a", None, None, 4), side("all", None, None, 4)], "Too few events in production or CI to compare"),
    ],
)
def test_ci_and_production_are_judged_by_the_guard_alone(rows: list[dict[str, Any]], title: str) -> None:
    assert said("ci_comparison", rows) == title


def test_each_widget_has_its_sentences_and_tables() -> None:
    assert set(SENTENCES) == set(TABLES) == set(WIDGETS)


# -- names in charts and bounds ---------------------------------------------------------------------------------------


@given(st.lists(st.text(max_size=40)), st.integers(8, 30))
def test_short_names_are_short_and_kept_apart(names: list[str], longest: int) -> None:
    shown = specs.short_names(names, longest)
    assert set(shown) == set(names)
    assert len(set(shown.values())) == len(set(names))
    for text in shown.values():
        assert len(text) <= longest + 4
        assert text == plain(text)


def test_what_a_page_leaves_out_is_what_matters_least() -> None:
    rows = [component(f"c{n:03d}", 100, n % 50) | {"architecture": "arm64"} for n in range(300)]
    found = bounded("component_matrix", rows, {})
    assert found.others == 300 - MOST
    assert [row["component"] for row in found.rows] == sorted(row["component"] for row in found.rows)
    kept = min(row["failures"] for row in found.rows)
    assert kept >= max(row["failures"] for row in rows if row["component"] not in {r["component"] for r in found.rows})


@pytest.mark.parametrize("name", sorted(specs.drawings()))
def test_charts_keep_the_rules_of_the_house(name: str) -> None:
    document = json.dumps(specs.drawings()[name].spec)
    assert '"url"' not in document
    if WIDGETS[name].chart == "bar":
        assert '"zero": false' not in document  # bars begin at zero
    if name in ("architecture_success", "component_trends"):
        assert "75\\u00a0%" in document
    if WIDGETS[name].chart == "line":
        assert '"orient": "top"' in document or name == "component_trends"
