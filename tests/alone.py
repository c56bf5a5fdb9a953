"""A home left alone for days under a clock that runs fast: sources that fail, processes that are killed, a full disk.

Belongs here: the trouble and the driving of ticks. Does not belong here: what must hold at the end.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import resource
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Literal

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import MatokitError
from matokit_pipelines.orchestration import in_process
from matokit_pipelines.orchestration.housekeeping import housekeeping
from matokit_pipelines.settings import load
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.windows import Window
from tests.piwik_pro import FastClock

Mode = Literal["open", "refuse", "error", "lie", "silent"]
TICK = timedelta(minutes=5)
LONGEST_LIE = timedelta(hours=2)
NOT_PASSED_ON = ("host", "accept-encoding", "connection")


class Gate:
    """Stands before a service and lets requests through, or not, or lies about the number of rows."""

    def __init__(self, target: str) -> None:
        self._target = int(target.rsplit(":", 1)[1])
        self._mode: Mode = "open"
        self._server = self._listen(0)
        self._port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self._port}"

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        if (mode == "refuse") != (self._mode == "refuse"):
            if mode == "refuse":
                self.close()
            else:
                self._server = self._listen(self._port)
        self._mode = mode

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _listen(self, port: int) -> ThreadingHTTPServer:
        server = _Listener(("127.0.0.1", port), self._handler())
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if gate.mode == "silent":
                    self.close_connection = True
                    return
                if gate.mode == "error":
                    self._give(503, "text/html", b"<h1>Service Unavailable</h1>")
                    return
                inner = HTTPConnection("127.0.0.1", gate._target, timeout=30)
                kept = {
                    k: v for k, v in self.headers.items() if k.lower() not in ("host", "accept-encoding", "connection")
                }
                try:
                    inner.request(self.command, self.path, body, kept)
                    answer = inner.getresponse()
                    given = answer.read()
                    kind = answer.headers.get("Content-Type", "text/html")
                except OSError:
                    self.close_connection = True
                    return
                finally:
                    inner.close()
                self._give(answer.status, kind, _with_another_count(given) if gate.mode == "lie" else given)

            do_POST = do_GET

            def _give(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()

            def log_message(self, format: str, *args: object) -> None:
                """Nobody reads it."""

        return Handler


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed in the middle of its request."""


def _with_another_count(body: bytes) -> bytes:
    """A page of rows that announces three more than there are."""
    try:
        found = json.loads(body)
        found["meta"]["count"] += 3
    except (ValueError, KeyError, TypeError):
        return body
    return json.dumps(found, separators=(",", ":")).encode()


class LeapingClock:
    """Runs fast while something is done, and leaps over the time in which nothing is."""

    def __init__(self, at: datetime, speed: float) -> None:
        self.fast: FastClock | FixedClock = FastClock.starting(at, speed)

    def now(self) -> datetime:
        return self.fast.now()

    def sleep(self, seconds: float) -> None:
        self.fast.sleep(seconds)

    def leap_to(self, at: datetime) -> None:
        if isinstance(self.fast, FastClock):
            self.fast = self.fast.set_ahead(max(timedelta(), at - self.now()))

    def stop(self) -> datetime:
        """Stand still from now on."""
        self.fast = FixedClock(self.now())
        return self.now()


@dataclass(frozen=True)
class Outage:
    """From when to when which gate does what."""

    window: Window
    gate: str
    mode: Mode


@dataclass
class Life:
    """What happened: ticks by what they came to, and the sentences of those that failed."""

    ticks: Counter[str] = field(default_factory=Counter)
    sentences: Counter[str] = field(default_factory=Counter)
    longest_without_tick: timedelta = timedelta()


@dataclass(frozen=True)
class Alone:
    """The days: how long, the outages, how many ticks of a hundred are killed, when the disk is full."""

    until: datetime
    outages: Sequence[Outage]
    killed_of_a_hundred: int
    full_disk: Window
    every: timedelta = TICK
    seed: int = 1


