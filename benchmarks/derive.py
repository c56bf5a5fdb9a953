"""What deriving costs: a full build and one touched day at 1, 10 and 50 million events, beside dbt and polars.

Each size is a home of its own, made once; each measured step is a process of its own. The unit is one grouped scan of
the read events. dbt runs the same SQL in a copy of the same file, and what it makes must be the same, row by row.
`python benchmarks/derive.py [--millions 1 10 50] [--short] [--rounds 3] [--keep FOLDER [--reuse]] [--json FILE]
[--without-dbt]`.
The steps: deriving/. Figures and what they mean: docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PARTS = HERE / "deriving"
sys.path.insert(0, str(PARTS))

from groups import hold_against  # noqa: E402 - lies beside the steps, which run as scripts
from tables import Found, Size, show_size, show_sizes, verdicts  # noqa: E402

VENV_OF_DBT = HERE.parent / ".venv-bench"
# newer versions of dbt-core fetch a binary from elsewhere while they are installed
WANTED = ("dbt-duckdb>=1.11,<1.12", "dbt-core>=1.11,<1.12", "duckdb>=2,<3")
MATOKIT = str(Path(sys.executable).with_name("matokit"))
RUNNING_DAY = date(2026, 11, 20)
COMPLETE_DAY = RUNNING_DAY - timedelta(days=1)
FULL_ROUNDS_UP_TO = 2.0  # millions; above that everything is derived once
DBT_DERIVES_ALL_UP_TO = 2.0  # millions; above that dbt derives single days only


def python_of_dbt() -> Path:
    """The Python of the environment that holds dbt, made when it is not there."""
    python = VENV_OF_DBT / "bin" / "python"
    if not (VENV_OF_DBT / "bin" / "dbt").exists():
        print("setting up an environment for dbt (a minute) ...", flush=True)
        if not python.exists():
            venv.create(VENV_OF_DBT, with_pip=True)
        call = [str(python), "-m", "pip", "install", "-q", "-q", "--disable-pip-version-check", *WANTED]
        subprocess.run(call, check=True)
    return python


def whole(call: list[str], **more: Any) -> dict[str, float]:
    """Run a process and tell what all of it took: seconds, seconds of a core, MB at most."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(call, stdout=said, stderr=subprocess.STDOUT, **more)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(call[:6])} failed:\n{said.read().decode(errors='replace')[-4000:]}")
    return {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1024}


