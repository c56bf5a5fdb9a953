"""One build in a process of its own: everything, or one touched day, with the seconds of each model. Prints JSON.

Seconds are given twice: by the clock, and of a core, which other work on the machine disturbs less. Not here: what the
models are grouped into (groups.py), what is measured beside it (scan.py, dbt_project.py, with_polars.py).
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from history import ZONE, home_in

from matokit_pipelines.warehouse import build as building
from matokit_pipelines.warehouse import touched
from matokit_pipelines.warehouse.models import Model, Part
from matokit_pipelines.warehouse.refresh import Home, derive, publish_marts

Spent = tuple[float, float]
_DAYS = ("first_day", "last_day", "start_ts", "end_ts")


class Watch:
    """Seconds by the clock and of a core, by what was going on."""

    def __init__(self) -> None:
        self.spent: dict[str, Spent] = {}
        self._what = "opening"
        self._since = (time.perf_counter(), time.process_time())

    def turn_to(self, what: str) -> str:
        """What goes on now; returns what went on until now."""
        clock, core = time.perf_counter(), time.process_time()
        known = self.spent.get(self._what, (0.0, 0.0))
        self.spent[self._what] = (known[0] + clock - self._since[0], known[1] + core - self._since[1])
        before, self._what, self._since = self._what, what, (clock, core)
        return before

    def watched(self, what: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """`work`, with its seconds under `what` and the name of the model that it is given second."""

        def timed(*given: Any, **named: Any) -> Any:
            self.turn_to(f"{what} {given[1].name}")
            try:
                return work(*given, **named)
            finally:
                self.turn_to("other")

        return timed


class Asked:
    """What the models were derived for: days, weeks, months, commits."""

    def __init__(self) -> None:
        self.parts: dict[str, list[Part]] = {}
        self.commits: set[str] = set()

    def listen(self) -> None:
        """Keep what a build asks of its models from now on."""
        run_model, note_commits = building.run_model, touched.note_commits

        def run(con: Any, model: Model, part: Part | None, zone: ZoneInfo) -> int:
            if part:
                self.parts.setdefault(model.file.by, []).append(part)
            return run_model(con, model, part, zone)

        def note(con: Any, commits: Sequence[str]) -> None:
            self.commits |= set(commits)
            note_commits(con, commits)

        building.run_model, touched.note_commits = run, note

    def as_variables(self, zone: ZoneInfo) -> dict[str, str]:
        """The same for all at once: `day_first_day` and so on, for each way of cutting."""
        variables = {}
        for by in ("day", "week", "month", "commit"):
            parts = self.parts.get(by) or self.parts["day"]
            part = Part(min(part.first for part in parts), max(part.last for part in parts))
            given = part.parameters(zone)
            variables |= {f"{by}_{name}": given[name].isoformat() for name in _DAYS}
        return variables


def touch(home: Home, day: date) -> None:
    """Note the day as a landing would."""
    with home.warehouse.writer() as connection:
        connection.execute("insert into ledger.touched_days values (?, ?)", [day, home.clock.now()])


def built(home: Home, day: date | None) -> dict[str, Any]:
    """Build, and tell what it took. Everything when there is no `day`."""
    if day:
        touch(home, day)
    asked, watch = Asked(), Watch()
    asked.listen()
    building.run_checks = watch.watched("checks of", building.run_checks)
    result = derive(home, full=day is None, progress=lambda name, number, of: watch.turn_to(name) and None)
    watch.turn_to("done")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = sum(clock for clock, _ in watch.spent.values())
    start = time.perf_counter()
    publish_marts(home)
    return {
        "spent": watch.spent,
        "seconds": seconds,
        "cpu": sum(core for _, core in watch.spent.values()),
        "published": time.perf_counter() - start,
        "rows": result.rows,
        "commits": sorted(asked.commits),
        "asked": asked.as_variables(ZoneInfo(ZONE)),
        "days": [one.isoformat() for one in result.days][-3:],
        "warnings": [f"{check.table} {check.name} {check.failing_rows}" for check in result.warnings],
        "peak": peak,
        "megabytes": home.warehouse.path.stat().st_size / 1e6,
    }


def main() -> None:
    """Run, and print what it took."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--day", type=date.fromisoformat, help="touch this day; everything when there is none")
    options.add_argument("--only-touch", action="store_true", help="derive nothing")
    chosen = options.parse_args()
    home = home_in(chosen.folder)
    if chosen.only_touch:
        touch(home, chosen.day)
        print("{}")
    else:
        print(json.dumps(built(home, chosen.day)))


if __name__ == "__main__":
    main()
