"""The widgets of the dashboards: sixteen of them, each a select on marts that says how it is counted."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
import sqlglot
from sqlglot import exp

from matokit_pipelines import resources
from matokit_pipelines.reports.dashboards.widgets import WINDOWS, WidgetError, load_widgets, numbers
from matokit_pipelines.warehouse.models import load_models

FOLDER = resources.path("sql") / "dashboards"
WIDGETS = load_widgets()
QUERIES = {
    f"{name}.{part}".rstrip("."): sql
    for name, widget in WIDGETS.items()
    for part, sql in {"": widget.sql, **widget.parts}.items()
}
MARTS = {name for name in load_models(resources.path("sql")) if name.startswith("marts.")}


class Asked:
    """A snapshot that remembers what it was asked."""

    def query(self, sql: str, params: Mapping[str, object] | None = None) -> pl.DataFrame:
        self.sql, self.params = sql, dict(params or {})
        return pl.DataFrame({"asked": [1]})


def parsed(name: str) -> exp.Query:
    [statement] = sqlglot.parse(QUERIES[name], read="duckdb")
    assert isinstance(statement, exp.Query)
    return statement


def test_four_dashboards_show_sixteen_widgets_in_order() -> None:
    assert [widget.number for widget in WIDGETS.values()] == [
        f"{board}.{n}" for board in range(1, 5) for n in range(1, 5)
    ]
    boards = {(widget.number[0], widget.dashboard) for widget in WIDGETS.values()}
    assert len(boards) == 4


def test_every_query_belongs_to_a_widget() -> None:
    assert {file.name.removesuffix(".sql") for file in FOLDER.rglob("*.sql")} == set(QUERIES)


@pytest.mark.parametrize("name", QUERIES)
def test_a_widget_reads_marts_only(name: str) -> None:
    tree = parsed(name)
    ours = {cte.alias for cte in tree.find_all(exp.CTE)}
    tables = {f"{table.db}.{table.name}".lstrip(".") for table in tree.find_all(exp.Table)} - ours
    assert tables
    assert tables <= MARTS


@pytest.mark.parametrize("name", QUERIES)
def test_a_widget_names_its_columns_and_orders_its_rows(name: str) -> None:
    tree = parsed(name)
    assert not tree.is_star
    functions = {node.sql_name().lower() for node in tree.find_all(exp.Func)}
    assert not functions & {"round", "arg_max", "arg_min", "any_value", "first", "last"}
    assert tree.args.get("order") or name == "success_rate", "only the tile has one row"


@pytest.mark.parametrize("name", QUERIES)
def test_a_widget_says_how_it_is_counted(name: str) -> None:
    widget = WIDGETS[name.split(".")[0]]
    head = " ".join(re.findall(r"^--\s*(.*)$", QUERIES[name].split("\nwith ")[0].split("\nselect")[0], re.MULTILINE))
    title = f"{widget.number} {widget.title}: " if "." not in name else f"{widget.number}, "
    assert head.startswith(title)
    assert head.endswith(f" Default: {widget.days} days.")
    assert "$" not in head
    code = re.sub(r"--.*|'[^']*'", "", QUERIES[name])
    assert not re.search(r"\b(SELECT|FROM|WHERE|JOIN|GROUP|ORDER|CASE|WHEN|AND|OR|AS|WITH)\b", code)


@pytest.mark.parametrize("name", WIDGETS)
def test_a_widget_is_asked_with_what_its_query_names(name: str) -> None:
    widget, snapshot = WIDGETS[name], Asked()
    numbers(snapshot, widget)
    assert snapshot.params["days"] == widget.days
    assert ("environment" in snapshot.params) == widget.has_environment
    for days in WINDOWS:
        for part in ("", *widget.parts):
            numbers(snapshot, widget, days, environment="ci", part=part)
            assert snapshot.params["days"] == days
            assert snapshot.params.get("environment", "ci") == "ci"


def test_a_page_offers_three_windows_and_no_other() -> None:
    with pytest.raises(ValueError, match="7, 30, 90 days, not 1"):
        numbers(Asked(), WIDGETS["success_rate"], 1)
    with pytest.raises(KeyError):
        numbers(Asked(), WIDGETS["success_rate"], part="errors")


def test_a_missing_query_is_named(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "dashboards")
    (folder / "component_analysis" / "component_matrix.sql").unlink()
    with pytest.raises(WidgetError, match=r"lack .*component_matrix\.sql"):
        load_widgets(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [("chart: tile", "chart: cloud"), ("days: 7}", "days: 14}"), ("widgets:", "widget:"), ("- name", "-name")],
)
def test_a_list_that_is_wrong_is_named(tmp_path: Path, old: str, new: str) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "dashboards")
    file = folder / "widgets.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(WidgetError, match=r"widgets\.yaml cannot be read"):
        load_widgets(folder)