def ran(script: str, *arguments: object) -> dict[str, Any]:
    """What a step printed."""
    done = subprocess.run(
        [sys.executable, str(PARTS / script), *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{script} failed; what it said stands above.")
    return dict(json.loads(done.stdout.splitlines()[-1]))


class Dbt:
    """The project of one size, and what it took to run."""

    def __init__(self, python: Path, home: Path, folder: Path) -> None:
        self.folder = folder
        self._call = [str(python.parent / "dbt"), "run", "--project-dir", str(folder), "--profiles-dir", str(folder)]
        made = ran("dbt_project.py", home, folder, "--threads", cores())
        self.tables: list[str] = made["tables"]
        self.left_out: list[str] = made["left_out"]

    def run(self, ours: dict[str, Any]) -> dict[str, float]:
        """Derive all its models, for the days and commits that our build derived."""
        ran("dbt_project.py", self.folder, self.folder, "--commits", json.dumps(ours["commits"]))
        call = [*self._call, "--vars", json.dumps(ours["asked"])]
        return whole(call, cwd=self.folder, env=os.environ | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"})


def same(name: str, ours: dict[str, list[str]], theirs: dict[str, list[str]]) -> None:
    """End the benchmark when tables that must be the same are not."""
    other = [table for table, sums in theirs.items() if ours[table] != sums]
    if other:
        told = "; ".join(f"{table}: ours {ours[table]}, theirs {theirs[table]}" for table in other)
        raise SystemExit(f"What {name} derived differs from ours: {told}.")


def measured(millions: float, rounds: int, folder: Path, python: Path | None, *, reuse: bool) -> Size:
    """Everything about one size. `reuse`: its home is there already, and so is what deriving it took."""
    place = folder / f"{millions:g}m"
    home, project, known = place / "home", place / "dbt", place / "full.json"
    found = Found()
    if reuse and known.exists():
        kept = json.loads(known.read_text(encoding="utf-8"))
        landed, found.rounds = kept["landed"], kept["rounds"]
        ran("ours.py", home, "--day", COMPLETE_DAY)  # derives what is defined in another way by now
        shutil.rmtree(project, ignore_errors=True)
        dbt = Dbt(python, home, project) if python else None
    else:
        shutil.rmtree(place, ignore_errors=True)
        landed = ran("history.py", home, millions)
        print(f"{landed['events']:,} events of {landed['days']:,} days landed", flush=True)
        dbt = derived_whole(home, project, found, millions, rounds, python)
        known.write_text(json.dumps({"landed": landed, "rounds": found.rounds}), encoding="utf-8")
    for _ in range(rounds):
        found.add("scan", ran("scan.py", home))
    theirs = with_polars(home, found)
    for _ in range(rounds):
        one_day(home, dbt, found)
    ours = sums(home / "warehouse.duckdb", {*theirs, *(dbt.tables if dbt else ())})
    same("polars", ours, theirs)
    if dbt:
        same("dbt", ours, sums(project / "warehouse.duckdb", dbt.tables))
    return Size(millions, landed, found, list(theirs), dbt.left_out if dbt else [])


def derived_whole(
    home: Path, project: Path, found: Found, millions: float, rounds: int, python: Path | None
) -> Dbt | None:
    """Derive everything, and let dbt do so where that does not take too long."""
    begins_empty = python is not None and millions <= DBT_DERIVES_ALL_UP_TO
    dbt = Dbt(python, home, project) if python and begins_empty else None
    for _ in range(rounds if millions <= FULL_ROUNDS_UP_TO else 1):
        found.add("full", ran("ours.py", home))
    if dbt:
        found.add("full, dbt", dbt.run(found.last("full")))
    elif python:
        dbt = Dbt(python, home, project)  # begins with a copy of what we derived
    return dbt


def one_day(home: Path, dbt: Dbt | None, found: Found) -> None:
    """One touched day each: the newest complete one, in process and as whole processes; and the running one."""
    day = ran("ours.py", home, "--day", COMPLETE_DAY)
    found.add("day", day)
    ran("ours.py", home, "--day", COMPLETE_DAY, "--only-touch")
    settings = {"MATOKIT_HOME": str(home), "MATOKIT_CONFIG": str(home / "matokit.toml")}
    found.add("day, whole process", whole([MATOKIT, "build"], env=os.environ | settings, cwd=home))
    found.add("running day", ran("ours.py", home, "--day", RUNNING_DAY))
    if dbt:
        found.add("day, dbt", dbt.run(day))


def with_polars(home: Path, found: Found) -> dict[str, list[str]]:
    """Let polars derive the cube and the sums; returns the sums over its tables."""
    with tempfile.TemporaryDirectory(dir=home) as made:
        events = Path(made) / "events.parquet"
        ran("scan.py", home, "--export", events)
        taken = ran("with_polars.py", events, made)
        found.add("polars", taken)
        return sums(Path(made), taken["tables"])


def sums(place: Path, tables: Any) -> dict[str, list[str]]:
    """Rows and a checksum of each of the tables."""
    return ran("sums.py", place, *sorted(tables))


def cores() -> int:
    """How many there are for us."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--millions", type=float, nargs="+", default=[1, 10, 50])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--short", action="store_true", help="one million, one round")
    options.add_argument("--keep", type=Path, help="keep the homes in this folder")
    options.add_argument("--reuse", action="store_true", help="do not make kept homes anew, nor derive them whole")
    options.add_argument("--json", type=Path, help="write all numbers into this file")
    options.add_argument("--without-dbt", action="store_true")
    chosen = options.parse_args()
    millions, rounds = ([1.0], 1) if chosen.short else (sorted(chosen.millions), chosen.rounds)
    hold_against(path.parent.relative_to(HERE.parent / "sql").as_posix().replace("/", ".")
                 for path in (HERE.parent / "sql").glob("*/*/model.yaml"))  # fmt: skip
    python = None if chosen.without_dbt else python_of_dbt()
    versions = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "polars", "pyarrow"))
    print(f"Python {platform.python_version()}, {versions}; {platform.machine()} with {cores()} cores", flush=True)
    sizes: list[Size] = []
    with tempfile.TemporaryDirectory() as scratch:
        for size in millions:
            folder = chosen.keep or Path(scratch)
            sizes.append(measured(size, rounds, folder, python, reuse=chosen.reuse))
            show_size(sizes[-1])
            if not chosen.keep:
                shutil.rmtree(folder / f"{size:g}m")
    show_sizes(sizes)
    missed = verdicts(sizes)
    if chosen.json:
        chosen.json.write_text(json.dumps([size.as_json() for size in sizes], indent=1), encoding="utf-8")
    print(f"\n{missed} aims missed" if missed else "\nall aims reached")


if __name__ == "__main__":
    main()
