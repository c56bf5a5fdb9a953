"""Asking: the site, the span in its zone, and Matomo itself where the tables do not answer.

Belongs here: what every reader does first, and questions to the live Matomo with what their zeros mean. A zero of
Matomo may mean "not archived yet", so it is held against the log of visits, which needs no archive. Not here: the
tables (tables.py), the published shape (shaping.py).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from matokit_pipelines.sources.matomo_reports import REPORTS, Question, by_period, figures_in, rows_in
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.live import LiveConnections
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.sites import Site
from matokit_pipelines.toolserver.web.dates import Part, Span, span_of
from matokit_pipelines.toolserver.web.parameters import WebParameters
from matokit_pipelines.toolserver.web.shaping import number
from matokit_pipelines.toolserver.web.tables import held_in
from matokit_pipelines.windows import start_of_day

MOST_RUNS = 30
FACTS_LAST = timedelta(minutes=10)
NOT_ARCHIVED = (
    "Ask again later; if it stays so, the operator has to see to it that the archiving job of that Matomo runs "
    "(console core:archive)."
)


@dataclass(frozen=True)
class Facts:
    """What is known of a site: its zone, the currency of its money, whether it has orders."""

    zone: ZoneInfo
    currency: str | None
    has_ecommerce: bool


@dataclass(frozen=True)
class Asked:
    """One question: of which site, about which span, how. `unanswered`: what Matomo said when it did not answer."""

    kit: Kit
    site: Site
    facts: Facts
    span: Span
    segment: str | None
    fresh: bool
    unanswered: str = ""

    def before(self) -> Asked:
        """The same question about the span of equal length before."""
        return replace(self, span=self.span.before())

    @property
    def now(self) -> datetime:
        return self.kit.clock.now()


def begun(kit: Kit, parameters: WebParameters, *, by_period: bool = False, zone: ZoneInfo | None = None) -> Asked:
    """The question that the parameters put; Problem 400 for a site or date that cannot be.

    `zone`: the site's, where it is known and nothing else of the site is wanted.
    """
    site = kit.sites.find(parameters.siteId)
    facts = Facts(zone, None, False) if zone else None
    if facts is None:
        with held_in(kit, site) as found:
            facts = Facts(found[1].zone, found[1].currency, found[1].has_ecommerce) if found else None
    facts = facts or _live_facts(kit, site)
    today = kit.clock.now().astimezone(facts.zone).date()
    span = span_of(parameters.period, parameters.date, today, by_period=by_period)
    return Asked(kit, site, facts, span, parameters.segment, parameters.fresh)


def question(asked: Asked, span: Span, report: str, **more: str) -> Question:
    """The question for one report of a span."""
    chosen = REPORTS[report]
    params = {"period": span.period, "date": span.asked_as, **chosen.params, **more}
    return Question(chosen.method, params | ({"segment": asked.segment} if asked.segment else {}))


def live_rows(asked: Asked, span: Span, report: str, limit: int) -> list[dict[str, Any]]:
    """The rows of a report as Matomo sends them, over the whole span. `limit`: rows at most, -1 for all.

    A list of periods is asked as one range: Matomo adds up all rows, where periods of their own would be cut. Problem
    when there are none and that may mean "not archived".
    """
    whole = _as_one(span)
    answer = asked.kit.live.ask(asked.site, [question(asked, whole, report, filter_limit=str(limit))])[0]
    rows = rows_in(answer)
    if rows is None:
        raise _odd(asked.site, REPORTS[report].method)
    if not rows:
        _check_nothing(asked, whole)
    return rows


def live_figures(
    asked: Asked, span: Span, first: Question, others: Sequence[Question] = ()
) -> list[dict[date, dict[str, Any]]]:
    """For each question the figures of each period of the span, `{}` for an empty one.

    The first has to be answered; of the others, one that is refused has no figures at all.
    """
    questions = (first, *others)
    answers = asked.kit.live.ask_each(asked.site, questions)
    if isinstance(answers[0], Problem):
        raise answers[0]
    return [_by_start(asked, span, one, answer) for one, answer in zip(questions, answers, strict=True)]


def unproven(asked: Asked, parts: Sequence[Part]) -> set[date]:
    """The first days of those periods without reported visits of which the log of visits has some or is not readable.

    Neighbouring periods are looked up at once; when there is a visit in them, all of them are unproven.
    """
    runs = runs_of(parts)
    doubtful = {part.start for run in runs[MOST_RUNS:] for part in run}
    runs = runs[:MOST_RUNS]
    if not runs:
        return doubtful
    try:
        answers = asked.kit.live.ask(asked.site, [_log_question(asked, run) for run in runs])
    except Problem as problem:
        if problem.category not in ("client", "parse", "permission"):
            raise
        return {part.start for part in parts}
    for run, answer in zip(runs, answers, strict=True):
        if not _is_empty(asked, run, answer):
            doubtful |= {part.start for part in run}
    return doubtful


def nothing_archived(asked: Asked, span: Span) -> Problem:
    """The problem that nothing is reported of a span that is not proven to be without visits."""
    return Problem(
        "server",
        f"Matomo reports nothing for {span.label} of {asked.site.name}, which may mean that it is not archived yet.",
        NOT_ARCHIVED,
        status=503,
    )


def note_of_unknown(parts: Sequence[Part]) -> str:
    """The note beside figures that are not known."""
    named = ", ".join(part.label for part in parts[:5]) + (" and more" if len(parts) > 5 else "")
    return f"Not known: Matomo reports no visits for {named}, which may mean that it has not archived them yet."


def _as_one(span: Span) -> Span:
    if span.is_several and len(span.parts) == 1:
        return Span(span.period, span.parts, False, span.today)
    return span.as_range() if span.is_several else span


def _check_nothing(asked: Asked, span: Span) -> None:
    """Problem unless the empty report is that of a span with archived visits, or of one without any."""
    figures = live_figures(asked, span, question(asked, span, "visits"))[0]
    parts = [part for part in span.parts if not number(figures[part.start].get("nb_visits"))]
    if parts and unproven(asked, parts):
        raise nothing_archived(asked, span)


def _by_start(asked: Asked, span: Span, one: Question, answer: Any) -> dict[date, dict[str, Any]]:
    if isinstance(answer, Problem):
        return {part.start: {} for part in span.parts}
    if span.is_several:
        labelled = by_period(answer, span.period, span.asked_as)
        return {part.start: _figures(asked, one, labelled.get(part.label, [])) for part in span.parts}
    return {span.parts[0].start: _figures(asked, one, answer)}


def _figures(asked: Asked, one: Question, answer: Any) -> dict[str, Any]:
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, int | float | str) and (alone := number(answer)) is not None:
        return {"nb_visits": alone}
    found = figures_in(answer)
    if found is None:
        raise _odd(asked.site, one.method)
    if set(found) == {"value"}:
        return {"nb_visits": found["value"]}
    return found


def _odd(site: Site, method: str) -> Problem:
    return Problem("parse", f"The Matomo of {site.name} answered {method} in an unknown shape.")


def runs_of(parts: Sequence[Part]) -> list[list[Part]]:
    """The periods in order of time, those that follow each other together."""
    runs: list[list[Part]] = []
    for part in sorted(parts, key=lambda one: one.start):
        if runs and part.start - runs[-1][-1].end == timedelta(days=1):
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs


def _log_question(asked: Asked, run: Sequence[Part]) -> Question:
    """Whether there is a visit: the earliest one. Up to now only by its time: dates of today begin yesterday there."""
    params = {"filter_limit": "1", "filter_sort_order": "asc", "doNotFetchActions": "1"}
    if asked.segment:
        params["segment"] = asked.segment
    start, end = run[0].start, run[-1].end
    if end >= asked.span.today:
        params["minTimestamp"] = str(int(start_of_day(start, asked.facts.zone).timestamp()) - 1)
    elif start == end:
        params |= {"period": "day", "date": start.isoformat()}
    else:
        params |= {"period": "range", "date": f"{start},{end}"}
    return Question("Live.getLastVisitsDetails", params)


def _is_empty(asked: Asked, run: Sequence[Part], answer: Any) -> bool:
    """Whether the log has no visit in these periods; one of the next midnight sharp comes with the day before it."""
    visits = rows_in(answer)
    if visits is None:
        return False
    after = start_of_day(run[-1].end + timedelta(days=1), asked.facts.zone).timestamp()
    return all((number(visit.get("lastActionTimestamp")) or 0) >= after for visit in islice(visits, 1))


_REMEMBERED: WeakKeyDictionary[LiveConnections, dict[Site, tuple[Facts, datetime]]] = WeakKeyDictionary()
_REMEMBERING = threading.Lock()


def _live_facts(kit: Kit, site: Site) -> Facts:
    now = kit.clock.now()
    with _REMEMBERING:
        known = _REMEMBERED.setdefault(kit.live, {})
        if site in known and now < known[site][1]:
            return known[site][0]
    sent = kit.live.facts(site)
    try:
        zone = ZoneInfo(str(sent["timezone"]))
    except (KeyError, ValueError, OSError):
        raise Problem(
            "parse", f"The Matomo of {site.name} names a time zone that is not known here.",
            "The operator has to set a named time zone for the site, such as Europe/Copenhagen.",
        ) from None  # fmt: skip
    facts = Facts(zone, str(sent.get("currency") or "") or None, bool(number(sent.get("ecommerce"))))
    with _REMEMBERING:
        known[site] = (facts, now + FACTS_LAST)
    return facts
