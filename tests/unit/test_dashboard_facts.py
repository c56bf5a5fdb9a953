"""The facts in the pages of dashboards and their CSV files: whole, bounded, harmless. Not here: counting (browser)."""

from __future__ import annotations

import base64
import csv
import io
import json
import zlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.reports.dashboards.csv_files import csv_of, write_csvs
from matokit_pipelines.reports.dashboards.facts import BUDGET, facts, packed, script
from matokit_pipelines.reports.dashboards.facts_names import LONGEST, shortened
from matokit_pipelines.reports.dashboards.widgets import load_widgets, numbers
from tests.comparing import Marts
from tests.dashboard_marts import built, landed

ZONE = "Europe/Copenhagen"
WIDGETS = load_widgets()
BOARDS = tuple(dict.fromkeys(widget.dashboard for widget in WIDGETS.values()))
KNOWN_FROM = datetime(2026, 9, 30, 22, tzinfo=UTC)
HOSTILE = "</script><!channel>=1+1"
# which names the places in a column stand for; one more place stands for all that have none
NAMED = {"environment": "environment", "architecture": "architecture", "component": "component", "commit": "commit"}
NAMED |= {"os": "os", "error_type": "error_type"}


def at(days_ago: int) -> datetime:
    return datetime(2026, 10, 26, 11, tzinfo=UTC) - timedelta(days=days_ago)


def some() -> list[dict[str, Any]]:
    """A few hundred events of everything, also before the longest window."""
    return [
        {
            "event_ts": at(n % 200),
            "visitor_id": str(n % 40),
            "name": f"step_{n % 13}" + ("_network_error" if n % 5 == 0 else ""),
            "value": 0.0 if n % 5 == 0 else 2.0,
            "category": ("Installer", "Installer", "Installer_CI", "Installer_DEV")[n % 4],
            "os_raw": f"macOS {10 + n % 6}.1",
            "architecture_raw": ("arm64", "x64")[n % 3 == 0],
            "commit_raw": f"{n // 60:07x}",
        }
        for n in range(600)
    ]


@pytest.fixture(scope="module")
def marts() -> Marts:
    return built(landed(some()), KNOWN_FROM)


@pytest.fixture(scope="module")
def crowd() -> Marts:
    """10,000 components, one of them with a name of 10,000 characters, 300 commits, 80 releases, 60 kinds of errors."""
    events: list[dict[str, Any]] = [
        {
            "event_ts": at(n % 100),
            "visitor_id": str(n % 700),
            "name": f"step_{n % 9_999:04d}",
            "value": 0.0 if n % 7 == 0 else 2.0,
            "category": "Installer_CI" if n % 3 == 0 else "Installer",
            "os_raw": f"Odd system {n % 80}",
            "commit_raw": f"{n % 300:07x}",
            "contract_raw": "1" if n % 7 == 0 else None,
            "error_type_raw": f"kind_{n % 60}",
        }
        for n in range(12_000)
    ]
    events += [{"name": "x" * 10_000, "value": 0.0}] * 3
    return built(landed(events), KNOWN_FROM)


def unpacked(text: str) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(text)))


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", ["marts", "crowd"])
def test_columns_are_equally_long_and_point_at_names_that_are_there(
    request: pytest.FixtureRequest, name: str, board: str
) -> None:
    made = facts(request.getfixturevalue(name), board, zone=ZONE)
    assert (made["last_day"], made["first_known_day"], made["zone"]) == ("2026-10-26", "2026-10-01", ZONE)
    for title, table in made["tables"].items():
        assert len({len(column) for column in table.values()}) == 1, title
        for column, kind in NAMED.items():
            assert all(-1 <= place <= len(made["names"][kind]) for place in table.get(column, [])), (title, column)
        assert all(0 <= day < 90 for day in table.get("day", [])) or title == "commit_days"


@pytest.mark.parametrize("board", BOARDS)
def test_facts_are_the_same_each_time_and_survive_packing(marts: Marts, board: str) -> None:
    made = facts(marts, board, zone=ZONE)
    assert packed(made) == packed(facts(marts, board, zone=ZONE))
    assert unpacked(packed(made)) == made


def test_a_dashboard_that_does_not_exist_has_no_facts(marts: Marts) -> None:
    with pytest.raises(KeyError):
        facts(marts, "weather", zone=ZONE)


