"""`serve` with trackers on a home whose store cannot be used: one sentence and an exit code, before it listens."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from matokit_pipelines import state
from matokit_pipelines.cli import main
from matokit_pipelines.errors import StateError
from tests.serving import ENVIRON


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("MATOKIT_", "MATOMO_"))]:
        monkeypatch.delenv(name)
    for name, value in (ENVIRON | {"MATOKIT_HOME": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "matokit.toml").write_text("[toolserver]\ntracking = true\n", encoding="utf-8")
    with state.opened(tmp_path):
        pass
    return tmp_path


@contextmanager
def held(home: Path) -> Iterator[None]:
    with closing(sqlite3.connect(state.file_of(home), isolation_level=None)) as holder:
        holder.execute("begin immediate")
        yield


def scrambled(home: Path) -> None:
    """Sound at its head, garbage from the third page on."""
    file = state.file_of(home)
    with closing(sqlite3.connect(file)) as store:
        size = store.execute("pragma page_size").fetchone()[0]
    content = file.read_bytes()
    file.write_bytes(content[: 2 * size] + b"\xff" * (len(content) - 2 * size))


def refused(capfd: pytest.CaptureFixture[str]) -> str:
    code = main.run(["serve", "--port", "0"])
    out, err = capfd.readouterr()
    assert code == StateError("").exit_code != 0
    assert "Traceback" not in err
    assert "Tools" not in out
    return err


def test_a_file_that_is_no_store(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    state.file_of(home).write_bytes(b"\x00garbage" * 2_000)
    assert "is damaged" in refused(capfd)


def test_a_store_that_is_damaged_within(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    scrambled(home)
    assert "is damaged" in refused(capfd)


def test_a_store_that_somebody_holds(
    home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "BUSY_SECONDS", 0.1)
    with held(home):
        assert "in use by another process" in refused(capfd)
