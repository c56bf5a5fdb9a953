"""What reading a source completely costs: our pass, the floor of the same work, and dlt, side by side in one run.

Everything runs on loopback against pages made once, uncompressed for all; each contestant is a process of its own.
Ratios are medians of the ratios of each round. Also prints the request budget of a day of refreshes every 5 minutes.
`python benchmarks/extract.py [--rows 1000000] [--rounds 3] [--only piwik_pro] [--without-dlt] [--short]`.
What each contestant does: extracting/. Figures and what they mean: docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PARTS = HERE / "extracting"
VENV_OF_DLT = HERE.parent / ".venv-bench"
WANTED = "dlt[duckdb,parquet]>=1.31,<2"
A_TENTH = 0.1
SHORT_ROWS = 200_000

Figures = dict[str, float]


@dataclass
class Board:
    """What was measured of one kind of source, by contestant and round."""

    rounds: list[dict[str, Figures]] = field(default_factory=list)

    def median(self, name: str, figure: str) -> float:
        """Of `seconds`, or of `cpu`, which is seconds of one core."""
        return statistics.median(found[name][figure] for found in self.rounds if name in found)

    def peak(self, name: str) -> float:
        """The greatest, MB."""
        return max(found[name]["peak"] for found in self.rounds if name in found)

    def ratio(self, name: str, other: str) -> float:
        """The median of how many times longer `name` took than `other`, which takes part in each round."""
        return statistics.median(f[name]["seconds"] / f[other]["seconds"] for f in self.rounds if name in f)


def python_of_dlt() -> Path:
    """The Python of the environment that holds dlt, made when it is not there."""
    python = VENV_OF_DLT / "bin" / "python"
    if not (VENV_OF_DLT / "bin" / "dlt").exists():
        print("setting up an environment for dlt (a minute) ...", flush=True)
        venv.create(VENV_OF_DLT, with_pip=True)
        call = [str(python), "-m", "pip", "install", "-q", "-q", "--disable-pip-version-check", WANTED, "requests"]
        subprocess.run(call, check=True)
    return python


@contextmanager
def server(kind: str, rows: int) -> Iterator[dict[str, Any]]:
    """The server in a process of its own; gives what it tells of itself."""
    call = [sys.executable, str(PARTS / "served.py"), kind, str(rows)]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise SystemExit("The server for the benchmark did not start; what it said stands above.")
            yield json.loads(line)
        finally:
            if process.stdin:
                process.stdin.close()  # it serves until then


def ran(python: str | Path, script: str, *arguments: object) -> dict[str, Any]:
    """What a contestant printed."""
    call = [str(python), str(PARTS / script), *map(str, arguments)]
    done = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{script} failed; what it said stands above.")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def report(url: str) -> dict[str, Any]:
    """What the server was asked since the last report."""
    with urllib.request.urlopen(f"{url}/asked", timeout=60) as answer:
        return dict(json.loads(answer.read()))


def one_round(
    kind: str, served: dict[str, Any], kept: Path, dlt: Path | None, *, with_dicts: bool
) -> dict[str, Figures]:
    """Each contestant once, in turns; those that begin with "dlt dicts" only `with_dicts`."""
    url, asked = served["url"], kept / "one.json"
    found: dict[str, Figures] = {}

    def contest(name: str, python: str | Path, script: str, *arguments: object) -> None:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = ran(python, script, *(folder if argument == "FOLDER" else argument for argument in arguments))

    contest("floor", sys.executable, "floor.py", url, "FOLDER", asked, kept / "rows.arrow")
    contest("ours", sys.executable, "ours.py", kind, json.dumps(served), "FOLDER")
    ours = found["ours"]
    found["ours, read again"] = {
        "seconds": ours["again"], "cpu": ours["cpu_again"], "rows": ours["rows"], "peak": ours["peak_again"]
    }  # fmt: skip
    if dlt:
        contest("dlt arrow, append", dlt, "with_dlt.py", kind, "arrow", "append", url, "FOLDER", asked)
        contest("dlt arrow, merge", dlt, "with_dlt.py", kind, "arrow", "merge", url, "FOLDER", asked)
    if dlt and with_dicts:
        enough = round(ours["rows"] * A_TENTH)
        for way in ("append", "merge"):
            name = f"dlt dicts, {way} (tenth)"
            contest(name, dlt, "with_dlt.py", kind, "dicts", way, url, "FOLDER", asked, "--enough", enough)
            for figure in ("seconds", "cpu"):
                found[name][figure] *= ours["rows"] / found[name]["rows"]
    if report(url)["made"]:
        raise SystemExit("The server had to make answers while it was measured; the figures would mean nothing.")
    return found


def measured(kind: str, rows: int, rounds: int, dlt: Path | None) -> None:
    """Print the table of one kind of source."""
    board = Board()
    with server(kind, rows) as served, tempfile.TemporaryDirectory() as folder:
        kept = Path(folder)
        (kept / "home").mkdir()
        ran(sys.executable, "ours.py", kind, json.dumps(served), kept / "home", "--keep", kept)
        first = json.loads((kept / "asked.json").read_text(encoding="utf-8"))
        (kept / "one.json").write_text(json.dumps(first["asked"]), encoding="utf-8")
        report(served["url"])
        for number in range(rounds):
            board.rounds.append(one_round(kind, served, kept, dlt, with_dicts=number == 0))
    visits = f" in {served['visits']:,} visits" if "visits" in served else ""
    print(
        f"\n{kind}: {rows:,} events{visits}, {len(first['asked']):,} requests, {first['bytes'] / 1e6:,.0f} MB, ", end=""
    )
    print(f"uncompressed; medians of {rounds} rounds")
    print(f"{'':<28}{'seconds':>9}{'of a core':>11}{'x floor':>9}{'x ours':>9}{'peak MB':>9}")
    for name in board.rounds[0]:
        taken = f"{board.median(name, 'seconds'):>9.2f}{board.median(name, 'cpu'):>11.2f}"
        beside = f"{board.ratio(name, 'floor'):>9.2f}{board.ratio(name, 'ours'):>9.2f}"
        print(f"{name:<28}{taken}{beside}{board.peak(name):>9.0f}")


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", choices=("piwik_pro", "matomo", "budget"))
    options.add_argument("--without-dlt", action="store_true")
    options.add_argument("--short", action="store_true", help=f"{SHORT_ROWS:,} rows, one round")
    chosen = options.parse_args()
    rows, rounds = (SHORT_ROWS, 1) if chosen.short else (chosen.rows, chosen.rounds)
    dlt = None if chosen.without_dlt or chosen.only == "budget" else python_of_dlt()
    versions = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "polars", "pyarrow", "requests"))
    print(f"Python {platform.python_version()}, {versions}; {platform.machine()} with {cores()} cores", flush=True)
    for kind in ("piwik_pro", "matomo"):
        if chosen.only in (None, kind):
            measured(kind, rows, rounds, dlt)
    if chosen.only in (None, "budget"):
        subprocess.run([sys.executable, str(PARTS / "budget.py")], check=True)


def cores() -> int:
    """How many there are for us."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    main()
