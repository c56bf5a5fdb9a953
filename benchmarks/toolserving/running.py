"""Processes that are measured: the tool server of a home as `matokit serve` starts it, and the bare route beside it.

Not here: asking them (asking.py), homes.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Running:
    """A process that listens on a port of loopback."""

    pid: int
    port: int


@contextmanager
def tool_server(folder: Path, environ: Mapping[str, str]) -> Iterator[Running]:
    """`matokit serve` with the settings in `folder`; what it logs goes into a file there."""
    command = [sys.executable, "-m", "matokit_pipelines.cli.main", "serve", "--port", "0"]
    surroundings = {**os.environ, **environ, "MATOKIT_CONFIG": str(folder / "matokit.toml"), "PYTHONPATH": str(ROOT)}
    with (folder / "serve.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=surroundings, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            told = process.stdout.readline()
            found = re.search(r":(\d+)/discovery", told)
            if not found:
                raise RuntimeError(f"the tool server did not start: {told} {(folder / 'serve.log').read_text()[-500:]}")
            yield Running(process.pid, int(found[1]))
        finally:
            _end(process)


@contextmanager
def bare_route() -> Iterator[Running]:
    """The peer of peer.py."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.toolserving.peer", str(port)], cwd=ROOT)
    try:
        ends = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.05)
        yield Running(process.pid, port)
    finally:
        _end(process)


def _end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
