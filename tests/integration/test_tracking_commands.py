"""`matokit tracking …` on a home with hits in every state."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from matokit_pipelines import state
from matokit_pipelines.cli import main
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.sources.tracking_hits import Ended, Later, Refused, Taken
from matokit_pipelines.toolserver.tracking import rows
from matokit_pipelines.toolserver.tracking.hits import Hit
from matokit_pipelines.toolserver.tracking.rows import Claimed

ENDS: list[tuple[Ended, str | None]] = [
    (Taken(204), None),
    (Refused("it answered 400", 400), None),
    (Later("it answered 502", True, 502), "k"),
    (Later("nothing listens there", False, is_down=False), None),
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hit 1 is done, 2 was refused, 3 may have been counted, 4 waits for its next try, 5 waits behind it."""
    for name in [name for name in os.environ if name.startswith(("MATOKIT_", "MATOMO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MATOKIT_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    now = datetime.now(UTC) - timedelta(minutes=30)
    clock = FixedClock(now)
    with state.opened(tmp_path) as store:
        for ended, key in ENDS:
            accept(store, "visitor" if key is None else "other", key, now)
            claimed = rows.claim(store, owner="me", clock=clock, lease=timedelta(seconds=9))
            assert isinstance(claimed, Claimed)
            rows.settle(store, claimed.row, ended, clock, random.Random(1))
        accept(store, "visitor", None, now)
    return tmp_path


def accept(store: sqlite3.Connection, visitor: str, key: str | None, now: datetime) -> None:
    form = {"e_c": "c", "e_a": "a", "uid": "somebody@example.org"}
    with state.transaction(store):
        rows.accept(store, Hit("event", "3", "Shop", "http://m/matomo.php", form, visitor, key=key), now)


def matokit(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main.run(["tracking", *words])
    out, err = capfd.readouterr()
    return code, out, err


def states(home: Path) -> dict[int, str]:
    with state.opened(home) as store:
        found = store.execute("select id, state from tracking_queue order by id")
        return {row["id"]: row["state"] for row in found}


def test_the_list_says_how_far_each_is_and_why_and_not_whose(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = matokit(capfd, "list")
    assert code == 0
    lines = out.splitlines()
    assert lines[-1] == "2 pending, 0 sending, 1 done, 2 dead."
    assert lines[0] == "    5 pending event for site 3 (Shop)"
    assert lines[1].endswith("(30 min ago), behind an earlier hit of its visitor.")
    assert lines[3].endswith("(30 min ago), 1 attempt; nothing listens there.")
    assert lines[5].endswith("1 attempt; outcome unknown: it answered 502, it may have been counted.")
    assert lines[7].endswith("1 attempt; it answered 400.")
    assert "somebody" not in out
    assert "visitor " not in out.replace("of its visitor", "")


def test_the_list_as_json_has_every_state_that_is_asked_for(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = matokit(capfd, "list", "--state", "dead", "--state", "done", "--json")
    found = json.loads(out)
    assert [(one["id"], one["state"], one["status"], one["may_be_counted"]) for one in found] == [
        (3, "dead", 502, True), (2, "dead", 400, False), (1, "done", 204, False),
    ]  # fmt: skip
    assert "somebody" not in out


def test_retry_spares_what_may_have_been_counted_unless_it_is_named(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = matokit(capfd, "retry")
    assert (code, out.splitlines()) == (0, [
        "1 hit due again; a running `matokit serve` sends within a second.",
        "1 still dead: they may have been counted, so only `matokit tracking retry ID` sends them.",
    ])  # fmt: skip
    assert states(home) == {1: "done", 2: "pending", 3: "dead", 4: "pending", 5: "pending"}
    assert matokit(capfd, "retry", "3", "--json")[1].split() == ["[", "{", '"retried":', "1,", '"dead":', "0", "}", "]"]
    assert states(home)[3] == "pending"


def test_what_is_tried_anew_does_not_get_between_two_of_its_visitor(home: Path) -> None:
    """Hit 2 waits until the one of its lane that is on its way has ended, then goes before what came later."""
    assert main.run(["tracking", "retry", "2"]) == 0
    clock = FixedClock(datetime.now(UTC))
    sent = []
    with state.opened(home) as store:
        while isinstance(claimed := rows.claim(store, owner="me", clock=clock, lease=timedelta(seconds=9)), Claimed):
            sent.append(claimed.row.id)
            rows.settle(store, claimed.row, Taken(204), clock, random.Random(1))
    assert sent == [4, 2, 5]


@pytest.mark.parametrize("words", [["retry", "1"], ["retry", "4"], ["retry", "99"], ["drop", "5"]])
def test_only_dead_hits_are_touched(home: Path, capfd: pytest.CaptureFixture[str], words: list[str]) -> None:
    before = states(home)
    code, _, err = matokit(capfd, *words)
    assert (code, err) == (
        2, f"There is no dead hit {words[1]}; see `matokit tracking list --state dead`.\n",
    )  # fmt: skip
    assert states(home) == before


def test_drop_deletes_what_is_named_or_all(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert matokit(capfd, "drop")[0] == 2
    assert matokit(capfd, "drop", "3", "--all")[0] == 2
    assert matokit(capfd, "drop", "3") == (0, "1 hit dropped.\n", "")
    assert matokit(capfd, "drop", "--all", "--json")[1].split() == ["[", "{", '"dropped":', "1", "}", "]"]
    assert states(home) == {1: "done", 4: "pending", 5: "pending"}


def test_an_unknown_state_is_named(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = matokit(capfd, "list", "--state", "lost")
    assert (code, err) == (2, '"lost" is no state of a hit; there are pending, sending, done, dead.\n')
