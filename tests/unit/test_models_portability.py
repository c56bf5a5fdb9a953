"""Every model of sql/ under the rules that let other engines run it unchanged."""

from __future__ import annotations

import re

import pytest
import sqlglot
from sqlglot import exp

from matokit_pipelines import resources
from matokit_pipelines.warehouse.models import LAYERS, load_models

SQL = resources.path("sql")
MODELS = load_models(SQL)
ZONE_FUNCTIONS = (exp.AtTimeZone, exp.ConvertTimezone, exp.FromTimeZone)


def parsed(name):
    statements = sqlglot.parse(MODELS[name].query, read="duckdb")
    assert len(statements) == 1
    return statements[0]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_one_select_that_other_engines_can_be_given(name):
    assert isinstance(parsed(name), exp.Query)
    # engines write parameters each in their own way, and bind them outside the model
    query = re.sub(r"\$(first_day|last_day|start_ts|end_ts)", "null", MODELS[name].query)
    for engine in ("spark", "clickhouse"):
        translated = sqlglot.transpile(query, read="duckdb", write=engine, unsupported_level=sqlglot.ErrorLevel.RAISE)
        assert sqlglot.parse_one(translated[0], read=engine)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_uses_nothing_that_differs_between_engines(name):
    tree = parsed(name)
    functions = {
        (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower() for node in tree.find_all(exp.Func)
    }
    forbidden = {"round", "arg_max", "arg_min", "max_by", "min_by", "split_part", "any_value", "first", "last"}
    assert not functions & forbidden
    assert not list(tree.find_all(*ZONE_FUNCTIONS))
    assert "timezone" not in functions
    for division in tree.find_all(exp.Div):
        pytest.fail(f"{name} divides ({division.sql()}); rates are made by the macro, as double")


@pytest.mark.parametrize("name", MODELS)
def test_the_last_select_names_its_columns_in_the_order_of_the_description(name):
    tree = parsed(name)
    assert not tree.is_star
    if MODELS[name].file.step:
        return  # the step makes the columns, which inserting them by name holds against the description
    assert [column.name for column in MODELS[name].file.columns] == list(tree.named_selects)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_declares_exactly_what_it_reads(name):
    tree = parsed(name)
    tables = {f"{table.db}.{table.name}" for table in tree.find_all(exp.Table) if table.db}
    assert tables == set(MODELS[name].file.reads)


@pytest.mark.parametrize("name", MODELS)
def test_the_order_of_rows_is_total(name):
    """A window that ranks or looks back is ordered by something unique in its partition, such as an id or a day."""
    for window in parsed(name).find_all(exp.Window):
        order = window.args.get("order")
        assert order is not None
        last = order.expressions[-1].this.sql()
        assert re.search(r"(event_id|_sha|\bplace|\bduration_s|\bevent_date)$", last), window.sql()


@pytest.mark.parametrize("name", MODELS)
def test_a_model_opens_with_its_grain_and_writes_keywords_small(name):
    query = MODELS[name].query
    assert query.startswith("-- grain: ")
    code = re.sub(r"--.*|'[^']*'", "", query)
    assert not re.search(r"\b(SELECT|FROM|WHERE|JOIN|GROUP|ORDER|CASE|WHEN|AND|OR|AS|WITH)\b", code)


def test_every_folder_of_sql_is_a_model():
    folders = {f"{layer}.{path.name}" for layer in LAYERS for path in (SQL / layer).iterdir()}
    assert folders == set(MODELS)


def test_only_the_macro_turns_an_instant_into_a_day():
    macros = (SQL / "macros.sql").read_text(encoding="utf-8")
    assert macros.lower().count("timezone(") == 1
    assert "round(" not in macros.lower()
