"""What an answer of the tool server costs, beside a bare FastAPI route that does nothing.

Measured in turn, round by round: the bare route, an answer that lies ready in the cache, and the same by MCP; then
answers of every tool made from the snapshot each time, and the same load with and without snapshots that change every
second.
`python benchmarks/toolserver.py [--short] [--json FILE]`. It ends with exit code 5 when an aim is missed.
The pieces: toolserving/. Figures and what they mean: docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.toolserving.asking import Lap, measure, median_ratio, memory_peak, request_bytes
from benchmarks.toolserving.running import Running, bare_route, tool_server
from matokit_pipelines.toolserver.registry import all_tools
from tests.served_homes import Full, full_home, publish_copy
from tests.serving import TOKEN

CONNECTIONS = (1, 4, 16)
BEARER = {"authorization": f"Bearer {TOKEN}"}
READERS = {
    "web: GetKeyNumbers": "/tools/get-key-numbers",
    "web: GetMostPopularUrls": "/tools/get-most-popular-urls",
    "installer: GetInstallerSuccessRate": "/tools/get-installer-success-rate",
    "installer: GetComponentHealth": "/tools/get-component-health",
    "installer: GetCommitRegressions": "/tools/get-commit-regressions",
}
# every tool that answers from the snapshot with nothing but its usual arguments
ALL_READERS = {f"{tool.group}: {tool.name}": tool.endpoint for tool in all_tools(tracking=False) if tool.uses_tables}
MISSED = 5


@dataclass(frozen=True)
class Row:
    """One figure beside its aim. `aim`: at most (or least) that; None: no aim."""

    what: str
    value: float
    unit: str
    aim: float | None = None
    at_least: bool = False

    @property
    def passes(self) -> bool | None:
        if self.aim is None:
            return None
        return self.value >= self.aim if self.at_least else self.value <= self.aim


def call(path: str, **parameters: object) -> bytes:
    """A tool call as Opal makes it."""
    return request_bytes(path, json.dumps({"parameters": parameters}).encode(), **BEARER)


def mcp_call(tool: str, **arguments: object) -> bytes:
    """The same by MCP."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    more = {"accept": "application/json, text/event-stream", "mcp_protocol_version": "2025-06-18", **BEARER}
    return request_bytes("/mcp", json.dumps(message).encode(), **more)


def beside_the_bare_route(server: Running, rounds: int, seconds: float) -> list[Row]:
    """Ratios of cached answers and of MCP calls to the route that does nothing, in the same rounds."""
    rows = []
    noop = [request_bytes("/noop", b'{"parameters": {}}', **BEARER)]
    ready, by_mcp = [call("/tools/get-key-numbers")], [mcp_call("get_key_numbers")]
    with bare_route() as peer:
        for warm in ((peer, noop), (server, ready), (server, by_mcp)):
            only_good(measure(warm[0].pid, warm[0].port, warm[1], connections=4, seconds=0.5))
        for connections in CONNECTIONS:
            laps: dict[str, list[Lap]] = {"noop": [], "ready": [], "mcp": []}
            for _ in range(rounds):
                for name, (where, requests) in {
                    "noop": (peer, noop), "ready": (server, ready), "mcp": (server, by_mcp)
                }.items():  # fmt: skip
                    lap = measure(where.pid, where.port, requests, connections=connections, seconds=seconds)
                    laps[name].append(only_good(lap))
            of = f"{connections} connection{'s' if connections > 1 else ''}"
            rate = {name: [lap.a_second for lap in some] for name, some in laps.items()}
            cpu = {name: [lap.cpu_each for lap in some] for name, some in laps.items()}
            rows += [
                Row(f"bare route, {of}", statistics.median(rate["noop"]), "requests/s"),
                Row(f"cached, {of}", statistics.median(rate["ready"]), "requests/s"),
                Row(f"cached / bare, {of}: CPU a request", median_ratio(cpu["ready"], cpu["noop"]), "x", 1.0),
                Row(f"cached / bare, {of}: requests/s", median_ratio(rate["ready"], rate["noop"]), "x", 1.0, True),
                Row(f"MCP / bare, {of}: CPU a request", median_ratio(cpu["mcp"], cpu["noop"]), "x", 8.0),
            ]
        rows.append(Row("bare route, most memory", memory_peak(peer.pid), "MB"))
    rows.append(Row("tool server, most memory", memory_peak(server.pid), "MB"))
    return rows


