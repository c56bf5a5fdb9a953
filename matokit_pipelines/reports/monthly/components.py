"""Components that fail more than in the days before: why the success rate is what it is. Not here: words."""

from __future__ import annotations

from matokit_pipelines.reports.comparison import verdicts_of_rows
from matokit_pipelines.reports.monthly.judging import tallies, whole
from matokit_pipelines.reports.monthly.queries import Counts, Part
from matokit_pipelines.reports.monthly.shapes import WorseComponent
from matokit_pipelines.reports.shapes import Rates, rates_of

ROWS = 3


def worse_components(last: Part, before: Part, shared_keys: bool) -> tuple[WorseComponent, ...]:
    """Those that got worse by more than chance, most failures beyond the rate before first; three at most."""
    now, then = whole(last.values()), whole(before.values())
    words = verdicts_of_rows(tallies(now), tallies(then), shared_keys=shared_keys)
    rows = [
        (name, now[name], then.get(name, Counts()), chance)
        for name, (word, chance) in words.items()
        if word == "worse" and chance is not None
    ]
    rows.sort(key=lambda row: (-_beyond(row[1], row[2]), row[0]))
    return tuple(WorseComponent(name, _rates(here), _rates(there), chance) for name, here, there, chance in rows[:ROWS])


def _beyond(now: Counts, then: Counts) -> float:
    return now.failures - now.events * then.failures / then.events if then.events else float(now.failures)


def _rates(counts: Counts) -> Rates:
    return rates_of(counts.events, counts.successes, counts.failures)
