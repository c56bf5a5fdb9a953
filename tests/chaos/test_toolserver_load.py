"""A real tool server at full speed while all around it misbehave: nothing fails, nothing is wrong, nothing leaks.

Ten minutes under MATOKIT_CHAOS=long (make chaos), 40 seconds otherwise. Belongs here: load, swaps, clients that are
slow, rude or many. Does not belong here: a fault by itself (tests/integration/test_toolserver_faults.py).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.toolserving.asking import request_bytes
from benchmarks.toolserving.running import Running, tool_server
from tests.often import times
from tests.served_homes import Full, full_home, publish_copy
from tests.serving import TOKEN

SECONDS = times(40, 600)
SWAP_SECONDS = 5.0
LET_GO_SECONDS = 75.0  # the longest a client may hold a place: an answer nobody reads, a body that never ends
MEMORY_MB = 80
DESCRIPTORS = 12
BEARER = {"authorization": f"Bearer {TOKEN}"}
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)

pytestmark = pytest.mark.slow


@dataclass
class Seen:
    """What came of it all. `wrong`: answers that were not what they must be."""

    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)

    def note(self, who: str, status: int) -> None:
        self.statuses[f"{who} {status}"] += 1


def call(path: str, **parameters: object) -> bytes:
    return request_bytes(path, json.dumps({"parameters": parameters}).encode(), **BEARER)


def questions() -> list[bytes]:
    """Calls whose answers follow from the tables alone, so that each snapshot gives the same."""
    day = (datetime.now(UTC) - timedelta(days=3)).date().isoformat()
    web = ["key-numbers", "most-popular-urls", "entry-pages", "traffic-channels", "device-types", "events", "campaigns"]
    asked = [call(f"/tools/get-{name}", date=day, **more) for name in web for more in ({}, {"period": "week"})]
    asked += [call("/tools/get-most-popular-urls", date=day, limit=limit) for limit in (1, 7, 1_000)]
    return asked


async def answer_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes
) -> tuple[int, bytes, bytes]:
    """Status, head and body of the answer to one request."""
    writer.write(sent)
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return int(head[9:12]), head, await reader.readexactly(int(length[1]) if length else 0)


class Load:
    """Everything that is done to a server at once, until `ends` (of the monotonic clock)."""

    def __init__(self, server: Running, full: Full, seconds: float) -> None:
        self.port, self.full, self.seen = server.port, full, Seen()
        self.seconds = seconds
        self.asked = questions()
        self.right: dict[bytes, bytes] = {}
        self.ends = 0.0
        self.rude: list[socket.socket] = []

    def run(self) -> Seen:
        """Do it all."""
        asyncio.run(self._all())
        return self.seen

    async def _all(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for sent in self.asked:
            status, _, body = await answer_on(reader, writer, sent)
            assert status == 200, body
            self.right[sent] = body
        writer.close()
        self.ends = time.monotonic() + self.seconds
        jobs = [self._full_speed(number) for number in range(6)]
        jobs += [
            self._every(SWAP_SECONDS, self._swap),
            self._every(0.5, self._probe),
            self._every(1.0, self._ten_megabytes),
        ]
        jobs += [self._every(0.2, self._hang_up), self._every(2.0, self._half), self._every(2.0, self._never_reads)]
        jobs += [self._every(10.0, self._thousand)]
        await asyncio.gather(*jobs)

    def leave(self) -> None:
        """End what the rude clients still hold open; until then only the server can."""
        for one in self.rude:
            one.close()

    async def _every(self, seconds: float, what: Callable[[], Awaitable[None]]) -> None:
        while (left := self.ends - time.monotonic()) > 0:
            await what()
            await asyncio.sleep(min(seconds, max(0.0, left)))

    async def _full_speed(self, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while time.monotonic() < self.ends:
            sent = self.asked[number % len(self.asked)]
            number += 5
            status, head, body = await answer_on(reader, writer, sent)
            self.seen.note("call", status)
            if status == 200 and body != self.right[sent]:
                self.seen.wrong.append(f"{sent!r}: {body!r}")
            elif status == 503 and b"retry-after: " not in head:
                self.seen.wrong.append(f"503 without a word when to come again: {head!r}")
        writer.close()

    async def _swap(self) -> None:
        await asyncio.to_thread(publish_copy, self.full.folder)
        self.seen.statuses["swaps"] += 1

    async def _probe(self) -> None:
        for path in ("/healthz", "/readyz"):
            began = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            sent = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode()
            status, _, _ = await answer_on(reader, writer, sent)
            writer.close()
            self.seen.note("probe", status)
            self.seen.probes.append(time.monotonic() - began)

    async def _ten_megabytes(self) -> None:
        """With a token it is told to be too long; a stranger may find the connection ended while it still sends."""
        for name, headers in (("large", BEARER), ("stranger", {"authorization": "Bearer nonsense"})):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                sent = request_bytes("/tools/get-key-numbers", b" " * 10_000_000, **headers)
                status, _, _ = await asyncio.wait_for(answer_on(reader, writer, sent), 20)
                self.seen.note(name, status)
            except (ConnectionError, asyncio.IncompleteReadError):
                self.seen.statuses[f"{name} ended"] += 1
            finally:
                writer.transport.abort()

    async def _hang_up(self) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(self.asked[len(self.seen.probes) % len(self.asked)])
        writer.transport.abort()

    async def _half(self) -> None:
        """Heads and bodies that never end; nobody waits for what becomes of them."""
        whole = self.asked[0]
        for sent in (b"", whole[:40], whole[:-3]):
            self._rudely(sent)

    async def _never_reads(self) -> None:
        """Answers that nobody reads."""
        self._rudely(b"GET /discovery HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 30)
        self._rudely(self.asked[-1] * 30)

    def _rudely(self, sent: bytes) -> None:
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        one.connect(("127.0.0.1", self.port))
        one.setblocking(False)
        with suppress(BlockingIOError):
            one.send(sent)
        self.rude.append(one)

    async def _thousand(self) -> None:
        """A thousand connections at once, each of which asks something."""

        async def one(number: int) -> asyncio.StreamWriter:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            sent = self.asked[number % len(self.asked)]
            status, _, body = await answer_on(reader, writer, sent)
            self.seen.note("one of a thousand", status)
            if status == 200 and body != self.right[sent]:
                self.seen.wrong.append(f"{sent!r}: {body!r}")
            return writer

        for writer in await asyncio.gather(*(one(number) for number in range(1_000))):
            writer.close()


def memory_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_nothing_fails_is_wrong_or_leaks_under_load(tmp_path: Path) -> None:
    full = full_home(tmp_path, days=21, events_per_day=100)
    environ = {**full.environ, "MATOKIT_TOOLSERVER_CACHE_SECONDS": "2"}
    with tool_server(tmp_path, environ) as server:
        first = Load(server, full, 6)
        first.run()  # so that all that is made once is made
        first.leave()
        settled(server.pid, 16)
        memory, files = memory_mb(server.pid), descriptors(server.pid)
        load = Load(server, full, SECONDS)
        seen = load.run()
        told = f"{dict(seen.statuses)}; slowest probe {max(seen.probes):.2f} s"
        held = descriptors(server.pid)
        calm = settled(server.pid, files + DESCRIPTORS)
        load.leave()
        told += f"; {memory:.0f} MB and {files} files before, {held} files at the end of the load"
        told += f", {memory_mb(server.pid):.0f} MB and {calm} files after"
        assert held > files + DESCRIPTORS, "the rude clients held nothing: nothing was tried"
        print(told)
        assert not seen.wrong, seen.wrong[:3]
        allowed = {200, 503}
        for who in ("call", "one of a thousand"):
            assert {int(key.rpartition(" ")[2]) for key in seen.statuses if key.startswith(who)} <= allowed, told
        assert seen.statuses["call 503"] + seen.statuses["one of a thousand 503"] < 0.5 * seen.statuses["call 200"], (
            told
        )
        assert {key for key in seen.statuses if key.startswith("probe")} == {"probe 200"}, told
        assert max(seen.probes) < 5, told
        assert {key for key in seen.statuses if key.startswith("large")} == {"large 413"}, told
        assert {key for key in seen.statuses if key.startswith("stranger")} <= {"stranger 401", "stranger ended"}, told
        assert seen.statuses["swaps"] >= SECONDS / SWAP_SECONDS * 0.5, told
        assert calm <= files + DESCRIPTORS, told
        assert memory_mb(server.pid) < memory + MEMORY_MB, told
    log = (tmp_path / "serve.log").read_text()
    assert "Traceback" not in log, log[-3_000:]
    assert TOKEN not in log


def settled(pid: int, files: int) -> int:
    """The descriptors of the process once they are no more than that, or once it had all the time it needs."""
    ends = time.monotonic() + LET_GO_SECONDS
    while descriptors(pid) > files and time.monotonic() < ends:
        time.sleep(0.5)
    return descriptors(pid)
