"""Contract drift beyond single cases: the naming convention for any name, and bounds on what hostile senders can do."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from matokit_pipelines.warehouse.build import BuildOptions, build
from matokit_pipelines.warehouse.reading import RawEvent, read_all

CONVENTION = re.compile(r"[a-z][a-z0-9_]*(\.[0-9]+)*")
KINDLY = {"deadline": None, "suppress_health_check": list(HealthCheck)}
words = st.sampled_from(
    ["python", "install", "3", ".11", "_", "-", " ", "Log", "É", "A", "error", "'", "\t", "(", "x1"]
)
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=70) | st.lists(
    words, min_size=1, max_size=8
).map("".join)


@pytest.mark.slow
@settings(max_examples=15, **KINDLY)
@given(given_names=st.lists(names.filter(str.strip), min_size=1, max_size=60))
@example(given_names=["a", "a.1", "a.1.2", "a1_", "_a", "1a", "a.", "a..1", "A", "a b", "a-b", "a\nb", "a.1b"])
def test_a_name_breaks_the_convention_when_it_does_not_match_it(given_names):
    readings = read_all(BuildOptions(), [RawEvent("Installer", name, 2.0) for name in given_names])
    for name, (reading, findings) in zip(given_names, readings, strict=True):
        if reading.rule != 7:
            continue  # a test, a code, or a name with an ending: those have rules of their own
        found = {(f.kind, f.reason) for f in findings}
        is_named_otherwise = bool(found & {("broken_name", "not_snake_case"), ("old_name", "readable")})
        assert is_named_otherwise == (not CONVENTION.fullmatch(name.strip(" \t\n\r\f\v"))), name
        assert (("broken_name", "too_long") in found) == (len(name.strip(" \t\n\r\f\v")) > 60), name


def test_names_made_of_random_text_do_not_make_the_table_long(con, land, now):
    rows = [{"name": f"name-{n:03d}", "value": 2.0} for n in range(130)]
    rows += [{"name": f"name-{n:03d}", "value": 3.0} for n in range(7)]
    land(con, "raw.matomo_events", rows)
    result = build(con, options=BuildOptions(), now=now)
    found = con.execute("select finding, events from marts.contract_drift order by events desc, finding").fetchall()
    assert found[:8] == [*((f"name-{n:03d}", 2) for n in range(7)), ("name-007", 1)]
    assert len(found) == 100
    [check] = [check for check in result.warnings if check.table == "marts.contract_drift"]
    assert (check.name, check.failing_rows, len(check.examples)) == ("broken_name", 100, 3)
    assert check.examples[0] == "name-000 (not snake case, events: 2)"


def test_an_example_is_one_printable_line_of_limited_length(con, land, now):
    hostile = "a\x1b[31m\n\u202e'; drop schema raw; --" + "x" * 5_000
    land(
        con,
        "raw.matomo_events",
        [{"name": hostile, "value": 2.0, "os_raw": hostile, "category": "Installer_" + hostile}],
    )
    result = build(con, options=BuildOptions(), now=now)
    warned = {check.name: check.examples for check in result.warnings}
    assert warned.keys() == {"unknown_category", "unknown_os", "broken_name"}
    for examples in warned.values():
        assert all(text.isprintable() and len(text) <= 240 for text in examples)
    row = con.execute("select category_raw, name_raw, os_raw, finding from marts.contract_drift").fetchall()[0]
    assert all(len(text) <= 80 for text in row)


def test_a_finding_that_goes_away_with_a_changed_row_is_gone(con, land, now):
    row = {"event_id": "1", "name": "python-install", "value": 2.0}
    land(con, "raw.matomo_events", [row])
    build(con, options=BuildOptions(), now=now)
    con.execute("update raw.matomo_events set vanished_at = ?", [now])
    con.execute("insert into ledger.touched_days values (date '2026-11-18', ?)", [now])
    result = build(con, options=BuildOptions(), now=now + timedelta(minutes=5))
    assert con.execute("select count(*) from marts.contract_drift").fetchall() == [(0,)]
    assert not result.warnings


def test_a_category_that_the_settings_list_is_no_drift(con, land, now):
    land(con, "raw.matomo_events", [{"category": "Installer_LAB", "value": 2.0}])
    assert [check.name for check in build(con, options=BuildOptions(), now=now).warnings] == ["unknown_category"]
    listed = BuildOptions(environments={"Installer_LAB": "test"})
    assert not build(con, options=listed, now=now).warnings
