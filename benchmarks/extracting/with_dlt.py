"""The same requests read with dlt into DuckDB, run by the Python of an environment that holds dlt.

Two paths: `dicts`, what dlt does with the rows of any JSON service, and `arrow`, tables made of the rows before dlt
sees them. The columns are those that our pass lands; the wall clock stays text and nothing is compared with what is
stored, so dlt does less than we do. Imports nothing of this project. Not here: the floor (floor.py).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"

import dlt
import pyarrow as pa
import requests
from asking import ask

Row = dict[str, Any]
DIMENSIONS = ("dimension1", "dimension2", "dimension3")
TEXTS = ("eventCategory", "eventAction", "eventName", *DIMENSIONS)


def piwik_pro_dicts(page: Any) -> list[Row]:
    """Rows of a page of raw data by column."""
    columns = page["meta"]["columns"]
    return [dict(zip(columns, row, strict=True)) for row in page["data"]]


def piwik_pro_arrow(page: Any) -> pa.Table:
    """The same as a table."""
    columns = page["meta"]["columns"]
    values = list(zip(*page["data"], strict=True)) or [()] * len(columns)
    kinds = {"event_index": pa.int64(), "custom_event_value": pa.float64()}
    arrays = [pa.array(value, kinds.get(name, pa.string())) for name, value in zip(columns, values, strict=True)]
    return pa.table(arrays, names=columns)


def matomo_dicts(visits: Any) -> list[Row]:
    """One row an event of the visits of a page."""
    return [
        {
            "event_id": action["pageId"],
            "visit_id": visit["idVisit"],
            "visitor_id": visit["visitorId"],
            "timestamp": action["timestamp"],
            **{name: action.get(name) for name in TEXTS},
            "eventValue": None if action.get("eventValue") is None else float(action["eventValue"]),
            "visit_first": visit["firstActionTimestamp"],
            "visit_last": visit["lastActionTimestamp"],
        }
        for visit in visits
        for action in visit["actionDetails"]
        if action["type"] == "event"
    ]


def matomo_arrow(visits: Any) -> pa.Table:
    """The same as a table."""
    whole = {name: pa.int64() for name in ("event_id", "visit_id", "timestamp", "visit_first", "visit_last")}
    kinds = whole | {"visitor_id": pa.string(), "eventValue": pa.float64()} | dict.fromkeys(TEXTS, pa.string())
    return pa.Table.from_pylist(matomo_dicts(visits), schema=pa.schema(list(kinds.items())))


READERS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("piwik_pro", "dicts"): piwik_pro_dicts,
    ("piwik_pro", "arrow"): piwik_pro_arrow,
    ("matomo", "dicts"): matomo_dicts,
    ("matomo", "arrow"): matomo_arrow,
}


def holds_rows(kind: str, asked: dict[str, Any]) -> bool:
    """Whether a request is one for events, not for counts or the site."""
    if kind == "matomo":
        return bool(asked["query"].get("method") == "Live.getLastVisitsDetails")
    return "/v1/events" in asked["path"] and json.loads(asked["body"])["limit"] > 1


def main() -> None:
    """Run, and print what it took."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("kind", choices=("piwik_pro", "matomo"))
    options.add_argument("way", choices=("dicts", "arrow"))
    options.add_argument("disposition", choices=("append", "merge"))
    options.add_argument("url")
    options.add_argument("folder", type=Path)
    options.add_argument("asked", type=Path)
    options.add_argument("--enough", type=int, help="stop after the page that brings so many rows")
    chosen = options.parse_args()
    read = READERS[chosen.kind, chosen.way]
    asked = [one for one in json.loads(chosen.asked.read_text()) if holds_rows(chosen.kind, one)]

    def pages() -> Iterator[Any]:
        rows = 0
        with requests.Session() as session:
            for one in asked:
                page = read(ask(session, chosen.url, one).json())
                rows += len(page)
                yield page
                if chosen.enough and rows >= chosen.enough:
                    return

    events = dlt.resource(pages, name="events", primary_key="event_id", write_disposition=chosen.disposition)
    pipeline = dlt.pipeline(
        "bench",
        destination=dlt.destinations.duckdb(str(chosen.folder / "dlt.duckdb")),
        dataset_name="raw",
        pipelines_dir=str(chosen.folder / "state"),
    )
    start, spent = time.perf_counter(), time.process_time()
    pipeline.run(events, **({"loader_file_format": "parquet"} if chosen.way == "arrow" else {}))
    seconds = time.perf_counter() - start
    spent = time.process_time() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with pipeline.sql_client() as client:
        rows = client.execute_sql(f"select count(*) from {client.make_qualified_table_name('events')}")[0][0]
    print(json.dumps({"seconds": seconds, "cpu": spent, "rows": rows, "peak": peak, "version": dlt.__version__}))


if __name__ == "__main__":
    main()
