"""Servers of the tracking queue killed at random points under load: what was accepted arrives, in order, and once.

A process that has loaded everything forks servers, so that a kill meets the work, not the start of Python. Callers
within a server send hits of several visitors, half of them with idempotency keys; after a kill they ask again for
what was not answered, as callers do. Some rounds have two servers on one home. MATOKIT_CHAOS=long kills 200 times.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.answering import answering
from tests.chaos.tracked_hits import Matomo, check, number_of
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
        again = sorted((told for told in self.begun - self.accepted if told.startswith("keyed")), key=number_of)
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
    counted = check(tmp_path, matomo, servers.begun, servers.accepted)
    print(f"{kills} kills: {dict(counted)}, {len(matomo.arrived)} arrivals")
    assert counted["accepted"] > 5 * kills
    assert counted["unknown"] > 0
