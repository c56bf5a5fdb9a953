"""What is known of the alerts of past days that are over: which fired, which were taken back, and since when any are.

Not here: alerts that are open now (overall.py), what GetAlerts lists (alerts.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from matokit_pipelines.alerts.book import Matter
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.content.wording import RULE_NAMES
from matokit_pipelines.alerts.period import FOR_OPERATORS
from matokit_pipelines.toolserver.installer.alert_reading import (
    Known,
    gravest_first,
    known_part,
    sentence_of,
    subject_of,
)
from matokit_pipelines.toolserver.installer.answering import Call
from matokit_pipelines.toolserver.installer.words import count, instant, many

SHOWN = 3
TAKEN_BACK = "not_confirmed"


@dataclass(frozen=True)
class PastAlerts:
    """Those that fired in past days and are over, the gravest first.

    over: None where none is seen and not all of these days is known. taken_back: told on data that were not complete,
    and complete ones did not confirm it. doubt: which part is known, a sentence; "": all.
    """

    over: tuple[Matter, ...] | None
    taken_back: tuple[Matter, ...]
    doubt: str


def is_past(it: Call) -> bool:
    """Whether the days end before the newest that can be asked for."""
    return it.span.last != it.ground.last_day


def past_alerts(found: Known, it: Call, now: datetime) -> PastAlerts:
    """Of the alerts in `found`, those of the days of the call that are over; what operators are told of is not."""
    window = it.span.window(it.ground)
    ended = tuple(
        matter
        for matter in found.matters
        if matter.episode.ended_at is not None
        and matter.episode.started_at < window.end
        and matter.episode.rule != FOR_OPERATORS
    )
    over = tuple(matter for matter in ended if matter.episode.end_reason != TAKEN_BACK)
    taken_back = tuple(matter for matter in ended if matter.episode.end_reason == TAKEN_BACK)
    part, first, last = known_part(found, window, now)
    doubt = ""
    if part == "nothing":
        more = "other " if ended else ""
        doubt = f"Which {more}alerts fired in these days is not known."
    elif part == "part":
        since = f" from {instant(first)}" if first is not None and first > window.start else ""
        to = f" to {instant(last)}" if last is not None and last < window.end else ""
        doubt = f"Alerts of these days are known only{since}{to}{'' if to else ' on'}."
    known_over = tuple(gravest_first(over, found, now)) if over or part == "all" else None
    return PastAlerts(known_over, tuple(gravest_first(taken_back, found, now)), doubt)


def past_words(past: PastAlerts, it: Call, links: Links) -> str:
    """Sentences on them; "" where all is known and nothing fired."""
    said = []
    over = past.over or ()
    if len(over) == 1:
        told = sentence_of(over[0], it.kit, links, it.kit.clock.now(), silenced=False)
        said.append(f"1 alert fired in these days and is over. {told}")
    elif over:
        both = "both" if len(over) == 2 else "all"
        said.append(f"{count(len(over))} alerts fired in these days, {both} over: {_named(over)}.")
    if past.taken_back:
        told = f"{many(len(past.taken_back), 'alert')} of these days {'was' if len(past.taken_back) == 1 else 'were'}"
        said.append(f"{told} not confirmed by complete data: {_named(past.taken_back)}.")
    return " ".join([*said, past.doubt] if past.doubt else said)


def _named(matters: tuple[Matter, ...]) -> str:
    """The gravest by rule and subject."""
    episodes = [matter.episode for matter in matters]
    names = [f"{RULE_NAMES.get(one.rule, one.rule)} ({subject_of(one)})" for one in episodes[:SHOWN]]
    return f"{', '.join(names)}{f' and {count(len(episodes) - SHOWN)} more' if len(episodes) > SHOWN else ''}"
