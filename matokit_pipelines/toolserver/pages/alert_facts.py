"""What the alert pages tell: open and past alerts, and of one of them its reasons, numbers and evaluations.

Times in the project's zone. The reasons are those of the tool ExplainAlert. Not here: pages (alert_pages.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from matokit_pipelines.alerts import store
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.book import Matter
from matokit_pipelines.alerts.content import wording
from matokit_pipelines.alerts.content.headlines import headline, with_usual_of
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.store import Evaluation
from matokit_pipelines.alerts.verdicts import ALL, Input, Verdict
from matokit_pipelines.reports.formats import instant, instant_of_year, plain
from matokit_pipelines.toolserver.installer.alert_reading import Known, is_silenced

Inputs = Mapping[str, Input]
SHOWN_RUNS = 12  # of the evaluations around an alert, the newest
LOOKED_AT = 1_000
BEFORE, AFTER = timedelta(hours=24), timedelta(hours=2)
GRID = timedelta(minutes=5)
# How an evaluation ended: the name of its colour, and words.
_HELD, _MET, _NOT = ("held", "held"), ("met", "trigger met, guard not"), ("not", "did not hold")
_UNKNOWN = {"no_data": ("none", "nothing to count"), "not_evaluable": ("none", "could not be evaluated")}


@dataclass(frozen=True)
class Entry:
    """One alert in a list. `state`: open or past; `lasts`: up to now or to its end."""

    id: str
    state: str
    subject: str
    rule: str
    severity: str
    environment: str
    since: str
    ended: str
    lasts: str
    said: str
    told: str
    is_silenced: bool
    is_provisional: bool


@dataclass(frozen=True)
class Line:
    """A number of the rule at each of the times that the table has."""

    label: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """Evaluations in a row that said the same. left, width: percent of the strip that shows all of them."""

    colour: str
    said: str
    first: str
    last: str
    ticks: str
    counted: str
    left: float
    width: float


def entry_of(matter: Matter, found: Known, links: Links, now: datetime) -> Entry:
    """How an alert stands in a list."""
    episode, zone = matter.episode, links.zone
    judged = episode.last if episode.ended_at is None else episode.worst
    is_everything = episode.subject == ALL
    told = matter.telling.told_at
    return Entry(
        id=episode.id,
        state="past" if episode.ended_at else "open",
        subject="all components" if is_everything else wording.name(episode.subject),
        rule=wording.RULE_NAMES.get(episode.rule, episode.rule),
        severity=episode.severity,
        environment=episode.environment,
        since=instant(episode.started_at, zone),
        ended=instant(episode.ended_at, zone) if episode.ended_at else "",
        lasts=wording.lasting((episode.ended_at or now) - episode.started_at),
        said=sentence(judged, episode, links, now, is_named=False),
        told=instant(told, zone) if told else "",
        is_silenced=is_silenced(matter, found, now),
        is_provisional=episode.is_provisional,
    )


def newest_first(found: Known) -> list[Matter]:
    """Open ones, then past ones; in each the newest first."""
    begun = sorted(found.matters, key=lambda matter: matter.episode.started_at, reverse=True)
    return sorted(begun, key=lambda matter: matter.episode.ended_at is not None)


def sentence(verdict: Verdict, episode: Episode, links: Links, now: datetime, *, is_named: bool = True) -> str:
    """What fails, beside what was usual when it started."""
    said = headline(with_usual_of(verdict, episode.first), links, now, is_named=is_named)
    begins_with_name = is_named and episode.subject != ALL  # a name stays as it is written
    return wording.sentence(said if begins_with_name else said[:1].upper() + said[1:])


def looks(episode: Episode) -> list[tuple[str, Verdict]]:
    """The evaluations worth a column: at the start, at the worst, the newest or last; each time once."""
    newest = "Newest look" if episode.ended_at is None else "Last look"
    found: dict[datetime, tuple[str, Verdict]] = {}
    for name, verdict in (("At the start", episode.first), (newest, episode.last), ("At the worst", episode.worst)):
        found.setdefault(verdict.at, (name, verdict))
    return [found[at] for at in sorted(found)]


def numbers(episode: Episode, zone: ZoneInfo) -> list[Line]:
    """The counts of these evaluations, one line each; what none of them has is left out."""
    verdicts = [verdict for _, verdict in looks(episode)]
    lines = []
    for label, write in _LINES:
        values = [write(verdict, zone) for verdict in verdicts]
        if any(values):
            lines.append(Line(label, tuple(value or "—" for value in values)))
    return lines


@dataclass(frozen=True)
class Runs:
    """What the rule said of it from a day before its start on, by time. begin, end: of the strip that shows them.
    older: runs that are not shown."""

    rows: tuple[Run, ...] = ()
    begin: str = ""
    end: str = ""
    older: int = 0


def runs(connection: sqlite3.Connection, episode: Episode, zone: ZoneInfo, now: datetime) -> Runs:
    """The evaluations that are kept of this alert and of the day before it."""
    until = now if episode.ended_at is None else episode.ended_at + AFTER
    start = episode.started_at - BEFORE
    found = [
        run
        for run in store.evaluations(connection, episode.rule, episode.subject, until=until, most=LOOKED_AT)
        if run.newest.environment == episode.environment
        and run.is_provisional == episode.is_provisional
        and run.last_tick >= start
    ][::-1]
    shown = found[-SHOWN_RUNS:]
    if not shown:
        return Runs()
    left, right = max(shown[0].first_tick, start), min(shown[-1].last_tick, until) + GRID
    ends = [*(run.first_tick for run in shown[1:]), right]  # one is in force until the next says something else
    rows = (_run(run, min(end, right), left, right, zone) for run, end in zip(shown, ends, strict=True))
    return Runs(tuple(rows), instant(left, zone), instant(right - GRID, zone), len(found) - len(shown))


def _run(run: Evaluation, end: datetime, left: datetime, right: datetime, zone: ZoneInfo) -> Run:
    verdict, whole = run.newest, right - left
    colour, said = _UNKNOWN.get(verdict.state) or (_HELD if verdict.guarded else _MET if verdict.raw else _NOT)
    begin = max(run.first_tick, left)
    return Run(
        colour, said, instant(run.first_tick, zone), instant(run.last_tick, zone),
        wording.many(run.ticks, "evaluation"), _failed(verdict, zone) or "—",
        round(100 * ((begin - left) / whole), 3), round(100 * (max(end - begin, timedelta(0)) / whole), 3),
    )  # fmt: skip


# -- the lines of the table of numbers --------------------------------------------------------------------------------


def _part(events: str, failures: str) -> Callable[[Verdict, ZoneInfo], str]:
    def write(verdict: Verdict, zone: ZoneInfo) -> str:
        n, bad = wording.whole(verdict.inputs, events), wording.whole(verdict.inputs, failures)
        return "" if n is None or bad is None else wording.part_failed(bad, n)

    return write


def _count(key: str) -> Callable[[Verdict, ZoneInfo], str]:
    def write(verdict: Verdict, zone: ZoneInfo) -> str:
        value = wording.whole(verdict.inputs, key)
        return "" if value is None else wording.count(value)

    return write


def _number(key: str, unit: str = "") -> Callable[[Verdict, ZoneInfo], str]:
    def write(verdict: Verdict, zone: ZoneInfo) -> str:
        value = wording.number(verdict.inputs, key)
        return "" if value is None else f"{value:.2f}{unit}"

    return write


def _share(key: str) -> Callable[[Verdict, ZoneInfo], str]:
    def write(verdict: Verdict, zone: ZoneInfo) -> str:
        value = wording.number(verdict.inputs, key)
        return "" if value is None else wording.percent(value)

    return write


def _instant(key: str) -> Callable[[Verdict, ZoneInfo], str]:
    def write(verdict: Verdict, zone: ZoneInfo) -> str:
        told = verdict.inputs.get(key)
        return instant_of_year(datetime.fromisoformat(told), zone) if isinstance(told, str) else ""

    return write


def _chance(verdict: Verdict, zone: ZoneInfo) -> str:
    return wording.chance(wording.number(verdict.inputs, "chance"), verdict.rule)


def _previous(verdict: Verdict, zone: ZoneInfo) -> str:
    told = verdict.inputs.get("previous")
    return plain(wording.name(told)) if isinstance(told, str) else ""


_failed = _part("n", "failures")


def _lines() -> Iterator[tuple[str, Callable[[Verdict, ZoneInfo], str]]]:
    yield "Events that failed", _failed
    yield "Compared with", _part("before_n", "before_failures")
    yield "Commit before it", _previous
    yield "Machines with a failure", _count("machines_failing")
    yield "First tries that failed", _part("units", "unit_failures")
    yield "First tries that failed before", _part("baseline_units", "baseline_failures")
    yield "Share of failures that is usual", _share("expected_share")
    yield "As much would be seen", _chance
    yield "Evidence", _number("evidence")
    yield "Evidence needed", _number("threshold")
    yield "Seems to have begun", _instant("began_at")
    yield "No event since", _instant("since")
    yield "Hours without an event", _number("hours", " h")
    yield "Events that are usual then", _number("expected")
    yield "Data are complete to", _instant("watermark")
    yield "Age of the data", _number("age_hours", " h")


_LINES = tuple(_lines())
