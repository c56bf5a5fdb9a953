"""The ledger: the product's watermark over several sources, and what a report confirms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse.connection import in_memory
from matokit_pipelines.warehouse.landing import Landed, SourceKey
from matokit_pipelines.windows import Window

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours_behind", "speaks_to"),
    [
        ([], None),
        ([None], None),
        ([2], 2),
        ([48], 48),  # the only source is never left out
        ([0, 5], 5),
        ([0, 6], 6),
        ([0, 7], 0),  # one that stopped must not silence the other
        ([1, 3, 30, None], 3),
    ],
)
def test_the_product_speaks_up_to_the_least_watermark_of_the_sources_that_keep_up(
    hours_behind: list[int | None], speaks_to: int | None
) -> None:
    connection = in_memory(NOW)
    for number, hours in enumerate(hours_behind):
        ledger.introduce(connection, SourceKey(f"s{number}", "1"), "matomo", "UTC", "http://x")
        mark = None if hours is None else NOW - timedelta(hours=hours)
        connection.execute("update ledger.sources set watermark = ? where source = ?", [mark, f"s{number}"])
    found = connection.execute("select watermark from ledger.product_watermark").fetchall()
    assert found == [(None if speaks_to is None else NOW - timedelta(hours=speaks_to),)]


def windows(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, int | None, str]]:
    found: list[tuple[str, int | None, str]] = connection.execute(
        "select proof, expected, status from ledger.windows order by window_id"
    ).fetchall()
    return found


def test_a_report_confirms_the_readings_of_its_day_and_no_broken_one() -> None:
    connection = in_memory(NOW)
    key = SourceKey("installers", "1")
    day = Window(NOW, NOW + timedelta(days=1))
    for window, status, proof in (
        (day, "complete", "drained"),
        (day, "incomplete", "none"),
        (Window(NOW, NOW + timedelta(hours=1)), "complete", "drained"),
    ):
        ledger.note_window(
            connection, key, window, Landed(0, 0, 0, 0, 0, 0, 0, 0, 0), tier="history", zone="UTC", proof=proof,
            status=status, detail=None, started=NOW, finished=NOW, dimensions="{}",
        )  # fmt: skip
    ledger.confirm_window(connection, key, day, 7)
    assert windows(connection) == [
        ("report", 7, "complete"),
        ("none", None, "incomplete"),
        ("drained", None, "complete"),
    ]
