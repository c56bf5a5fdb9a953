"""What evaluating the alerts costs: one tick, a day of catch-up, a month of back-test; time and most memory.

At 1 and 10 million events of history (50,000 a day) the rules are asked at one tick: an ordinary one, the one at local
midnight (arch_gap) and the one of the daily rules. Then the 288 ticks of a day, by the rules alone and as a whole pass
with everything stored; beside it three triggers as plain SQL, a query each a tick. The back-test is the whole command
over 30 days of a home with 5,000 events a day. Every step is a process of its own; the first round of a tick, which
opens the files, is left out.
`python benchmarks/ticks.py [--millions 1 10] [--rounds 5] [--keep FOLDER [--reuse]] [--json FILE]`.
The homes: deriving/history.py. Figures and what they mean: docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "deriving"))

import history  # noqa: E402 - lies beside the steps of deriving, which run as scripts

from matokit_pipelines import state  # noqa: E402
from matokit_pipelines.alerts import store  # noqa: E402
from matokit_pipelines.alerts.evaluation import evaluate, evaluate_runs, ticks_between  # noqa: E402
from matokit_pipelines.alerts.passes import run_pass  # noqa: E402
from matokit_pipelines.warehouse.event_log import WarehouseLog  # noqa: E402
from matokit_pipelines.warehouse.refresh import derive, publish_marts  # noqa: E402

MATOKIT = str(Path(sys.executable).with_name("matokit"))
SMALL_A_DAY, SMALL_DAYS, TESTED_DAYS = 5_000, 75, 30
NOW = history.WATERMARK.astimezone(UTC)  # noon of the running day, on the grid
TICKS = {
    "an ordinary tick": NOW,
    "the tick at midnight": NOW - timedelta(hours=12),
    "the tick of the daily rules": NOW - timedelta(hours=5),
}
TICK = timedelta(minutes=5)
A_DAY = ticks_between(NOW - timedelta(days=1), NOW)
AIMS = {"tick": 0.5, "catch-up": 20.0, "back-test": 10.0}  # seconds
_PLAIN = (
    "select count(*), count(*) filter (outcome = 'failure') from staging.installer_events "
    "where counted and environment = 'production' and event_ts >= $at - interval 2 hours and event_ts < $at",
    "select count(*) filter (outcome = 'failure') from staging.installer_events "
    "where counted and environment = 'production' and event_ts >= $at - interval 1 hour and event_ts < $at",
    "select component, count(*) filter (event_ts >= $at - interval 4 hours), "
    "count(*) filter (event_ts >= $at - interval 4 hours and outcome = 'failure'), "
    "count(*) filter (event_ts < $at - interval 4 hours), "
    "count(*) filter (event_ts < $at - interval 4 hours and outcome = 'failure') from staging.installer_events "
    "where counted and environment = 'production' and event_ts >= $at - interval 28 hours and event_ts < $at "
    "group by component",
)


# -- steps, each in a process of its own ------------------------------------------------------------------------------


def made(folder: Path, millions: float) -> dict[str, Any]:
    """A home with derived events; `millions` 0: that of the back-test."""
    if not millions:
        history.EVENTS_A_DAY = SMALL_A_DAY
        millions = SMALL_A_DAY * SMALL_DAYS / 1e6
    landed = history.land(folder, millions)
    home = history.home_in(folder)
    publish_marts(home, derive(home))
    return landed


def at_a_tick(folder: Path, tick: datetime, rounds: int) -> dict[str, Any]:
    """All rules that are due at one tick, each round with nothing known; the first round opens the files."""
    home = history.home_in(folder)
    alerts, zone = home.loaded.settings.alerts, home.loaded.settings.project.zone
    with home.warehouse.reader() as connection:
        return _timed(rounds + 1, lambda: len(evaluate(WarehouseLog(connection), [tick], alerts, zone=zone)))


def of_a_day(folder: Path, rounds: int) -> dict[str, Any]:
    """All rules over the 288 ticks of a day."""
    home = history.home_in(folder)
    alerts, zone = home.loaded.settings.alerts, home.loaded.settings.project.zone
    with home.warehouse.reader() as connection:
        return _timed(rounds, lambda: len(evaluate_runs(WarehouseLog(connection), A_DAY, alerts, zone=zone)))


def a_pass(folder: Path, rounds: int) -> dict[str, Any]:
    """A pass that was last made a day ago: evaluated, led through the life cycle, composed, stored."""
    home = history.home_in(folder)

    def passed() -> int:
        state.file_of(folder).unlink(missing_ok=True)
        with state.opened(folder) as connection, state.transaction(connection):
            connection.execute(
                "insert into progress (name, value) values (?, ?)", [store.EVALUATED_TO, state.moment(A_DAY[0] - TICK)]
            )
        return run_pass(home).ticks

    return _timed(rounds, passed)


def plainly(folder: Path, rounds: int) -> dict[str, Any]:
    """Three triggers as plain SQL, for every tick of a day."""
    home = history.home_in(folder)
    with home.warehouse.reader() as connection:

        def asked() -> int:
            return sum(len(connection.execute(sql, {"at": tick}).fetchall()) for tick in A_DAY for sql in _PLAIN)

        return _timed(rounds, asked)


def backtest(folder: Path) -> dict[str, Any]:
    """The whole command over the last 30 complete days."""
    last = history.RUNNING_DAY - timedelta(days=1)
    words = ["alerts", "backtest", "--from", str(last - timedelta(days=TESTED_DAYS - 1)), "--to", str(last)]
    environ = os.environ | {"MATOKIT_HOME": str(folder), "MATOKIT_CONFIG": str(folder / "matokit.toml")}
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [MATOKIT, *words, "--out", str(folder / "backtest.html")], stdout=said, stderr=said, env=environ, cwd=folder
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        said.seek(0)
        text = said.read().decode(errors="replace")
    if process.returncode:
        raise SystemExit(f"the back-test failed:\n{text[-2000:]}")
    cpu = used.ru_utime + used.ru_stime
    return {"seconds": [seconds], "cpu": [cpu], "peak": used.ru_maxrss / 1024, "said": text.splitlines()[-2]}


def _timed(rounds: int, work: Callable[[], int]) -> dict[str, Any]:
    """Seconds by the clock and of a core for each round, and the most memory of this process in MB."""
    seconds, cpu, count = [], [], 0
    for _ in range(rounds):
        start, core = time.perf_counter(), time.process_time()
        count = work()
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - core)
    return {
        "seconds": seconds,
        "cpu": cpu,
        "count": count,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def step(name: str, folder: Path, argument: str, rounds: int) -> dict[str, Any]:
    """One step by its name."""
    if name == "make":
        return made(folder, float(argument))
    if name == "tick":
        return at_a_tick(folder, datetime.fromisoformat(argument), rounds)
    return {"day": of_a_day, "pass": a_pass, "plain": plainly}[name](folder, rounds)


# -- all of it --------------------------------------------------------------------------------------------------------


def ran(name: str, folder: Path, argument: str = "", rounds: int = 1) -> dict[str, Any]:
    """A step in a process of its own."""
    call = [sys.executable, str(Path(__file__)), "--step", name, str(folder), argument, str(rounds)]
    done = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed; what it said stands above.")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(folder: Path, rounds: int) -> dict[str, dict[str, Any]]:
    """Everything about one home of a large history."""
    found = {name: ran("tick", folder, tick.isoformat(), rounds) for name, tick in TICKS.items()}
    for taken in found.values():
        taken["seconds"], taken["cpu"] = taken["seconds"][1:], taken["cpu"][1:]  # the first round opens the files
    found["a day of catch-up, the rules"] = ran("day", folder, "", min(rounds, 3))
    found["a day of catch-up, a whole pass"] = ran("pass", folder, "", min(rounds, 3))
    found["three triggers as plain SQL, a day"] = ran("plain", folder, "", 1)
    return found


def show(sizes: dict[str, dict[str, dict[str, Any]]]) -> None:
    """One row a step, one column a size: medians, and the quickest round, which other work on the machine disturbed
    least."""
    columns = list(sizes)
    names = list(dict.fromkeys(name for size in sizes.values() for name in size))
    print("\n| seconds by the clock, median; least (of a core; most MB) | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name in names:
        cells = [_cell(sizes[column][name]) if name in sizes[column] else "" for column in columns]
        print(f"| {name} | " + " | ".join(cells) + " |")


def _cell(taken: dict[str, Any]) -> str:
    clock, core = (statistics.median(taken[kind]) for kind in ("seconds", "cpu"))
    return f"{clock:.3g}; {min(taken['seconds']):.3g} ({core:.3g}; {taken['peak']:,.0f})"


def verdicts(sizes: dict[str, dict[str, dict[str, Any]]], backtested: dict[str, Any]) -> int:
    """Print whether the aims are reached; gives how many are not."""
    largest = list(sizes.values())[-1]
    worst = max(statistics.median(largest[name]["seconds"]) for name in TICKS)
    caught_up = statistics.median(largest["a day of catch-up, a whole pass"]["seconds"])
    missed = 0
    for name, reached in (("tick", worst), ("catch-up", caught_up), ("back-test", backtested["seconds"][0])):
        is_reached = reached < AIMS[name]
        missed += not is_reached
        print(f"{name}: {reached:.2f} s, aim under {AIMS[name]:g} s: {'reached' if is_reached else 'MISSED'}")
    return missed


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--millions", type=float, nargs="+", default=[1, 10])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--keep", type=Path, help="keep the homes in this folder")
    options.add_argument("--reuse", action="store_true", help="use the kept homes as they are")
    options.add_argument("--json", type=Path, help="write all numbers into this file")
    options.add_argument("--step", nargs=4, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.step:
        name, folder, argument, rounds = chosen.step
        print(json.dumps(step(name, Path(folder), argument, int(rounds))))
        return
    versions = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "numpy"))
    print(
        f"Python {platform.python_version()}, {versions}; {platform.machine()} with {os.cpu_count()} cores", flush=True
    )
    sizes: dict[str, dict[str, dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        place = chosen.keep or Path(scratch)
        for millions in sorted(chosen.millions):
            sizes[f"{millions:g} million"] = measured(home_of(place, millions, chosen.reuse), chosen.rounds)
        backtested = backtest(home_of(place, 0, chosen.reuse))
    show(sizes)
    show({f"{SMALL_A_DAY:,} a day": {f"back-test of {TESTED_DAYS} days, the whole command": backtested}})
    missed = verdicts(sizes, backtested)
    if chosen.json:
        chosen.json.write_text(json.dumps({"sizes": sizes, "backtest": backtested}, indent=1), encoding="utf-8")
    print(f"\n{missed} aims missed" if missed else "\nall aims reached")


def home_of(place: Path, millions: float, reuse: bool) -> Path:
    """The folder of a home, made unless it is there and to be used again."""
    folder = place / (f"{millions:g}m" if millions else "backtest")
    if not (reuse and (folder / "warehouse.duckdb").exists()):
        shutil.rmtree(folder, ignore_errors=True)
        landed = ran("make", folder, str(millions))
        print(f"{landed['events']:,} events of {landed['days']:,} days landed and derived", flush=True)
    return folder


if __name__ == "__main__":
    main()
