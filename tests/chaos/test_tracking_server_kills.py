"""The tool server killed at random points while Opal tracks through it: each 200 is kept as it was meant.

A process that has loaded everything holds the port and forks servers, so that callers meet a server that is gone, not
a port that is closed. A caller with an idempotency key asks again until it is answered; others go on.
MATOKIT_CHAOS=long kills 200 times.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from matokit_pipelines import state
from matokit_pipelines.toolserver.tracking import keeping
from tests.answering import answering
from tests.chaos.tracked_hits import Matomo, check
from tests.often import times

pytestmark = pytest.mark.slow

TOKEN = "a-token-for-tests-0123456789"
PLAIN, KEYED = 5, 5
SERVERS = """
import functools, os, signal, sys, time
from pathlib import Path
from matokit_pipelines.clock import SystemClock
from matokit_pipelines.settings import load
from matokit_pipelines.sources.tracking_hits import Patience
from matokit_pipelines.toolserver import building, listening

building.TrackingQueue = functools.partial(
    building.TrackingQueue, patience=Patience(connect=0.5, read=0.7, budget=0.7), spare=0.1, answer_within=0.3)
listener = listening.bound("127.0.0.1", 0)
print(listener.getsockname()[1], flush=True)
for line in sys.stdin:
    children = []
    for pause in line.split():
        child = os.fork()
        if child == 0:
            try:
                listening.serve(building.build_server(load(cwd=Path(sys.argv[1])), SystemClock()), listener)
            finally:
                os._exit(3)
        children.append(child)
    for child, pause in zip(children, line.split()):
        time.sleep(float(pause))
        os.kill(child, 0)
        os.kill(child, signal.SIGKILL)
        print(os.WIFSIGNALED(os.waitpid(child, 0)[1]), flush=True)
"""


class Servers:
    """The process that forks servers."""

    def __init__(self, home: Path, matomo: str) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("MATOKIT_", "MATOMO_"))}
        environ |= {
            "PYTHONPATH": str(Path(__file__).parents[2]), "MATOKIT_HOME": str(home), "MATOMO_BASE_URL": matomo,
            "MATOMO_TOKEN": "0123456789abcdef" * 2, "MATOKIT_TOOLSERVER_TOKEN": TOKEN,
            "MATOKIT_TOOLSERVER_TRACKING": "true", "MATOKIT_TOOLSERVER_CALLS_PER_MINUTE": "0",
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVERS, str(home)], env=environ, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=(home / "stderr.txt").open("a"),
        )  # fmt: skip
        self.url = f"http://127.0.0.1:{self._line()}"

    def run(self, *seconds: float) -> None:
        """Servers at once, one killed after each of the seconds."""
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(f"{one:.3f}" for one in seconds) + "\n")
        self.process.stdin.flush()
        assert [self._line() for _ in seconds] == ["True"] * len(seconds)

    def stop(self) -> None:
        self.process.communicate(timeout=30)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


class Callers:
    """Threads that track, each for one visitor, and what they were answered."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.begun: set[str] = set()
        self.accepted: set[str] = set()
        self.statuses: Counter[int] = Counter()
        self._over = threading.Event()
        names = [f"plain{number}" for number in range(PLAIN)] + [f"keyed{number}" for number in range(KEYED)]
        self._threads = [
            threading.Thread(target=self._call, args=(name, f"{number:016x}")) for number, name in enumerate(names)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _call(self, name: str, visitor: str) -> None:
        number = 0
        with httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {TOKEN}"}, timeout=30) as client:
            while not self._over.is_set():
                number += 1
                told = f"{name}:{number}"
                parameters = {"category": "c", "action": "a", "name": told, "visitorId": visitor}
                self.begun.add(told)
                if name.startswith("keyed"):
                    parameters["idempotencyKey"] = told
                    while not self._answered(client, told, parameters) and not self._over.is_set():
                        self._over.wait(0.02)
                else:
                    self._answered(client, told, parameters)

    def _answered(self, client: httpx.Client, told: str, parameters: dict[str, str]) -> bool:
        try:
            answer = client.post("/track/event", json={"parameters": parameters})
        except httpx.TransportError:
            return False
        self.statuses[answer.status_code] += 1
        if answer.status_code == 200:
            self.accepted.add(told)
        return answer.status_code in (200, 502)  # 502: dead, because it may have been counted


@contextmanager
def at_work(home: Path, matomo: str) -> Iterator[tuple[Servers, Callers]]:
    servers = Servers(home, matomo)
    callers = Callers(servers.url)
    callers.start()
    try:
        yield servers, callers
    finally:
        # a server for the last calls to be answered, then one for what they left
        last = threading.Thread(target=lambda: servers.run(8.0))
        last.start()
        callers.stop()
        last.join()
        servers.stop()


def waiting(home: Path) -> int:
    with state.opened(home) as store:
        return keeping.waiting(store)[0]


def test_servers_killed_at_random_under_load(tmp_path: Path) -> None:
    dice = random.Random()
    matomo = Matomo(random.Random(dice.random()))
    kills = times(10, 200)
    with answering(matomo.answer) as stub:
        with at_work(tmp_path, stub.url) as (servers, callers):
            done = 0
            while done < kills:
                both = dice.random() < 0.2 and done + 2 <= kills
                servers.run(*(dice.uniform(0.4, 1.6) for _ in range(2 if both else 1)))
                done += 2 if both else 1
            matomo.is_calm = True
        rest = Servers(tmp_path, stub.url)
        for _ in range(20):
            if not waiting(tmp_path):
                break
            rest.run(2.0)
        rest.stop()
    counted = check(tmp_path, matomo, callers.begun, callers.accepted)
    print(f"{kills} kills: {dict(counted)}, {len(matomo.arrived)} arrivals, answers {dict(callers.statuses)}")
    assert waiting(tmp_path) == 0
    assert counted["accepted"] > 5 * kills
    assert set(callers.statuses) <= {200, 502}
