"""Servers of the tracking queue killed at random points under load: what was accepted arrives, in order, and once.

A process that has loaded everything forks servers, so that a kill meets the work, not the start of Python. Callers
within a server send hits of several visitors, half of them with idempotency keys; after a kill they ask again for
what was not answered, as callers do. Some rounds have two servers on one home. MATOKIT_CHAOS=long kills 200 times.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines import state
from matokit_pipelines.toolserver.tracking import rows
from tests.answering import Asked, Told, answering
from tests.often import times

pytestmark = pytest.mark.slow

VISITORS = [f"plain{number}" for number in range(6)] + [f"keyed{number}" for number in range(6)]
SERVERS = """
import os, signal, sys, threading, time
from pathlib import Path
from matokit_pipelines.clock import SystemClock
from matokit_pipelines.settings import load
from matokit_pipelines.sources.tracking_hits import Patience
from matokit_pipelines.toolserver.sites import Sites
from matokit_pipelines.toolserver.tracking.hits import Hit
from matokit_pipelines.toolserver.tracking.queue import TrackingQueue

home, tracker, visitors = Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(",")
loaded = load(environ={"MATOMO_BASE_URL": tracker, "MATOMO_TOKEN": "f" * 32, "MATOKIT_HOME": str(home)}, cwd=home)

def tell(*words):
    os.write(1, (" ".join(words) + "\\n").encode())

def queue():
    made = TrackingQueue(loaded.home, Sites.of(loaded), SystemClock(), answer_within=0.1, spare=0.1,
                         patience=Patience(connect=0.5, read=0.7, budget=0.7))
    made.start()
    return made

def call(served, name, number):
    visitor = name.split(".")[0]
    told = f"{name}:{number}"
    hit = Hit("event", "1", loaded.settings.sources[0].name, tracker + "/matomo.php",
              {"idsite": "1", "e_c": "c", "e_a": "a", "e_n": told, "_id": visitor}, name,
              key=told if visitor.startswith("keyed") else None, asked={"name": told})
    tell("begun", told)
    served.accept(hit)
    tell("accepted", told)

def caller(served, name, again, first):
    for number in again:
        call(served, name, number)
    while True:
        call(served, name, first)
        first += 1

def serve(side, first, again):
    served = queue()
    for visitor in visitors:
        name = f"{visitor}.{side}"
        more = [int(told.split(":")[1]) for told in again if told.startswith(name + ":")]
        threading.Thread(target=caller, args=(served, name, more, first), daemon=True).start()
    threading.Event().wait()

def finish():
    served = queue()
    while served.depth:
        time.sleep(0.05)
    served.stop()

tell("ready")
for line in sys.stdin:
    pauses, first, again = line.rstrip("\\n").split("|")
    children = []
    for side, _ in enumerate(pauses.split(",")):
        child = os.fork()
        if child == 0:
            try:
                serve(side, int(first), again.split()) if pauses else finish()
            except BaseException as error:
                tell("failed", repr(error))
                os._exit(1)
            os._exit(0)
        children.append(child)
    for child, pause in zip(children, pauses.split(",")):
        if pause:
            time.sleep(float(pause))
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    tell("ended")
"""


@dataclass
class Matomo:
    """What arrived, in order, and what is answered: mostly 204; now and then it is down, or its answer is lost."""

    dice: random.Random
    arrived: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_calm: bool = False

    def answer(self, asked: Asked) -> Told:
        with self.lock:
            luck = 1.0 if self.is_calm else self.dice.random()
            if luck < 0.05:
                return Told(503)
            if luck < 0.07:
                return Told(502)
            self.arrived.append(asked.form["e_n"])
            return Told(502 if luck < 0.09 else 204)

    def first_arrivals(self) -> dict[str, list[int]]:
        """The numbers of each caller's hits in the order in which each arrived first."""
        found: dict[str, list[int]] = {}
        for told in dict.fromkeys(self.arrived):
            name, number = told.split(":")
            found.setdefault(name, []).append(int(number))
        return found


class Servers:
    """The process that forks servers."""

    def __init__(self, home: Path, tracker: str) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("MATOKIT_", "MATOMO_"))}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVERS, str(home), tracker, ",".join(VISITORS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        self.begun: set[str] = set()
        self.accepted: set[str] = set()
        self._read("ready")

    def round(self, first: int, *pauses: float) -> None:
        """Servers at once, one killed after each of the seconds; with no seconds one that works until all is sent."""
        assert self.process.stdin is not None
        again = sorted((told for told in self.begun - self.accepted if told.startswith("keyed")), key=_number)
        self.process.stdin.write(f"{','.join(f'{one:.3f}' for one in pauses)}|{first}|{' '.join(again)}\n")
        self.process.stdin.flush()
        self._read("ended")

    def stop(self) -> None:
        self.process.communicate(timeout=30)

    def _read(self, until: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word, *told = line.split(maxsplit=1)
            assert word != "failed", line
            if word == until:
                return
            (self.begun if word == "begun" else self.accepted).add(told[0].strip())
        raise AssertionError("the servers ended by themselves")


def _number(told: str) -> int:
    return int(told.split(":")[1])


def dead(home: Path) -> dict[str, dict[str, Any]]:
    """Dead hits by what they tell."""
    with state.opened(home) as store:
        found = store.execute("select payload, is_once, is_unknown, error from tracking_queue where state = 'dead'")
        return {json.loads(row["payload"])["e_n"]: dict(row) for row in found}


def check(home: Path, matomo: Matomo, servers: Servers) -> Counter[str]:
    """Everything that was accepted came to what it was promised; gives how often what happened."""
    lost, came = dead(home), Counter(matomo.arrived)
    keyed = {told for told in servers.begun if told.startswith("keyed")}
    assert servers.accepted <= servers.begun
    assert [told for told in servers.accepted - keyed if not came[told]] == []
    assert [told for told in keyed if came[told] > 1] == []
    assert [told for told in servers.accepted & keyed if not came[told] and told not in lost] == []
    for name, numbers in matomo.first_arrivals().items():
        assert numbers == sorted(numbers), name
    for told, row in lost.items():
        assert told in keyed
        assert (row["is_once"], row["is_unknown"]) == (1, 1)
        assert row["error"].startswith(rows.UNKNOWN)
    with sqlite3.connect(state.file_of(home)) as store:
        assert store.execute("pragma integrity_check").fetchone()[0] == "ok"
    return Counter(accepted=len(servers.accepted), unknown=len(lost), twice=sum(one > 1 for one in came.values()))


def test_killed_at_random_under_load(tmp_path: Path) -> None:
    dice = random.Random()
    matomo = Matomo(random.Random(dice.random()))
    kills = times(12, 200)
    with answering(matomo.answer) as stub:
        servers = Servers(tmp_path, stub.url)
        try:
            done = 0
            while done < kills:
                both = dice.random() < 0.2 and done + 2 <= kills
                pauses = [dice.uniform(0.05, 1.2) for _ in range(2 if both else 1)]
                servers.round(1 + 100_000 * done, *pauses)
                done += len(pauses)
            matomo.is_calm = True
            servers.round(0)
        finally:
            servers.stop()
    counted = check(tmp_path, matomo, servers)
    print(f"{kills} kills: {dict(counted)}, {len(matomo.arrived)} arrivals")
    assert counted["accepted"] > 5 * kills
    assert counted["unknown"] > 0
