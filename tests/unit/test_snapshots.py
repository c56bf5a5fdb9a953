"""Publishing and asking what was published: what a person is told, and rows as they are printed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import WarehouseDamaged, WarehouseError
from matokit_pipelines.warehouse.connection import Warehouse
from matokit_pipelines.warehouse.snapshots import Manifest, publish, rows_of, serving_folder
from tests.rights import without_rights

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def published(home: Path) -> Manifest:
    """A snapshot of a warehouse without marts."""
    warehouse = Warehouse(home, FixedClock(NOW))
    with warehouse.writer() as connection:
        connection.execute("create schema if not exists marts")
    return publish(warehouse, code_version="1", rule_version="1", project_zone="UTC")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("1 as a, 2 as a", {"a": 1, "a_2": 2}),
        ("1 as a, 2 as a, 3 as a", {"a": 1, "a_2": 2, "a_3": 3}),
        ("1 as a, 2 as a, 3 as a_2", {"a": 1, "a_3": 2, "a_2": 3}),
        ("1 as a_2, 2 as a, 3 as a", {"a_2": 1, "a": 2, "a_3": 3}),
    ],
)
def test_columns_of_one_name_are_all_there(columns: str, expected: dict[str, int]) -> None:
    connection = duckdb.connect()
    assert rows_of(connection, f"select {columns}") == [expected]
    connection.close()


@given(st.lists(st.sampled_from(["a", "a_2", "a_2_2", "a_3", "b"]), min_size=1, max_size=8))
def test_no_column_is_lost_and_a_name_of_its_own_is_kept(names: list[str]) -> None:
    connection = duckdb.connect()
    [row] = rows_of(connection, "select " + ", ".join(f"{place} as {name}" for place, name in enumerate(names)))
    connection.close()
    assert list(row.values()) == list(range(len(names)))
    for name in set(names):
        assert row[name] == names.index(name)


def test_a_serving_folder_that_may_not_be_written_to_is_named(tmp_path: Path) -> None:
    published(tmp_path)  # everything is loaded, which somebody without rights may not do
    with without_rights() as home:
        serving = serving_folder(home)
        published(home)
        serving.chmod(0o555)
        with pytest.raises(WarehouseError) as caught:
            published(home)
        serving.chmod(0o755)
        assert str(caught.value) == f"{serving} may not be written to; give this user the right to."
        assert published(home).generation == 2


def test_a_damaged_warehouse_is_named_and_not_the_serving_folder(tmp_path: Path) -> None:
    published(tmp_path)
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"not a database")
    with pytest.raises(WarehouseDamaged) as caught:
        publish(Warehouse(tmp_path, FixedClock(NOW)), code_version="1", rule_version="1", project_zone="UTC")
    assert str(caught.value).startswith(f"{path} is damaged")
