"""How long the weekly report takes from a published snapshot, by part: numbers, charts as SVG and PNG, page, message.

`first` holds what a process does once (starting the drawing program), `next` is the median of further rounds; seconds
of the clock and of the processor. `python benchmarks/reports.py [--home FOLDER --monday 2026-11-09] [--rounds 5]`;
without a home a made-up site of about 5,000 events a day. Not here: the dashboards' pages (dashboards.py).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.clock import SystemClock
from matokit_pipelines.reports.weekly import charts
from matokit_pipelines.reports.weekly.message import weekly_message
from matokit_pipelines.reports.weekly.numbers import weekly_numbers
from matokit_pipelines.reports.weekly.pages import render_weekly, weekly_document, write_weekly
from matokit_pipelines.warehouse.snapshots import Snapshot, open_current
from matokit_pipelines.windows import last_complete_week, zone_named
from tests.weekly_marts import MONDAY, publish_events, seeded_weeks

LIMIT = 3.0  # seconds from a warm snapshot to the written files, charts included
RUNS_A_DAY = 850


@dataclass
class Laps:
    """Seconds by part: of the clock and of the processor, one entry a round."""

    found: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def take(self, part: str, work: Callable[[], Any]) -> Any:
        """What `work` gives; how long it took is kept."""
        clock, processor = time.perf_counter(), time.process_time()
        result = work()
        lap = (time.perf_counter() - clock, time.process_time() - processor)
        self.found.setdefault(part, []).append(lap)
        return result

    def show(self) -> None:
        """Print the table."""
        print(f"{'part':<28}{'first':>8}{'cpu':>7}{'next':>8}{'cpu':>7}")
        for part, laps in self.found.items():
            later = laps[1:] or laps
            clock, processor = (statistics.median(lap[place] for lap in later) for place in (0, 1))
            print(f"{part:<28}{laps[0][0]:>8.2f}{laps[0][1]:>7.2f}{clock:>8.2f}{processor:>7.2f}")


def measure(snapshot: Snapshot, monday: date, laps: Laps, folder: Path) -> None:
    """One round: the whole as it is made, then each part alone."""
    now, links = SystemClock().now(), Links.without_settings()
    laps.take("all, written to disk", lambda: write_weekly(snapshot, monday, now, folder))
    numbers = laps.take("numbers", lambda: weekly_numbers(snapshot, monday, now))
    zone = zone_named(numbers.zone)
    laps.take("document", lambda: weekly_document(numbers))
    laps.take("trend, two SVG", lambda: charts.success_trend(numbers.days, numbers.deployments, zone))
    laps.take("components, two SVG", lambda: charts.failing_components(numbers.failing.rows))
    laps.take("architectures, two SVG", lambda: charts.shares_by_week(numbers.adoption))
    laps.take("three PNG", lambda: charts.pictures(numbers, zone))
    _, text, document = laps.take("page and text with SVG", lambda: render_weekly(numbers, links))
    laps.take("message with PNG", lambda: weekly_message(numbers, document, text, links))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="a home with a published snapshot")
    parser.add_argument("--monday", type=date.fromisoformat, help="the week; default: the last complete one")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    laps = Laps()
    with tempfile.TemporaryDirectory() as folder:
        home: Path = chosen.home or Path(folder) / "home"
        if chosen.home is None:
            publish_events(home, seeded_weeks(runs_a_day=RUNS_A_DAY))
        with open_current(home) as snapshot:
            zone = zone_named(snapshot.manifest.project_zone)
            week = chosen.monday or (last_complete_week(SystemClock().now(), zone) if chosen.home else MONDAY)
            numbers = weekly_numbers(snapshot, week, SystemClock().now())  # the snapshot is warm from here on
            for _ in range(chosen.rounds + 1):
                measure(snapshot, week, laps, Path(folder))
    print(f"{numbers.totals.this_week.rates.events:,} events in the week {numbers.period.label}")
    laps.show()
    whole = statistics.median(lap[0] for lap in laps.found["all, written to disk"][1:])
    print(f"from a warm snapshot to the files in {whole:.2f} s, {'under' if whole < LIMIT else 'OVER'} {LIMIT:.0f} s")


if __name__ == "__main__":
    main()
