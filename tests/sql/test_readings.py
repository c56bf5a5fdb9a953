"""The golden table: how each kind of event that was ever sent must be read."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import pytest
import yaml

from matokit_pipelines.warehouse.build import BuildOptions, build

FIXTURES = Path(__file__).parents[1] / "fixtures" / "normalisation"
NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
LANDED_AS = {
    "os": "os_raw",
    "architecture": "architecture_raw",
    "commit": "commit_raw",
    "sender_event_id": "sender_event_id_raw",
    "contract": "contract_raw",
    "duration": "duration_raw",
    "error_type_sent": "error_type_raw",
    "exit_code": "exit_code_raw",
}
EXPECTED_AS = {"architecture_read": "architecture"}
FIRST_EXPECTED = "environment"


def golden() -> dict[str, list[dict[str, str]]]:
    with (FIXTURES / "readings.csv").open(encoding="utf-8", newline="") as file:
        lines = sorted(csv.DictReader(file), key=lambda line: line["group"])
    return {group: list(rows) for group, rows in groupby(lines, key=lambda line: line["group"])}


GOLDEN = golden()
OPTIONS = yaml.safe_load((FIXTURES / "groups.yaml").read_text(encoding="utf-8"))


def landed(place, line):
    row = {column: line[name] for name, column in LANDED_AS.items()} | {
        name: line[name] for name in ("category", "action", "name", "value")
    }
    row = {column: None if text == r"\N" else text for column, text in row.items()}
    row["value"] = None if row["value"] is None else float(row["value"])
    vanished_at = NOON if line["vanished"] == "yes" else None
    return row | {
        "event_id": f"{place:04d}",
        "event_ts": NOON + timedelta(seconds=place),
        "vanished_at": vanished_at,
    }


def as_text(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


@pytest.fixture(scope="module")
def sql_root(sql_of):
    """What an event is read by, and nothing that is made of readings."""
    with sql_of(["staging.installer_events"]) as root:
        yield root


@pytest.mark.parametrize("group", GOLDEN)
def test_every_kind_of_event_is_read_as_the_golden_table_says(con, land, now, sql_root, group):
    lines = GOLDEN[group]
    land(con, "raw.matomo_events", [landed(place, line) for place, line in enumerate(lines)])
    options = OPTIONS.get(group, {})
    codes = {code: tuple(meaning) for code, meaning in options.get("component_codes", {}).items()}
    build(con, options=BuildOptions(**(options | {"component_codes": codes})), now=now, sql_root=sql_root)
    names = list(lines[0])
    expected_names = names[names.index(FIRST_EXPECTED) :]
    columns = [EXPECTED_AS.get(name, name) for name in expected_names]
    rows = con.execute(f"select {', '.join(columns)} from staging.installer_events order by event_id").fetchall()
    for line, row in zip(lines, rows, strict=True):
        found = {name: as_text(value) for name, value in zip(expected_names, row, strict=True)}
        expected = {name: line[name] for name in expected_names}
        assert found == expected, f"{line['about']}: {line['category']!r} {line['name']!r} {line['value']}"


def test_the_golden_table_is_large_and_meets_every_rule_and_reason():
    lines = [line for group in GOLDEN.values() for line in group]
    assert len(lines) >= 150
    assert {line["rule"] for line in lines} == {"", *(str(rule) for rule in range(1, 12))}
    reasons = {line["left_out_reason"] for line in lines}
    assert reasons == {
        "", "vanished", "out_of_scope", "duplicate_sender_id", "test", "marker", "invalid_value", "started",
        "finished", "cancelled", "unknown_outcome",
    }  # fmt: skip
