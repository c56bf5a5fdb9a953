"""Our pass as a contestant: a fresh home, everything read, then the same windows read again. Prints JSON.

Not here: what is measured beside it (floor.py, with_dlt.py), the server (served.py).
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import requests

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.settings import load
from matokit_pipelines.warehouse.passes import PassResult
from matokit_pipelines.warehouse.refresh import Home, extract


def home_in(folder: Path, kind: str, served: dict[str, Any]) -> Home:
    """A fresh home that reads the server."""
    (folder / "matokit.toml").write_text(
        f'[project]\ntimezone = "{served["zone"]}"\n[[sources]]\nname = "installers"\nkind = "{kind}"\n'
        f'url = "{served["url"]}"\nsite_id = "{served["site_id"]}"\nstart_date = {served["start"]}\n'
        "[http]\nrequests = 100000\n",
        encoding="utf-8",
    )
    secrets = {f"MATOKIT_INSTALLERS_{name}": secret for name, secret in served["secrets"].items()}
    environ = {"MATOKIT_HOME": str(folder), **secrets}
    return Home.of(load(environ=environ, cwd=folder), FixedClock(datetime.fromisoformat(served["now"])))


def whole(results: list[PassResult]) -> PassResult:
    """The one result, which must be of a pass that proved everything."""
    (result,) = results
    if result.error or result.unproven or result.quarantined or result.differing_days:
        raise RuntimeError(f"the pass is not whole: {result}")
    return result


def keep(home: Home, kind: str, url: str, folder: Path) -> None:
    """Write what was asked, and what was landed as Arrow in the order it lies in: what the floor repeats."""
    report = requests.get(f"{url}/asked", timeout=60).content
    (folder / "asked.json").write_bytes(report)
    with home.warehouse.reader() as connection:
        table = connection.sql(f"select * from raw.{kind}_events").to_arrow_table()
    with pa.OSFile(str(folder / "rows.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def main() -> None:
    """Run, and print what it took."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("kind")
    options.add_argument("served", type=json.loads)
    options.add_argument("folder", type=Path)
    options.add_argument("--keep", type=Path, help="write what was asked and landed into this folder")
    chosen = options.parse_args()
    home = home_in(chosen.folder, chosen.kind, chosen.served)
    start, spent = time.perf_counter(), time.process_time()
    result = whole(extract(home))
    found: dict[str, Any] = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - spent}
    found["rows"] = result.landed
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if chosen.keep:
        keep(home, chosen.kind, chosen.served["url"], chosen.keep)
    days = date.fromisoformat(chosen.served["start"]), home.clock.now().date() - timedelta(days=1)
    start, spent = time.perf_counter(), time.process_time()
    again = whole(extract(home, days=days))
    found["again"], found["cpu_again"] = time.perf_counter() - start, time.process_time() - spent
    found["peak_again"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if again.inserted or again.changed or again.vanished or again.landed < result.landed:
        raise RuntimeError(f"reading again was not the same: {again}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
