"""The cube and the marts that are sums, with polars from the same read events. Prints JSON.

Reads a Parquet file, writes one a table, both lazily, so that polars need not hold what it does not use.
Not here: reading events, which is text work of the SQL alone; first tries.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import polars as pl

CUBE = "staging.events_daily"
_Z = 1.96
_CUBE_KEY = (
    "event_date", "source", "environment", "component", "architecture", "os_family", "os_release", "commit_sha",
    "outcome", "error_type", "confidence", "counted",
)  # fmt: skip
_NOT_IN_CUBE = ("vanished", "out_of_scope", "duplicate_sender_id")
_COUNTED = pl.col("counted")
_SUCCESS = pl.col("outcome") == "success"
_FAILURE = pl.col("outcome") == "failure"


def cube(events: pl.LazyFrame) -> pl.LazyFrame:
    """staging.events_daily."""
    wanted = pl.col("left_out_reason").is_null() | ~pl.col("left_out_reason").is_in(_NOT_IN_CUBE)
    when = pl.col("event_ts")
    sums = pl.len().alias("events"), when.min().alias("first_ts"), when.max().alias("last_ts")
    return events.filter(wanted).group_by(_CUBE_KEY).agg(*sums)


def data_quality(events: pl.LazyFrame) -> pl.LazyFrame:
    """marts.data_quality_daily."""
    return events.group_by("event_date", "source", "form", "confidence", "left_out_reason").agg(
        pl.len().alias("landed"),
        _COUNTED.sum().alias("counted"),
        pl.col("is_contract_drift").sum().alias("contract_drift"),
    )


def _events(where: pl.Expr) -> pl.Expr:
    return pl.col("events").filter(where).sum()


def _with_rates(frame: pl.LazyFrame) -> pl.LazyFrame:
    """The rate and its Wilson interval; null without events."""
    events = pl.col("events").cast(pl.Float64)
    share = pl.col("successes") / events
    middle = share + _Z * _Z / (2.0 * events)
    width = _Z * (share * (1.0 - share) / events + _Z * _Z / (4.0 * events * events)).sqrt()
    scale = 1.0 + _Z * _Z / events
    low = pl.max_horizontal(0.0, pl.min_horizontal(share, (middle - width) / scale))
    high = pl.min_horizontal(1.0, pl.max_horizontal(share, (middle + width) / scale))
    has = pl.col("events") > 0
    return frame.with_columns(
        pl.when(has).then(share).alias("success_rate"),
        pl.when(has).then(low).alias("success_rate_low"),
        pl.when(has).then(high).alias("success_rate_high"),
    )


def marts(cubed: pl.LazyFrame) -> dict[str, pl.LazyFrame]:
    """The marts that are made of the cube alone."""
    failures = cubed.filter(_COUNTED & _FAILURE).with_columns(pl.col("error_type").fill_null("not_reported"))
    commits = cubed.filter(_COUNTED & pl.col("commit_sha").is_not_null())
    return {
        "marts.environment_daily": _with_rates(
            cubed.group_by("event_date", "environment").agg(
                _events(_COUNTED).alias("events"),
                _events(_COUNTED & _SUCCESS).alias("successes"),
                _events(_COUNTED & _FAILURE).alias("failures"),
                pl.col("events").sum().alias("landed_events"),
                _events(~_COUNTED & (pl.col("outcome") == "unknown")).alias("unknown_events"),
                pl.col("first_ts").min().alias("first_event_at"),
                pl.col("last_ts").max().alias("last_event_at"),
            )
        ),
        "marts.commit_daily": _with_rates(
            commits.group_by("event_date", "environment", "commit_sha").agg(
                pl.col("events").sum().alias("events"),
                _events(_SUCCESS).alias("successes"),
                _events(_FAILURE).alias("failures"),
            )
        ),
        "marts.error_daily": failures.group_by("event_date", "environment", "component", "error_type")
        .agg(pl.col("events").sum().alias("failures"))
        .with_columns((pl.col("error_type") == "already_exists").alias("often_harmless")),
    }


def main() -> None:
    """Derive, and print what it took."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("events", type=Path, help="staging.installer_events as Parquet")
    options.add_argument("folder", type=Path, help="where the tables go")
    chosen = options.parse_args()
    start, spent = time.perf_counter(), time.process_time()
    events = pl.scan_parquet(chosen.events)
    cubed = cube(events).collect(engine="streaming")
    frames = marts(cubed.lazy()) | {"marts.data_quality_daily": data_quality(events)}
    cubed.write_parquet(chosen.folder / f"{CUBE}.parquet")
    for name, frame in frames.items():
        frame.collect(engine="streaming").write_parquet(chosen.folder / f"{name}.parquet")
    found = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - spent}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found | {"peak": peak, "tables": [CUBE, *frames]}))


if __name__ == "__main__":
    main()
