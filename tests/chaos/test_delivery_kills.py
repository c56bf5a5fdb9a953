"""Senders killed at every point of the cycle and at random: nothing is lost, nothing twice on Slack, order is kept.

A process that has loaded everything forks a sender for each kill, so that a kill meets the sending, not the start of
Python. MATOKIT_CHAOS=long kills ten times as often at random.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain
from pathlib import Path

import pytest

from matokit_pipelines.delivery.mails import message_id
from matokit_pipelines.simulator.mail import MailServer
from matokit_pipelines.simulator.slack import SlackSimulator
from matokit_pipelines.simulator.slack_faults import SlackFaults
from tests.delivering import BY_MAIL, ON_SLACK, Office, is_in_order, keys, message
from tests.often import times

pytestmark = pytest.mark.slow

POINTS = ["before the claim", "after the claim", "before the call", "after acceptance", "before the commit", "after it"]
SENDERS = """
import os, signal, sys, time
from datetime import datetime
from pathlib import Path
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.delivery import email, outbox, slack
from matokit_pipelines.delivery.draining import drain
from matokit_pipelines.settings import load

def die(*given, **named):
    os.kill(os.getpid(), signal.SIGKILL)

def then_die(function):
    def wrapped(*given, **named):
        function(*given, **named)
        die()
    return wrapped

def arm(point):
    claim, sent = outbox.claim, outbox.mark_sent
    if point == "before the claim":
        outbox.claim = die
    elif point == "after the claim":
        outbox.claim = then_die(claim)
    elif point == "before the commit":
        outbox.mark_sent = die
    elif point == "after it":
        outbox.mark_sent = then_die(sent)
    for way in (slack.SlackBot, email.Mail):
        if point == "before the call":
            way.send = die
        elif point == "after acceptance":
            way.send = then_die(way.send)

loaded = load(cwd=Path(sys.argv[1]))
print("ready", flush=True)
for line in sys.stdin:
    now, pauses, point = line.rstrip("\\n").split("|")
    children = []
    for _ in pauses.split(","):
        child = os.fork()
        if child == 0:
            arm(point)
            drain(loaded, FixedClock(datetime.fromisoformat(now)))
            os._exit(0)
        children.append(child)
    ended = []
    for child, pause in zip(children, pauses.split(",")):
        if pause:
            time.sleep(float(pause))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        ended.append("killed" if os.WIFSIGNALED(status) else "ended" if status == 0 else "failed")
    print(*ended, flush=True)
"""


class Senders:
    """The process that forks senders."""

    def __init__(self, office: Office) -> None:
        self.office = office
        loaded = office.loaded
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MATOKIT_")}
        environ |= {"PYTHONPATH": str(Path(__file__).parents[2]), **loaded.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SENDERS, str(office.home)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ,
        )  # fmt: skip
        assert self._read() == "ready"

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self, *after: float, point: str = "") -> list[str]:
        """Senders at the clock's time, all at once: one killed at a point, or one for each of the seconds after which
        it and then the next one is killed; how each ended."""
        assert self.process.stdin is not None
        pauses = ",".join(f"{seconds:.6f}" for seconds in after)
        self.process.stdin.write(f"{self.office.clock.now().isoformat()}|{pauses}|{point}\n")
        self.process.stdin.flush()
        ended = self._read().split()
        assert set(ended) <= {"killed", "ended"}, ended
        return ended

    def stop(self) -> None:
        self.process.communicate(timeout=30)


@contextmanager
def senders(office: Office) -> Iterator[Senders]:
    with SlackSimulator(now=office.clock.now) as office.slack, MailServer(now=office.clock.now) as office.mail:
        made = Senders(office)
        try:
            yield made
        finally:
            made.stop()


class Told:
    """What was put in, by conversation."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.put: dict[tuple[str, str], list[str]] = {}

    def add(self, about: str, place: str) -> None:
        expected = self.put.setdefault((about, place), [])
        told = message(f"{about} {len(expected)}", images=())
        expected.append(self.office.put(f"reminder:{len(expected)}", place, about=about, severity="warning", told=told))

    def check(self) -> None:
        """Everything arrived: on Slack once and in order; by mail in order, the same mail again at most."""
        office = self.office
        assert office.slack is not None
        assert office.mail is not None
        office.drain_until_empty()
        assert office.rows("dead") == []
        on_slack = keys(office.slack)
        by_mail = [str(kept.mail["Message-ID"]) for kept in office.mail.kept]
        for (_, place), expected in self.put.items():
            there = on_slack if place == ON_SLACK else list(dict.fromkeys(by_mail))
            wanted = expected if place == ON_SLACK else [message_id(key, "matokit@example.org") for key in expected]
            assert [key for key in there if key in wanted] == wanted
            assert is_in_order(there, wanted)
        wanted_on_slack = chain.from_iterable(found for (_, place), found in self.put.items() if place == ON_SLACK)
        assert sorted(on_slack) == sorted(wanted_on_slack)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_each_point(tmp_path: Path, point: str) -> None:
    office = Office(tmp_path)
    told = Told(office)
    with senders(office) as killing:
        for about in ("a", "b"):
            for place in (ON_SLACK, BY_MAIL):
                told.add(about, place)
                told.add(about, place)
        for _ in range(4):
            assert killing.kill(point=point) == ["killed"]
            office.clock.advance(timedelta(minutes=10))
        told.check()


def test_killed_at_random(tmp_path: Path) -> None:
    """Up to three senders at once, among faults of the services; the next ones go on with what the killed were at."""
    kills = times(100, 1_000)
    dice = random.Random(kills)
    office = Office(tmp_path)
    told = Told(office)
    with senders(office) as killing:
        assert office.slack is not None
        assert office.mail is not None
        for place in (ON_SLACK, BY_MAIL):
            told.add("z", place)
        killing.kill()
        odds = {"dropped_before": 0.05, "dropped_after": 0.1, "error_after": 0.05, "limited": 0.03, "error": 0.05}
        office.slack.change(SlackFaults(seed=kills, retry_after=30, **odds))
        ended = Counter[str]()
        while ended["killed"] < kills:
            for _ in range(dice.randint(0, 4)):
                told.add(dice.choice("abcdefg"), dice.choice((ON_SLACK, BY_MAIL)))
            if dice.random() < 0.1:
                office.mail.faults.drop_after = 1
            ended.update(killing.kill(*(dice.uniform(0, 0.4) ** 2 for _ in range(dice.choice([1, 1, 2, 3])))))
            office.clock.advance(timedelta(seconds=dice.choice([5, 40, 200, 400])))
        office.slack.change(SlackFaults())
        told.check()
        assert office.slack.requests.counts["conversations.history"] > 0, "no kill met a message on its way"