def live(home: Home, clock: LeapingClock, gates: Mapping[str, Gate], days: Alone) -> Life:
    """Tick after tick until the end, with nobody looking. An error that is no sentence for a person is raised."""
    dice, life = random.Random(days.seed), Life()
    day = clock.now().date()
    last, full_until = clock.now(), None
    while (now := clock.now()) < days.until:
        life.longest_without_tick = max(life.longest_without_tick, now - last)
        last = now
        _let_trouble_be(gates, days.outages, now)
        if full_until is None and now >= days.full_disk.start:  # as long as planned, also when a tick ran into it
            full_until = now + (days.full_disk.end - days.full_disk.start)
        if full_until and now < full_until:
            _tick_in_child(home, clock, life, limit=_size_of_full_disk(home, dice))
        elif dice.randrange(100) < days.killed_of_a_hundred:
            _tick_in_child(home, clock, life, dies_after=dice.uniform(0.2, 12 if life.ticks["killed"] else 1))
        else:
            _tick_here(home, life)
        if clock.now().date() != day:
            day = clock.now().date()
            with in_process.instance_of(home.loaded.home) as instance:
                housekeeping(instance, home)
        clock.leap_to(now + days.every)
    for gate in gates.values():
        gate.mode = "open"
    return life


def _tick_here(home: Home, life: Life) -> None:
    try:
        done = in_process.tick(home)
    except MatokitError as error:
        life.ticks["failed"] += 1
        life.sentences[f"{type(error).__name__}: {error}"] += 1
        return
    is_quiet = done is None or not done.is_refresh  # at most the alerts were evaluated
    life.ticks["quiet" if is_quiet else "with trouble" if done and done.trouble else "refreshed"] += 1


def _tick_in_child(
    home: Home,
    clock: LeapingClock,
    life: Life,
    *,
    dies_after: float | None = None,
    limit: int | None = None,
) -> None:
    """A tick in a process of its own, killed after some seconds, or with files that may not grow beyond a limit."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.alone"])
    folder = home.loaded.file.parent if home.loaded.file else home.loaded.home
    child: ForkServerProcess = context.Process(
        target=_child, args=(folder, dict(home.loaded.environ), clock.fast, limit)
    )
    child.start()
    child.join(dies_after if dies_after is not None else 300)
    if child.is_alive():
        child.kill()
        child.join(30)
    how = "killed" if child.exitcode == -signal.SIGKILL else "ended in a child"
    life.ticks["full disk" if limit is not None else how] += 1


def _child(folder: Path, environ: dict[str, str], clock: FastClock, limit: int | None) -> None:
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        in_process.tick(Home.of(load(environ=environ, cwd=folder), clock))
    except MatokitError as error:
        raise SystemExit(error.exit_code) from error


def _size_of_full_disk(home: Home, dice: random.Random) -> int:
    """How large a file may get: nothing at all, or just what the warehouse is now."""
    path = home.warehouse.path
    return dice.choice([0, 20_000, path.stat().st_size if path.exists() else 100_000])


def _let_trouble_be(gates: Mapping[str, Gate], outages: Sequence[Outage], now: datetime) -> None:
    for name, gate in gates.items():
        gate.mode = next((o.mode for o in outages if o.gate == name and now in o.window), "open")


@contextmanager
def gates_before(**urls: str) -> Iterator[dict[str, Gate]]:
    """One gate a service."""
    gates = {name: Gate(url) for name, url in urls.items()}
    try:
        yield gates
    finally:
        for gate in gates.values():
            gate.mode = "open"
            gate.close()


def outages(dice: random.Random, start: datetime, hours: float, names: Sequence[str]) -> list[Outage]:
    """Some a day for each service, minutes to eight hours long, one of each kind at least in a week."""
    found = []
    for name in names:
        at = start + timedelta(hours=dice.uniform(2, 8))
        modes: list[Mode] = ["refuse", "error", "silent", "lie"]
        while at < start + timedelta(hours=hours):
            length = timedelta(minutes=dice.choice([10, 25, 60, 150, 480]))
            mode = modes[len(found) % len(modes)]
            found.append(
                Outage(Window(at, at + (min(length, timedelta(hours=2)) if mode == "lie" else length)), name, mode)
            )
            at += length + timedelta(hours=dice.uniform(6, 20))
    return found