def test_nothing_read_is_nothing_known() -> None:
    empty = built(None, KNOWN_FROM)
    for board in BOARDS:
        made = facts(empty, board, zone=ZONE)
        assert (made["last_day"], made["first_known_day"], made["lines"]) == (None, None, [])
        assert not any(column for table in made["tables"].values() for column in table.values())
        assert not any(made["names"].values())


def test_packed_facts_are_letters_whatever_a_component_is_called() -> None:
    hostile = built(landed([{"name": HOSTILE, "value": 0.0}, {"os_raw": HOSTILE, "commit_raw": HOSTILE}]), KNOWN_FROM)
    made = facts(hostile, "component_analysis", zone=ZONE)
    assert HOSTILE in made["names"]["component"]
    assert set(packed(made)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


def test_the_scripts_hold_nothing_that_ends_a_script() -> None:
    assert "</" not in script()
    assert script().startswith("const { unpackFacts, rowsOf, columnsOf, csvOf, isPooled } = ")


# -- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("board", BOARDS)
def test_ten_thousand_components_fit_a_page(crowd: Marts, board: str) -> None:
    made = facts(crowd, board, zone=ZONE)
    assert len(packed(made)) <= BUDGET
    assert len(made["names"]["os"]) == 61
    assert made["names"]["os"][-1] == {"family": "other", "release": "others (21)"}
    assert all(len(name) <= LONGEST for name in made["names"]["component"])
    assert len(made["names"]["commit"]) <= 200
    assert len(made["names"]["error_type"]) == (40 if board in BOARDS[2:] else 0)


def sums(made: dict[str, Any], title: str, *columns: str) -> list[Any]:
    table = made["tables"][title]
    return [sum(table[column]) for column in columns]


def test_what_has_no_place_of_its_own_is_counted_together(crowd: Marts) -> None:
    made = facts(crowd, "component_analysis", zone=ZONE)
    [whole] = crowd.query(
        "select sum(events) as events, sum(failures) as failures from marts.system_window "
        "where component <> 'all' and window_days in (7, 30, 90)"
    ).rows()
    assert sums(made, "components", "events", "failures") == [int(one) for one in whole]
    names = len(made["names"]["component"])
    table = made["tables"]["components"]
    others = [row for row, place in enumerate(table["component"]) if place == names]
    assert others
    assert {table["machines"][row] for row in others} == {None}
    assert None not in [table["machines"][row] for row in range(len(table["component"])) if row not in set(others)]


@pytest.mark.parametrize("days", [7, 30, 90])
def test_components_with_a_place_are_the_top_ones_of_each_window(crowd: Marts, days: int) -> None:
    made = facts(crowd, "component_analysis", zone=ZONE)
    table, names = made["tables"]["components"], made["names"]["component"]
    production = made["names"]["environment"].index("production")
    shown = {
        names[place]
        for place, window, environment in zip(table["component"], table["window"], table["environment"], strict=True)
        if (window, environment) == (days, production) and place < len(names)
    }
    rows = numbers(crowd, WIDGETS["component_success"], days)
    assert len(shown) == min(200, rows.height)
    top = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in rows["component"].head(190)]
    assert set(top) <= shown
    busiest = rows.sort("events", "component", descending=[True, False])["component"].head(5)
    assert {name[: LONGEST - 1] for name in busiest} <= {name[: LONGEST - 1] for name in shown}


def test_a_smaller_budget_gives_fewer_names_a_place_and_loses_no_event(crowd: Marts) -> None:
    wide, narrow = (facts(crowd, "component_analysis", zone=ZONE, budget=budget) for budget in (BUDGET, 12_000))
    assert len(packed(narrow)) <= 12_000 < len(packed(wide))
    assert len(narrow["names"]["os"]) < len(wide["names"]["os"])
    assert sums(narrow, "components", "events", "failures") == sums(wide, "components", "events", "failures")


def test_a_budget_that_nothing_meets_gives_the_fewest_names(crowd: Marts) -> None:
    made = facts(crowd, "system_compatibility", zone=ZONE, budget=1)
    assert [one["release"] for one in made["names"]["os"]][-1] == "others (78)"
    whole = facts(crowd, "system_compatibility", zone=ZONE)
    assert sums(made, "daily", "events", "failures") == sums(whole, "daily", "events", "failures")