def misses(full: Full, rounds: int, seconds: float) -> list[Row]:
    """What an answer costs that is made from the snapshot each time, without a cache.

    Every tool with one connection, as it is asked without arguments; those of READERS also with others, and with four.
    """
    rows = []
    today = datetime.now(UTC).date()
    days = [(today - timedelta(days=1 + number)).isoformat() for number in range(8)]
    with tool_server(full.folder.parent, {**full.environ, "MATOKIT_TOOLSERVER_CACHE_SECONDS": "0"}) as server:
        for name, path in ALL_READERS.items():
            if name not in READERS:
                rows.append(one_miss(server, name, [call(path)], 1, rounds, seconds))
        for name, path in READERS.items():
            for connections in (1, 4):
                # other arguments on each connection: what is asked at once is otherwise made once
                which = days if path.endswith("key-numbers") else [None] * 8
                requests = [call(path, limit=10 + number, date=day) for number, day in enumerate(which)]
                rows.append(one_miss(server, name, requests, connections, rounds, seconds))
        rows.append(Row("without a cache, most memory", memory_peak(server.pid), "MB"))
    return rows


def one_miss(server: Running, name: str, requests: list[bytes], connections: int, rounds: int, seconds: float) -> Row:
    """The median over some rounds."""
    only_good(measure(server.pid, server.port, requests, connections=connections, seconds=0.3))
    laps = [
        only_good(measure(server.pid, server.port, requests, connections=connections, seconds=seconds))
        for _ in range(rounds)
    ]
    cpu = statistics.median(lap.cpu_each for lap in laps) * 1000
    return Row(f"miss, {name}, {connections} conn.", cpu, "ms of CPU", 3.0)


def swaps(full: Full, server: Running, seconds: float) -> list[Row]:
    """The same load on several tools with and without a snapshot that changes every second."""
    requests = [call(path, limit=10 + number) for path in READERS.values() for number in range(3)]
    only_good(measure(server.pid, server.port, requests, connections=4, seconds=1.0))
    still = only_good(measure(server.pid, server.port, requests, connections=4, seconds=seconds))
    ended, published = threading.Event(), []

    def publish() -> None:
        while not ended.wait(1.0):
            published.append(publish_copy(full.folder))

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        moving = measure(server.pid, server.port, requests, connections=4, seconds=seconds)
    finally:
        ended.set()
        thread.join()
    failed = sum(times for status, times in moving.statuses.items() if status != 200)
    return [
        Row("changing snapshot: snapshots published", len(published), ""),
        Row("changing snapshot: requests", moving.requests, ""),
        Row("changing snapshot: requests that failed", failed, "", 0),
        Row("p99 without", still.percentile(0.99) * 1000, "ms"),
        Row("p99 with", moving.percentile(0.99) * 1000, "ms"),
        Row("p99 with / without", moving.percentile(0.99) / still.percentile(0.99), "x", 3.0),
    ]


def only_good(lap: Lap) -> Lap:
    """The lap, unless an answer was no answer: then its figures mean nothing."""
    if set(lap.statuses) != {200}:
        raise RuntimeError(f"answers that are none: {lap.statuses}")
    return lap


def show(rows: list[Row]) -> None:
    """The table."""
    for row in rows:
        aim = "" if row.aim is None else f"{'at least' if row.at_least else 'at most'} {row.aim:g}"
        verdict = {None: "", True: "yes", False: "NO"}[row.passes]
        value = f"{row.value:,.0f}" if row.value >= 100 or row.unit == "" else f"{row.value:.2f}"
        print(f"{row.what:<58} {value:>9} {row.unit:<11} {aim:<14} {verdict}")


def main() -> int:
    """Print the figures; 5 when an aim is missed."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--short", action="store_true", help="three short rounds")
    options.add_argument("--json", type=Path, help="write the figures into this file")
    chosen = options.parse_args()
    rounds, seconds = (3, 0.7) if chosen.short else (7, 1.5)
    with tempfile.TemporaryDirectory() as folder:
        full = full_home(Path(folder), days=28 if chosen.short else 90, events_per_day=300)
        with tool_server(full.folder.parent, {**full.environ, "MATOKIT_TOOLSERVER_CACHE_SECONDS": "3600"}) as server:
            rows = beside_the_bare_route(server, rounds, seconds)
            rows += swaps(full, server, 4.0 if chosen.short else 10.0)
        rows += misses(full, min(3, rounds), seconds)
    show(rows)
    if chosen.json:
        chosen.json.write_text(json.dumps([{**asdict(row), "passes": row.passes} for row in rows], indent=1))
    return MISSED if any(row.passes is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
