"""How numbers and comparisons read in the sentence that a model may repeat word for word.

No words of statistics but the interval; names are on one line and cut. Not here: which of them is told.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

from matokit_pipelines.alerts.content.wording import count, many
from matokit_pipelines.alerts.content.wording import name as shown
from matokit_pipelines.reports.comparison import SMALL_NUMBER, Tally, Verdict
from matokit_pipelines.statistics import rate, wilson

__all__ = ["beside", "count", "instant", "interval", "joined", "many", "percent", "points", "shown", "succeeded"]

_MEANT: dict[Verdict, str] = {
    "worse": "worse, more than chance",
    "better": "better, more than chance",
    "could be chance": "which could be chance",
    "too few": "too few tries to compare",
}


def percent(share: float | None) -> str:
    """`95.6 %`; what is neither 0 nor 1 never reads so."""
    if share is None:
        return "unknown"
    tenths = 1000 * share
    if 0 < tenths < 1:
        return "under 0.1 %"
    whole = math.floor(tenths) if 999 < tenths < 1000 else round(tenths)
    return f"{whole / 10:.1f} %"


def points(difference: float) -> str:
    """A difference of shares as `+5.6 points`."""
    return f"{100 * difference:+.1f} points"


def succeeded(tally: Tally) -> str:
    """`412 of 431 installer events succeeded (95.6 %, 95 % interval 93.2 to 97.2 %), 19 failed`."""
    if not tally.events:
        return "there was no installer event"
    good = tally.events - tally.failures
    few = f"; fewer than {SMALL_NUMBER} events say little" if tally.events < SMALL_NUMBER else ""
    return (
        f"{count(good)} of {many(tally.events, 'installer event')} succeeded "
        f"({percent(rate(good, tally.events))}, {interval(tally)}), {count(tally.failures)} failed{few}"
    )


def interval(tally: Tally) -> str:
    """`95 % interval 93.2 to 97.2 %`."""
    bounds = wilson(tally.events - tally.failures, tally.events)
    return f"95 % interval {percent(bounds[0])[:-2]} to {percent(bounds[1])}" if bounds else "no interval"


def beside(now: Tally, before: Tally, verdict: Verdict, when: str) -> str:
    """`that is -1.2 points against 96.8 % from 2026-11-08 to 2026-11-14, which could be chance`."""
    if not before.events:
        return f"there was no event {when} to compare with"
    old = rate(before.events - before.failures, before.events) or 0.0
    if not now.events:
        return f"{when} it was {percent(old)} of {many(before.events, 'event')}"
    new = rate(now.events - now.failures, now.events) or 0.0
    return f"{points(new - old)} against {percent(old)} {when}, {_MEANT[verdict]}"


def joined(parts: list[str], most: int = 3) -> str:
    """`a, b and c`; of many the first ones and how many more."""
    named, more = parts[:most], len(parts) - most
    if more > 0:
        return f"{', '.join(named)} and {count(more)} more"
    return " and ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else "".join(named)


def instant(at: datetime | None) -> str:
    """`2026-11-22 07:00 UTC`."""
    return "an unknown time" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