def test_days_are_there_only_for_components_that_some_choice_draws() -> None:
    events = [{"name": f"step_{letter}"} for letter in "abcdef" for _ in range(2)]
    events += [{"name": "step_z", "architecture_raw": "x64", "event_ts": at(40)}]
    made = facts(built(landed(events), KNOWN_FROM), "component_analysis", zone=ZONE)
    days = made["tables"]["component_days"]
    assert {made["names"]["component"][place] for place in days["component"]} == {f"step_{name}" for name in "abcdez"}


LONG = st.text(alphabet="ab…() 12", min_size=195, max_size=210)


@given(st.lists(LONG | st.text(max_size=3), unique=True))
def test_cut_names_stay_distinct(names: list[str]) -> None:
    shown = shortened(names)
    assert len(set(shown)) == len(names)
    assert all(len(name) <= LONGEST for name in shown)
    assert [new for old, new in zip(names, shown, strict=True) if len(old) <= LONGEST] == [
        name for name in names if len(name) <= LONGEST
    ]


def test_a_cut_name_says_that_it_is_cut() -> None:
    taken = "a" * 199 + "…"
    assert shortened(["a" * 300, "a" * 201, taken]) == ["a" * 195 + "… (2)", "a" * 195 + "… (3)", taken]


# -- CSV files --------------------------------------------------------------------------------------------------------


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_a_file_is_for_spreadsheets_and_programs() -> None:
    frame = pl.DataFrame({
        "component": ["python_install", "=1+1", "a,b", 'say "no"', "two\r\nlines", None],
        "success_rate": [1 / 3, None, 1.0, 1e-7, -12.5, 0.0],
        "events": [1, 2, 3, -4, 5, 0],
        "first_date": [date(2026, 10, 26)] * 6,
        "first_seen": [datetime(2026, 10, 26, 11, 0, 0, 5, tzinfo=UTC), None, *[at(0)] * 4],
        "is_new": [True, False, None, True, True, True],
    })  # fmt: skip
    text = csv_of(frame)
    assert text.startswith("\ufeffcomponent,success_rate,events,first_date,first_seen,is_new\r\n")
    assert read(text)[1:] == [
        ["python_install", "0.3333333333333333", "1", "2026-10-26", "2026-10-26T11:00:00.000005Z", "true"],
        ["'=1+1", "", "2", "2026-10-26", "", "false"],
        ["a,b", "1", "3", "2026-10-26", "2026-10-26T11:00:00Z", ""],
        ['say "no"', "0.0000001", "-4", "2026-10-26", "2026-10-26T11:00:00Z", "true"],
        ["two\r\nlines", "-12.5", "5", "2026-10-26", "2026-10-26T11:00:00Z", "true"],
        ["", "0", "0", "2026-10-26", "2026-10-26T11:00:00Z", "true"],
    ]


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.floats(-1e6, 1e6)), max_size=5))
def test_no_text_begins_as_a_formula_and_every_number_is_the_same(rows: list[tuple[str, float]]) -> None:
    frame = pl.DataFrame(rows, schema={"component": pl.String, "share": pl.Float64}, orient="row")
    found = read(csv_of(frame))[1:]
    assert len(found) == len(rows)
    for (text, share), (cell, number) in zip(rows, found, strict=True):
        assert cell.removeprefix("'") == text or cell == text
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        assert float(number) == share
        assert "e" not in number


def test_all_widgets_of_a_page_have_a_file_with_every_row(crowd: Marts, tmp_path: Path) -> None:
    files = {file.name: file for board in BOARDS for file in write_csvs(crowd, board, tmp_path / board)}
    assert len(files) == sum(1 + len(widget.parts) for widget in WIDGETS.values())
    assert {"version_rollback.changes.csv", "ci_comparison.errors.csv"} <= set(files)
    for name, widget in WIDGETS.items():
        [head, *rows] = read(files[f"{name}.csv"].read_text(encoding="utf-8-sig"))
        frame = numbers(crowd, widget)
        assert head == frame.columns
        assert len(rows) == frame.height
    components = read(files["component_success.csv"].read_text(encoding="utf-8-sig"))
    assert "x" * 10_000 in {row[0] for row in components}
    again = pl.read_csv(files["component_success.csv"])
    assert again["events"].sum() == numbers(crowd, WIDGETS["component_success"])["events"].sum()


def test_a_file_of_no_rows_names_its_columns(tmp_path: Path) -> None:
    empty = built(None, KNOWN_FROM)
    for file in write_csvs(empty, "component_analysis", tmp_path):
        assert len(read(file.read_text(encoding="utf-8-sig"))) == 1
