"""The unit of benchmarks/derive.py: one grouped scan of all read events, in a process of its own. Prints JSON.

`--export FILE` writes the columns of the same table that sums need as Parquet instead, for with_polars.py.
Not here: what is held against it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import duckdb
from history import home_in

SCANS = 3
GROUPED = """
select event_date, environment, component, outcome, count(*) as events
from staging.installer_events
group by all
"""


def scanned(file: Path) -> dict[str, float]:
    """Medians of some scans: seconds by the clock and of a core."""
    clock, core = [], []
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        for _ in range(SCANS):
            start, spent = time.perf_counter(), time.process_time()
            connection.execute(GROUPED).fetchall()
            clock.append(time.perf_counter() - start)
            core.append(time.process_time() - spent)
    return {"seconds": statistics.median(clock), "cpu": statistics.median(core)}


def export(file: Path, target: Path) -> None:
    """All columns of the read events, as Parquet."""
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        path = str(target).replace("'", "''")  # COPY takes no parameters
        connection.execute(f"copy (from staging.installer_events) to '{path}' (format parquet)").fetchall()


def main() -> None:
    """Scan or export."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--export", type=Path)
    chosen = options.parse_args()
    file = home_in(chosen.folder).warehouse.path
    if chosen.export:
        export(file, chosen.export)
        print("{}")
    else:
        print(json.dumps(scanned(file)))


if __name__ == "__main__":
    main()
