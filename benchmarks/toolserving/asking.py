"""Asking a server again and again over a number of connections that stay open, from a process of its own.

Plain sockets and prepared bytes, so that the asking costs little beside the answering. Not here: what is asked.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
TICKS = 100.0  # of /proc/<pid>/stat a second, on every Linux


@dataclass(frozen=True)
class Lap:
    """One measurement: requests, seconds of the clock, seconds of the server's processor, latencies in seconds."""

    requests: int
    seconds: float
    cpu: float
    latencies: tuple[float, ...]
    statuses: dict[int, int]

    @property
    def a_second(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_each(self) -> float:
        return self.cpu / self.requests

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def request_bytes(path: str, body: bytes, **headers: str) -> bytes:
    """A POST as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def measure(pid: int, port: int, requests: list[bytes], *, connections: int, seconds: float) -> Lap:
    """Ask for some seconds, each connection its next request as soon as it was answered; requests in turn."""
    began, cpu = time.perf_counter(), cpu_of(pid)
    latencies, statuses = asyncio.run(_all(port, requests, connections, seconds))
    return Lap(len(latencies), time.perf_counter() - began, cpu_of(pid) - cpu, tuple(latencies), statuses)


async def _all(
    port: int, requests: list[bytes], connections: int, seconds: float
) -> tuple[list[float], dict[int, int]]:
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    end = time.perf_counter() + seconds

    async def one(offset: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        number = offset
        try:
            while (began := time.perf_counter()) < end:
                writer.write(requests[number % len(requests)])
                number += connections
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                await reader.readexactly(int(length[1]) if length else 0)
                latencies.append(time.perf_counter() - began)
                status = int(head[9:12])
                statuses[status] = statuses.get(status, 0) + 1
        finally:
            writer.close()

    await asyncio.gather(*(one(offset) for offset in range(connections)))
    return latencies, statuses


def cpu_of(pid: int) -> float:
    """Seconds of processor time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_peak(pid: int) -> float:
    """The greatest memory a process held so far, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def median_ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the ratios of measurements taken one right after the other."""
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
