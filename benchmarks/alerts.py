"""What the alert rules tell when nothing changed, and how soon they tell what did: the rules held against a model.

Installations are simulated at 20, 100, 500 and 5,000 events a day, weeks without any change and with one planted; the
product's evaluator judges every 5 minutes. Prints false alarms a week and changes caught, raw and guarded, beside what
is expected, and ends with exit code 5 when a figure fails: when its one-sided 95 % bound lies beyond the limit.
`python benchmarks/alerts.py [--quick] [--volumes 100 500] [--only null component] [--weeks 200] [--repetitions 400]
[--seed N] [--processes 2] [--keep FOLDER] [--json FILE] [--very-large]`.
The pieces: alerting/. Figures and what they mean: docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.alerting.cells import Piece, result_of
from benchmarks.alerting.expected import VOLUMES
from benchmarks.alerting.model import CHANGES, in_words
from benchmarks.alerting.tables import as_json, detections, false_alarms, show

VERY_LARGE = 100_000
MOST_WEEKS, MOST_REPETITIONS = 20, 25  # of a piece
FAILED = 5


def pieces(chosen: argparse.Namespace) -> Iterator[Piece]:
    """What is to be simulated, the smallest first."""
    for volume in sorted(chosen.volumes):
        for what in chosen.only:
            if what == "null":
                whole, most = chosen.weeks, MOST_WEEKS
            else:
                whole, most = repetitions(chosen.repetitions, volume), MOST_REPETITIONS
            for number, done in enumerate(range(0, whole, most)):
                size = min(most, whole - done)
                yield Piece(None if what == "null" else what, volume, number, size, chosen.seed)
    if chosen.very_large:
        yield Piece(None, VERY_LARGE, 0, 1, chosen.seed)


def repetitions(wanted: int, volume: int) -> int:
    """Fewer at the largest volume, where little is left to chance."""
    return min(wanted, 100) if volume >= 5_000 else wanted


def simulated(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """The results of all pieces, told as they come."""
    work = list(pieces(chosen))
    if chosen.keep:
        chosen.keep.mkdir(parents=True, exist_ok=True)
    found: list[dict[str, Any]] = []
    begun = time.perf_counter()
    with ProcessPoolExecutor(max_workers=chosen.processes) as pool:
        for number, result in enumerate(pool.map(partial(result_of, folder=chosen.keep), work), start=1):
            found.append(result)
            spent = time.perf_counter() - begun
            print(f"{number} of {len(work)}, {spent:,.0f} s: {work[number - 1].name}", file=sys.stderr, flush=True)
    return found


def main() -> int:
    """Print the tables; 5 when a figure fails."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--volumes", type=int, nargs="+", default=list(VOLUMES), choices=VOLUMES)
    options.add_argument("--only", nargs="+", default=["null", *CHANGES], choices=["null", *CHANGES])
    options.add_argument("--weeks", type=int, default=200)
    options.add_argument("--repetitions", type=int, default=400)
    options.add_argument("--quick", action="store_true", help="60 weeks, 100 repetitions, at 100 and 500 events a day")
    options.add_argument("--seed", type=int, default=20_261_122)
    options.add_argument("--processes", type=int, default=1)
    options.add_argument("--keep", type=Path, help="keep the results of pieces in this folder and go on from them")
    options.add_argument("--json", type=Path, help="write all figures into this file")
    options.add_argument("--very-large", action="store_true", help="a week of 100,000 events a day too")
    chosen = options.parse_args()
    if chosen.quick:
        chosen.weeks, chosen.repetitions, chosen.volumes = 60, 100, [100, 500]
    results = simulated(chosen)
    volumes = sorted({result["volume"] for result in results})
    figures = false_alarms([r for r in results if r["change"] is None], volumes)
    figures += detections([r for r in results if r["change"] is not None], volumes)
    print(in_words(chosen.seed))
    show(figures)
    if chosen.json:
        chosen.json.write_text(json.dumps(as_json(figures), indent=1), encoding="utf-8")
    failed = sum(figure.passes is False for figure in figures)
    judged = sum(figure.passes is not None for figure in figures)
    print(f"\n{failed} of {judged} figures fail" if failed else f"\nall {judged} figures pass")
    return FAILED if failed else 0


if __name__ == "__main__":
    sys.exit(main())
