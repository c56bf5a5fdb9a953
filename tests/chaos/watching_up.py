"""`matokit up` as an operator sees it: its lines, its processes, its runs. Used by test_up.py, asserts nothing."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import RunRecord

LOG = logging.getLogger("up")
COMMANDS = {
    "web server": "dagster_webserver --host",
    "daemon": "dagster._daemon run",
    "code server": "dagster api grpc",
    "run": "multiprocessing.spawn",
}
LOCATIONS = """query { workspaceOrError { ... on Workspace { locationEntries {
  name locationOrLoadError { __typename } } } } }"""


@dataclass(frozen=True)
class Process:
    """One line of ps."""

    pid: int
    parent: int
    group: int
    command: str


def processes() -> list[Process]:
    """All processes of the machine that have not ended."""
    lines = subprocess.run(["ps", "-ewwo", "pid,ppid,pgid,stat,args"], capture_output=True, text=True, check=True)
    fields = [line.split(None, 4) for line in lines.stdout.splitlines()[1:]]
    return [Process(int(f[0]), int(f[1]), int(f[2]), f[4]) for f in fields if len(f) == 5 and f[3][0] != "Z"]


class Up:
    """A running `matokit up`. `lines`: (moment on the monotonic clock, what it said)."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.lines: list[tuple[float, str]] = []
        command = [sys.executable, "-m", "matokit_pipelines.cli.main", "up", "--port", "0"]
        self.process = subprocess.Popen(
            command, cwd=folder, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            LOG.info("up: %s", line.rstrip())
            self.lines.append((time.monotonic(), line.rstrip()))

    def close(self) -> None:
        """Kill what is left; for the end of a test that failed."""
        self.process.kill()
        self.process.wait()
        self._reader.join(20)

    def said(self, text: str, since: float = 0.0) -> bool:
        """Whether a line after `since` holds the text."""
        return any(text in line for moment, line in self.lines if moment >= since)

    @property
    def address(self) -> str:
        """Of the web page."""
        found = [re.search(r"http://\S+", line) for _, line in self.lines]
        return next(match.group() for match in found if match)

    def family(self) -> list[Process]:
        """All processes below it: keepers, children, runs."""
        everybody = processes()
        keepers = {p.pid for p in everybody if p.parent == self.process.pid and p.group == p.pid}
        return [p for p in everybody if p.group in keepers]

    def pids(self, role: str) -> list[int]:
        """The processes of a role of COMMANDS, keepers left out."""
        found = [p for p in self.family() if COMMANDS[role] in p.command and "cli.keeper" not in p.command]
        return [p.pid for p in found]

    def locations(self) -> dict[str, str]:
        """Code locations as the web page shows them: name -> type of what was loaded."""
        request = urllib.request.Request(
            f"{self.address}/graphql", json.dumps({"query": LOCATIONS}).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            entries: list[dict[str, Any]] = json.load(answer)["data"]["workspaceOrError"]["locationEntries"]
        return {entry["name"]: (entry["locationOrLoadError"] or {}).get("__typename", "") for entry in entries}


def runs(instance: dg.DagsterInstance, *statuses: dg.DagsterRunStatus) -> list[RunRecord]:
    """Refreshes of these states, oldest first."""
    found = instance.get_run_records(dg.RunsFilter(job_name="refresh", statuses=list(statuses)))
    return sorted(found, key=lambda record: record.create_timestamp)


def eventually(what: Callable[[], Any], seconds: float, why: str) -> Any:
    """Ask until the answer is true; AssertionError with `why` when it is not in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := what():
                return found
        except OSError as error:
            LOG.info("%s: %s", why, error)
        time.sleep(0.1)
    raise AssertionError(f"not in {seconds:.0f} s: {why}")


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    return pid not in {process.pid for process in processes()}


def clean_environment(**more: str) -> dict[str, str]:
    """Ours without settings of the product and of Dagster, the package found where it was found here."""
    strange = ("MATOKIT_", "MATOMO_", "DAGSTER_", "OPAL_", "PORT")
    root = str(Path(__file__).parents[2])
    return {k: v for k, v in os.environ.items() if not k.startswith(strange)} | {"PYTHONPATH": root} | more
