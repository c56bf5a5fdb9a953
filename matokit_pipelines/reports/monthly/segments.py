"""Releases on architectures: how many installations, how they succeed, what changed. Not here: words and drawing."""

from __future__ import annotations

from collections.abc import Mapping

from matokit_pipelines.reports.comparison import Verdict, verdicts_of_mixed_rows
from matokit_pipelines.reports.monthly.judging import tallies
from matokit_pipelines.reports.monthly.queries import Installed, Part, System
from matokit_pipelines.reports.monthly.shapes import OtherSegments, Segment, Segments
from matokit_pipelines.reports.shapes import Rates, change_of, difference, rates_of

ROWS = 12
Side = tuple[Mapping[System, Installed], Part]
Judgement = Mapping[System, tuple[Verdict, float | None]]


def segments(last: Side, before: Side, before_is_known: bool, shared_keys: bool) -> Segments:
    """The segments of the period, most events first, ties by installations and name; of many the first twelve."""
    installed, part = last
    ordered = sorted(installed, key=lambda name: (-installed[name].events, -installed[name].installations, name))
    shown, rest = ordered[:ROWS], ordered[ROWS:]
    words = verdicts_of_mixed_rows(
        {name: (tallies(part.get(name, {})), tallies(before[1].get(name, {}))) for name in shown},
        shared_keys=shared_keys,
    )
    rows = tuple(_segment(name, installed, before[0], before_is_known, words) for name in shown)
    others = None
    if rest:
        here = sum((installed[name] for name in rest), start=Installed())
        then = sum((before[0].get(name, Installed()) for name in rest), start=Installed())
        others = OtherSegments(len(rest), here.installations, _rates(here), _rates(then))
    return Segments(len(ordered), rows, others)


def _segment(
    name: System,
    installed: Mapping[System, Installed],
    before: Mapping[System, Installed],
    before_is_known: bool,
    words: Judgement,
) -> Segment:
    here, then = installed[name], before.get(name, Installed())
    rates, rates_before = _rates(here), _rates(then)
    return Segment(
        *name,
        here.installations,
        change_of(here.installations, then.installations) if before_is_known else None,
        rates,
        rates_before,
        difference(rates.success_rate, rates_before.success_rate),
        *words[name],
    )


def _rates(counts: Installed) -> Rates:
    return rates_of(counts.events, counts.successes, counts.failures)
