"""The vendor's own client reads the simulated Piwik PRO, unchanged; what it hands back is compared with the truth.

    python tests/peer/peer_check.py PEER_PYTHON

PEER_PYTHON is the interpreter of an environment with the package piwik-pro-mcp. Leaves with 0 when everything agrees,
else with 1 and a sentence for each difference. Belongs here: the comparison. Does not belong here: the peer's calls
(peer_script.py), which run in its own environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from matokit_pipelines.simulator import PiwikProSimulator, Truth, generate

END = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
FIRST, LAST = "2026-10-20", "2026-11-20"  # the day with the repeated hour is in between
SCRIPT = Path(__file__).with_name("peer_script.py")


def asked(python: str, server: PiwikProSimulator) -> dict[str, Any]:
    """What the peer hands back. Raises RuntimeError with its last words when it fails."""
    environment = os.environ | {
        "PIWIK_PRO_HOST": server.url,
        "PIWIK_PRO_CLIENT_ID": server.client_id,
        "PIWIK_PRO_CLIENT_SECRET": server.client_secret,
        "PIWIK_PRO_ALLOW_INSECURE_HOST": "1",
        "PIWIK_PRO_TELEMETRY": "0",
        "LOG_LEVEL": "ERROR",
    }
    command = [python, str(SCRIPT), server.site_id, FIRST, LAST]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(
            f"The peer failed: {done.stderr.strip().splitlines()[-1] if done.stderr else done.returncode}"
        )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def expected(truth: Truth) -> dict[str, Any]:
    """The figures of the queries, from what was sent."""
    wall = pl.col("event_ts").dt.convert_time_zone(truth.zone).dt.replace_time_zone(None)
    days = (datetime.fromisoformat(FIRST), datetime.fromisoformat(LAST) + timedelta(days=1))
    events = truth.events.with_columns(wall=wall).filter(pl.col("wall").is_between(*days, closed="left"))
    measures = {"events": pl.len(), "custom": pl.col("category").count(), "visitors": pl.col("visitor_id").n_unique()}
    by_day = events.group_by(key=pl.col("wall").dt.strftime("%Y-%m-%d")).agg(**measures).sort("key")
    by_hour = events.group_by(key=pl.col("wall").dt.strftime("%Y-%m-%dT%H:00:00")).agg(pl.len()).sort("key")
    custom = events.filter(pl.col("category").is_not_null())
    by_category = custom.group_by("category").agg(pl.len()).filter(pl.col("len") >= 2).sort("category")
    stored = events.filter(pl.col("value") >= 0)["value"].sum()
    frames = {"by_day": by_day, "by_hour": by_hour, "by_category": by_category}
    return {name: [list(row) for row in frame.rows()] for name, frame in frames.items()} | {"value": [[stored]]}


def differences(found: dict[str, Any], truth: Truth, site: str) -> Iterator[str]:
    """A sentence for everything that the peer hands back and that is not so."""
    for name, rows in expected(truth).items():
        got = found[name]
        if got["data"] != rows or got["meta"]["count"] != len(rows):
            wrong = next((pair for pair in zip(got["data"], rows, strict=False) if pair[0] != pair[1]), None)
            yield f"{name}: {len(got['data'])} rows, sent {len(rows)}; first difference {wrong}."
    dimensions = [(one["attributes"]["tracking_id"], one["attributes"]["slot"]) for one in found["dimensions"]]
    settings = found["settings"]["settings"]
    details = {one["column_id"]: one["available_transformations"] for one in found["details"]["dimensions"]}
    to_date = [one["transformation_id"] for one in details["timestamp"]["dimension_to_dimension"]]
    facts = {
        "the list of apps": ([(one["id"], one["name"]) for one in found["apps"]["apps"]], [(site, "Installer")]),
        "the number of apps": (found["apps"]["total"], 1),
        "the app's zone": (found["app"]["timezone"], truth.zone),
        "tracking ids and slots": (dimensions, [(1, 1), (2, 2), (3, 3)]),
        "one custom dimension": (found["dimension"]["data"]["id"], found["dimensions"][0]["id"]),
        "slots in use": (found["slots"]["data"]["attributes"]["event"]["used"], 3),
        "the name of a column": (found["columns"]["dimensions"]["custom_event_value"], "Custom event value"),
        "the name of a metric": (found["metrics"]["metrics"]["custom_events"], "Custom events"),
        "timestamp by date": ("to_date" in to_date, True),
        "what a session's limit does": (settings.get("session_limit_exceeded_action"), "split_and_exclude"),
        "the words of a refusal": ('Dimension "no_such_column" does not exist.' in found["refusal"], True),
    }
    for what, (got, wanted) in facts.items():
        if got != wanted:
            yield f"{what}: the peer read {got!r}, it is {wanted!r}."


def main(python: str) -> int:
    """Run the check; returns the exit code."""
    truth = generate(days=40, events_per_day=150, seed=5, end=END)
    with PiwikProSimulator(truth, now=lambda: END) as server:
        try:
            found = asked(python, server)
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            print(f"The peer check did not run ({error}).", file=sys.stderr)
            return 1
        wrong = list(differences(found, truth, server.site_id))
        paths = sorted(server.requests.counts)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    days = len(found["by_day"]["data"])
    print(f"The vendor's client read {days} days and {len(found['by_hour']['data'])} hours over {len(paths)} paths:")
    print("\n".join(f"  {path}" for path in paths))
    print("All figures are those of the truth." if not wrong else f"{len(wrong)} differences.")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("Name the interpreter of the peer: peer_check.py PEER_PYTHON.", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
