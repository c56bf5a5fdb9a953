"""`query` reads: neither the snapshot nor the warehouse, nor any other file, can be written or read through it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from matokit_pipelines.cli import main
from matokit_pipelines.warehouse.refresh import build_and_publish, extract
from tests.replay import TOKEN, fixture_day, home_at, rows_of

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)


@pytest.mark.parametrize("where", [[], ["--warehouse"]])
def test_no_statement_leaves_the_tables(
    where: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with fixture_day().serving() as server:
        home = home_at(tmp_path, server.url, now=NOW)
        extract(home)
    build_and_publish(home)
    monkeypatch.setenv("MATOKIT_INSTALLERS_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "out.csv"
    for sql in (
        f"copy (select 1) to '{home.warehouse.path}'",
        f"copy (select 1) to '{target}'",
        f"attach '{tmp_path / 'other.duckdb'}'",
        "select * from read_text('/etc/hostname')",
        "create table marts.mine (a integer)",
        "set enable_external_access = true",
    ):
        assert main.run(["query", *where, sql]) == 2, sql
        assert capfd.readouterr().err.count("\n") == 1
    assert not target.exists()
    assert rows_of(home, "select count(*) from raw.matomo_events") == [(194,)]
