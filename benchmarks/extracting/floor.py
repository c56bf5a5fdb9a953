"""The floor of an extraction: the same requests answered, nothing read of the answers, the same rows inserted.

Belongs here: the least that the same work could cost. The rows lie in memory as Arrow before the clock starts, and go
into a fresh DuckDB file with the columns of the raw table. Not here: what is compared with it (ours.py, with_dlt.py).
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import requests
from asking import ask

THREADS = 4  # as many as our pass fetches with


def main() -> None:
    """Run, and print what it took."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("url")
    options.add_argument("folder", type=Path)
    options.add_argument("asked", type=Path)
    options.add_argument("rows", type=Path)
    chosen = options.parse_args()
    asked = json.loads(chosen.asked.read_text(encoding="utf-8"))
    with pa.memory_map(str(chosen.rows)) as file:
        rows = pa.ipc.open_file(file).read_all().combine_chunks()
    start, spent = time.perf_counter(), time.process_time()
    with requests.Session() as session, ThreadPoolExecutor(THREADS) as threads:
        size = sum(threads.map(lambda one: len(ask(session, chosen.url, one).content), asked))
    fetched = time.perf_counter() - start
    with duckdb.connect(chosen.folder / "floor.duckdb") as connection:
        connection.register("rows", rows)
        connection.execute("create table events as from rows")
    seconds = time.perf_counter() - start
    spent = time.process_time() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"seconds": seconds, "cpu": spent, "fetched": fetched, "rows": len(rows), "bytes": size, "peak": peak}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
