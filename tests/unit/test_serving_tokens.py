"""Tokens: which are taken, that they can be renewed while the server runs, and that nothing of them is kept or told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import SettingsError
from matokit_pipelines.settings import load
from matokit_pipelines.toolserver.tokens import Tokens, fault_of

NOW = datetime(2026, 11, 16, 9, tzinfo=UTC)
GOOD = "0123456789abcdef"


def tokens(folder: Path, clock: FixedClock | None = None, **environ: str) -> Tokens:
    return Tokens(load(environ={"MATOKIT_HOME": str(folder), **environ}, cwd=folder), clock or FixedClock(NOW))


@pytest.mark.parametrize(
    "value",
    ["", "   ", "change-me", "Change-Me", "change-me-please-now", "<token>", "token_auth_here", "set-me", "x" * 40,
     "short", "abababababababab", "1212121212121212", "fifteen-letters",
     "sixteen letters!", "sixteen-lätters!!", "sixteen\x07letters!!"],
)  # fmt: skip
def test_placeholders_and_weak_tokens_are_refused_before_the_start(value: str, tmp_path: Path) -> None:
    assert fault_of(value) is not None
    with pytest.raises(SettingsError, match="OPAL_BEARER_TOKEN"):
        tokens(tmp_path, OPAL_BEARER_TOKEN=value)


def test_without_any_token_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="MATOKIT_TOOLSERVER_TOKEN"):
        tokens(tmp_path)
    with pytest.raises(SettingsError, match="MATOKIT_TOOLSERVER_TOKEN"):
        tokens(tmp_path, MATOKIT_TOOLSERVER_PAGES_TOKEN=GOOD)


def test_the_token_of_the_pages_is_no_callers_token(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="a token of their own") as told:
        tokens(tmp_path, MATOKIT_TOOLSERVER_TOKEN=GOOD, MATOKIT_TOOLSERVER_PAGES_TOKEN=GOOD)
    assert GOOD not in str(told.value)


def test_each_caller_has_a_name_and_the_pages_a_token_of_their_own(tmp_path: Path) -> None:
    found = tokens(
        tmp_path,
        OPAL_BEARER_TOKEN=GOOD + "1",
        MATOKIT_TOOLSERVER_TOKEN=GOOD + "2",
        MATOKIT_TOOLSERVER_TOKEN_PROMETHEUS=GOOD + "3",
        MATOKIT_TOOLSERVER_PAGES_TOKEN=GOOD + "4",
    )
    assert sorted(found.names) == ["main", "opal", "pages", "prometheus"]
    callers = [found.caller(f"{GOOD}{number}".encode()) for number in range(6)]
    assert callers == [None, "opal", "main", "prometheus", None, None]
    assert found.caller(f"{GOOD}4".encode(), pages=True) == "pages"
    assert found.caller(f"{GOOD}1".encode(), pages=True) == "opal"
    assert found.caller(b"", pages=True) is None


def test_a_token_in_a_file_is_renewed_without_a_restart(tmp_path: Path) -> None:
    file, clock = tmp_path / "token", FixedClock(NOW)
    file.write_text(GOOD + "-old\n")
    found = tokens(tmp_path, clock, MATOKIT_TOOLSERVER_TOKEN_FILE=str(file))
    assert found.caller(f"{GOOD}-old".encode()) == "main"
    file.write_text(GOOD + "-new\n")
    clock.advance(timedelta(seconds=2))
    assert found.caller(f"{GOOD}-old".encode()) is None
    assert found.caller(f"{GOOD}-new".encode()) == "main"


@pytest.mark.parametrize("content", ["", "change-me", "half"])
def test_a_file_that_holds_no_token_leaves_the_old_one_in_force(content: str, tmp_path: Path) -> None:
    file, clock = tmp_path / "token", FixedClock(NOW)
    file.write_text(GOOD)
    found = tokens(tmp_path, clock, MATOKIT_TOOLSERVER_TOKEN_FILE=str(file))
    file.write_text(content)
    clock.advance(timedelta(seconds=2))
    assert found.caller(GOOD.encode()) == "main"
    file.unlink()
    clock.advance(timedelta(seconds=2))
    assert found.caller(GOOD.encode()) == "main"


@pytest.mark.parametrize("fault", ["", "change-me", "half", None])
def test_a_fault_in_one_file_keeps_no_other_token_from_being_renewed(
    fault: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    a, b, clock = tmp_path / "a", tmp_path / "b", FixedClock(NOW)
    a.write_text(GOOD + "-a")
    b.write_text(GOOD + "-leaked")
    files = {"MATOKIT_TOOLSERVER_TOKEN_A_FILE": str(a), "MATOKIT_TOOLSERVER_TOKEN_B_FILE": str(b)}
    found = tokens(tmp_path, clock, **files)
    a.unlink() if fault is None else a.write_text(fault)
    b.write_text(GOOD + "-new")
    for _ in range(3):
        clock.advance(timedelta(seconds=2))
        assert found.caller(f"{GOOD}-leaked".encode()) is None
        assert found.caller(f"{GOOD}-new".encode()) == "b"
        assert found.caller(f"{GOOD}-a".encode()) == "a"
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1, "once for each fault, not at every look"
    assert "MATOKIT_TOOLSERVER_TOKEN_A" in told[0]
    assert "stays in force" in told[0]
    assert "start" not in told[0], "the server runs"
    a.write_text(GOOD + "-mended")
    clock.advance(timedelta(seconds=2))
    assert found.caller(f"{GOOD}-mended".encode()) == "a"
    assert found.caller(f"{GOOD}-a".encode()) is None


def test_a_renewal_never_makes_the_token_of_the_pages_one_of_a_caller(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caller, pages, other = (tmp_path / name for name in ("caller", "pages", "other"))
    for file in (caller, pages, other):
        file.write_text(f"{GOOD}-{file.name}")
    found = tokens(
        tmp_path,
        clock := FixedClock(NOW),
        MATOKIT_TOOLSERVER_TOKEN_FILE=str(caller),
        MATOKIT_TOOLSERVER_TOKEN_OTHER_FILE=str(other),
        MATOKIT_TOOLSERVER_PAGES_TOKEN_FILE=str(pages),
    )
    pages.write_text(f"{GOOD}-caller")
    other.write_text(f"{GOOD}-new")
    clock.advance(timedelta(seconds=2))
    assert found.caller(f"{GOOD}-new".encode()) == "other"
    assert found.caller(f"{GOOD}-pages".encode(), pages=True) == "pages"
    caller.write_text(f"{GOOD}-pages")
    clock.advance(timedelta(seconds=2))
    assert found.caller(f"{GOOD}-pages".encode()) is None
    assert found.caller(f"{GOOD}-caller".encode()) == "main"
    assert any("MATOKIT_TOOLSERVER_PAGES_TOKEN" in record.getMessage() for record in caplog.records)


def test_nothing_of_a_token_is_in_what_is_printed_of_it(tmp_path: Path) -> None:
    found = tokens(tmp_path, MATOKIT_TOOLSERVER_TOKEN=GOOD)
    assert GOOD not in repr(vars(found)["_tokens"])


def test_a_renewed_token_ends_what_the_old_one_signed(tmp_path: Path) -> None:
    old = tokens(tmp_path, MATOKIT_TOOLSERVER_TOKEN=GOOD).signed("main.1")
    new = tokens(tmp_path, MATOKIT_TOOLSERVER_TOKEN=GOOD + "!").signed("main.1")
    assert old["main"] != new["main"]
