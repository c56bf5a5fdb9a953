"""How many requests a day of refreshes costs at 1 million events a day, beside what Piwik PRO allows.

A simulated account of that volume in small: a five-hundredth of the events in pages of a five-hundredth of the rows,
so windows, pages and requests are as many as in large. The clock is ours and moves five minutes a pass; what a pass
asks falls into one minute unless it waits for its turn, which is the worst case. Not here: how long it takes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.settings import load
from matokit_pipelines.simulator import generate
from matokit_pipelines.simulator.piwik_pro_server import PiwikProSimulator
from matokit_pipelines.simulator.wire import Answer, Listener, Request
from matokit_pipelines.sources.piwik_pro import LARGEST_PAGE, RATE_LIMIT
from matokit_pipelines.warehouse.refresh import Home, extract

EVENTS_A_DAY = 1_000_000
SMALLER = 500
EVERY = timedelta(minutes=5)
PASSES = timedelta(days=1) // EVERY
DAYS = 6
END = datetime(2026, 11, 20, 23, tzinfo=UTC)
FIRST = END - timedelta(days=1)  # the first pass; the day that follows is counted


@dataclass
class Counted:
    """A service whose requests are counted by the minute of `now`, reads (GET) apart from all others."""

    service: PiwikProSimulator
    now: Callable[[], datetime]
    reads: Counter[datetime] = field(default_factory=Counter)
    others: Counter[datetime] = field(default_factory=Counter)
    slow_seconds: float = 0.0

    def answer(self, request: Request) -> tuple[Answer, str | None]:
        """The service's answer."""
        minute = self.now().replace(second=0, microsecond=0)
        (self.reads if request.http == "GET" else self.others)[minute] += 1
        return self.service.answer(request)

    def taken(self) -> tuple[int, int, int, int]:
        """Reads and others, and the most of each in a minute, since the last time this was asked."""
        found = (
            self.reads.total(), self.others.total(),
            max(self.reads.values(), default=0), max(self.others.values(), default=0),
        )  # fmt: skip
        self.reads.clear()
        self.others.clear()
        return found


def home_in(folder: Path, url: str, service: PiwikProSimulator, clock: FixedClock) -> Home:
    """A home that reads the account from its first day on."""
    (folder / "matokit.toml").write_text(
        f'[project]\ntimezone = "Europe/Copenhagen"\n[[sources]]\nname = "installers"\nkind = "piwik_pro"\n'
        f'url = "{url}"\nsite_id = "{service.site_id}"\nstart_date = {(END - timedelta(days=DAYS)).date()}\n'
        f"page_size = {LARGEST_PAGE // SMALLER}\n",
        encoding="utf-8",
    )
    environ = {
        "MATOKIT_HOME": str(folder),
        "MATOKIT_INSTALLERS_CLIENT_ID": service.client_id,
        "MATOKIT_INSTALLERS_CLIENT_SECRET": service.client_secret,
    }
    return Home.of(load(environ=environ, cwd=folder), clock)


def read_once(home: Home) -> None:
    """One pass, which must not fail."""
    for result in extract(home):
        if result.error:
            raise SystemExit(f"A pass of the benchmark failed: {result.error}")


def line(what: str, reads: float, others: float) -> None:
    """One line of the table."""
    print(f"{what:<38}{reads:>10,.1f}{others:>10,.1f}{reads + others:>10,.1f}")


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--passes", type=int, default=PASSES)
    passes = options.parse_args().passes
    truth = generate(days=DAYS, events_per_day=EVENTS_A_DAY / SMALLER, seed=1, end=END)
    clock = FixedClock(FIRST)
    with PiwikProSimulator(truth, now=clock.now) as service, tempfile.TemporaryDirectory() as folder:
        counted = Counted(service, clock.now)
        listener = Listener(counted, 0)
        home = home_in(Path(folder), listener.url, service, clock)
        read_once(home)
        first = counted.taken()
        day: list[tuple[int, int, int, int]] = []
        for number in range(1, passes + 1):
            clock.advance(max(timedelta(), FIRST + number * EVERY - clock.now()))
            read_once(home)
            day.append(counted.taken())
        listener.stop()
    print(f"\nrequests at {EVENTS_A_DAY:,} events a day, a refresh every 5 minutes ({passes} passes)")
    print(f"{'':<38}{'GET':>10}{'others':>10}{'all':>10}")
    line(f"the first pass, over {DAYS - 1} days", first[0], first[1])
    line("a usual pass (median)", *(float(sorted(found[i] for found in day)[len(day) // 2]) for i in (0, 1)))
    line("the largest pass", *(float(max(found[i] for found in day)) for i in (0, 1)))
    line("all passes of the day", *(float(sum(found[i] for found in day)) for i in (0, 1)))
    line("most in any minute", *(float(max(found[i] for found in day)) for i in (2, 3)))
    line("allowed in any minute", RATE_LIMIT.reads_per_minute, RATE_LIMIT.others_per_minute)


if __name__ == "__main__":
    main()
