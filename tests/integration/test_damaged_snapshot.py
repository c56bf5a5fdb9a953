"""A damaged snapshot or pointer: one sentence that leads to a whole one, and the warehouse is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from matokit_pipelines.errors import NothingPublished, SnapshotDamaged
from matokit_pipelines.warehouse.refresh import Home, build_and_publish, extract
from matokit_pipelines.warehouse.snapshots import current_file, open_current, serving_folder
from tests.replay import fixture_day, home_at

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    with fixture_day().serving() as server:
        made = home_at(tmp_path, server.url, now=NOW)
        extract(made)
    build_and_publish(made)
    return made


def rows(home: Home) -> int:
    with open_current(home.loaded.home) as snapshot:
        return int(snapshot.query("select sum(events) as n from success_rate_daily")["n"].item())


@pytest.mark.parametrize("content", [b"", b"not a database", os.urandom(9000)])
def test_a_damaged_snapshot_is_told_and_the_next_build_publishes_a_whole_one(home: Home, content: bytes) -> None:
    before = rows(home)
    current_file(home.loaded.home).write_bytes(content)
    with pytest.raises(SnapshotDamaged) as caught:
        rows(home)
    assert str(caught.value).endswith("run `matokit build`, which publishes a new one from the warehouse.")
    assert build_and_publish(home).manifest
    assert rows(home) == before


@pytest.mark.parametrize("content", ["", "../warehouse.duckdb\n", "marts-99.duckdb\n", "/etc/hostname\n"])
def test_a_pointer_to_nothing_is_told_and_mended(home: Home, content: str) -> None:
    (serving_folder(home.loaded.home) / "CURRENT").write_text(content, encoding="utf-8")
    with pytest.raises(NothingPublished) as caught:
        rows(home)
    assert "run `matokit build`" in str(caught.value)
    assert build_and_publish(home).manifest
    assert rows(home) > 0


def test_a_terminal_without_utf_8_and_an_empty_query_are_no_defects(home: Home) -> None:
    environ = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "matokit_pipelines.cli.main", "--config", str(home.loaded.file)]
    for words in (["report", "weekly", "--period", "2026-W46"], ["query", ""], ["query", "/* nothing */"]):
        done = subprocess.run([*command, *words], env=environ, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout
