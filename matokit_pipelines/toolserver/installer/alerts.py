"""GetAlerts: which alerts are open, which there were, each with its reason. Not here: why one fired (explaining.py)."""

from __future__ import annotations

import difflib
from collections import Counter
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from matokit_pipelines import alert_settings
from matokit_pipelines.alert_settings import AllRules
from matokit_pipelines.alerts.book import Matter
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.toolserver.installer.alert_reading import (
    Known,
    back,
    gravest_first,
    known,
    known_from,
    row_of,
    sentence_of,
    watching,
)
from matokit_pipelines.toolserver.installer.answering import stamp
from matokit_pipelines.toolserver.installer.asking import COMPARE, LIMIT, Compare, lower
from matokit_pipelines.toolserver.installer.counting import fitted
from matokit_pipelines.toolserver.installer.shapes import UTC, Answered, Result
from matokit_pipelines.toolserver.installer.words import count, instant, many
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import Parameters, Whole
from matokit_pipelines.toolserver.problems import refused
from matokit_pipelines.toolserver.tools import Answer

RULES = tuple(AllRules.model_fields)
RULE = f"Only this rule: {', '.join(RULES)}. Default: every rule."
Which = Annotated[Literal["open", "past", "all"], BeforeValidator(lower)]
Severity = Annotated[alert_settings.Severity, BeforeValidator(lower)]


class AlertParameters(Parameters):
    """Which alerts."""

    state: Which = Field("open", description="open: firing now; past: over; all. Default open.")
    rule: str | None = Field(None, description=RULE)
    component: str | None = Field(
        None, description="Only alerts of this component, architecture or commit. Default: of everything."
    )
    severity: Severity | None = Field(None, description="critical, warning or daily. Default: each.")
    days: Whole = Field(30, ge=1, le=90, description="Past ones of so many days back from now, 1 to 90. Default 30.")
    compare: Compare | None = Field(None, description=f"{COMPARE} Counts the alerts that began in each.")
    limit: Whole = Field(10, ge=1, le=50, description=LIMIT.format(10))


class AlertRow(Result):
    """One firing period of a rule and what it is about."""

    id: str = Field(description="For ExplainAlert.")
    state: Literal["open", "past"]
    rule: str = Field(description="Name of the rule.")
    subject: str = Field(description="Component, architecture or commit; everything.")
    environment: str
    severity: str = Field(description="critical, warning or daily.")
    since: str = Field(description=f"When rule and guard held first, {UTC}.")
    ended_at: str | None = Field(description=f"When it was over, {UTC}; null while it is open.")
    sentence: str = Field(description="The reason, with its numbers.")
    told_at: str | None = Field(description=f"When people were told, {UTC}; null: not told.")
    is_silenced: bool = Field(description="Whether a silence holds its messages back now.")
    is_provisional: bool = Field(description="Whether it rests on data that are not complete yet.")
    link: str = Field(description='Its dashboard; "" without links.public_url.')


class Alerts(Answered):
    """Answer of GetAlerts."""

    open: int = Field(description="Alerts that are open now and fit, silenced ones included.")
    past: int | None = Field(description="Alerts that ended in these days and fit; null where not asked for.")
    began: int | None = Field(
        None, description="Alerts that began in these days and fit; null where rules were evaluated for none of them."
    )
    previous_began: int | None = Field(
        None, description="Those that began in as many days before; null unless all of those days are known."
    )
    more: int = Field(description="Alerts that are not in this answer.")
    rows: list[AlertRow] = Field(description="Open ones first, the gravest first, then the newest.")


def alerts(kit: Kit, asked: AlertParameters) -> Answer:
    """Alerts with their reasons."""
    if asked.rule is not None:
        check_rule(asked.rule)
    now, links = kit.clock.now(), Links.of(kit.loaded)
    days = 2 * asked.days if asked.compare else asked.days
    since = back(now, days) if asked.state != "open" or asked.compare else None
    with known(kit, since=since) as found:
        fitting = [matter for matter in found.matters if _fits(matter, asked)]
        start = back(now, asked.days)
        opened = [matter for matter in fitting if matter.episode.ended_at is None]
        past = [matter for matter in fitting if (ended := matter.episode.ended_at) is not None and ended > start]
        chosen = {"open": opened, "past": past, "all": [*opened, *past]}[asked.state]
        rows = (row_of(matter, found, kit, links, now) for matter in gravest_first(tuple(chosen), found, now))
        listed, more = fitted(rows, asked.limit)
        counted: dict[str, Any] = {"open": len(opened), "past": len(past) if asked.state != "open" else None}
        if asked.compare:
            counted |= _began(fitting, found, now, asked.days)
        summary = " ".join(_sentences(kit, asked, found, (opened, past), counted, now))
        head = {"summary": summary, "as_of": stamp(found.evaluated_to)}
        return Answer(head | counted | {"more": more, "rows": listed}, found.evaluated_to)


def _began(fitting: list[Matter], found: Known, now: datetime, days: int) -> dict[str, int | None]:
    """How many began in these days and in those before. None where nobody watched: such days say nothing."""
    start, first, to = back(now, days), known_from(found, now), found.evaluated_to
    began = Counter(matter.episode.started_at >= start for matter in fitting
                    if matter.episode.started_at >= back(now, 2 * days))  # fmt: skip
    is_watched = to is not None and to > start
    is_known_before = is_watched and first is not None and first <= back(now, 2 * days)
    return {
        "began": began[True] if is_watched else None,
        "previous_began": began[False] if is_known_before else None,
    }


def check_rule(rule: str) -> None:
    """Problem for a rule that there is not."""
    if rule not in RULES:
        near = difflib.get_close_matches(rule, RULES, n=2)
        meant = f"Did you mean {' or '.join(near)}? " if near else ""
        raise refused("There is no such alert rule.", f"{meant}There are {', '.join(RULES)}.")


def _fits(matter: Matter, asked: AlertParameters) -> bool:
    episode = matter.episode
    about = asked.component.strip().lower() if asked.component else None
    return (
        asked.rule in (None, episode.rule)
        and about in (None, episode.subject.lower())
        and asked.severity in (None, episode.severity)
    )


def _sentences(
    kit: Kit,
    asked: AlertParameters,
    found: Known,
    sides: tuple[list[Matter], list[Matter]],
    counted: dict[str, Any],
    now: datetime,
) -> list[str]:
    opened, past = sides
    is_cut = bool(asked.rule or asked.component or asked.severity)
    said = []
    if asked.state != "past":
        fire = "are" if len(opened) > 1 else "is"
        said.append(f"{_alerts(len(opened), is_cut)} {fire} open.")
    if asked.state != "open":
        said.append(f"{_alerts(len(past), is_cut)} ended in the last {many(asked.days, 'day')}.")
    chosen = opened if asked.state == "open" else past if asked.state == "past" else [*opened, *past]
    if chosen:
        first = gravest_first(tuple(chosen), found, now)[0]
        said.append(sentence_of(first, kit, Links.of(kit.loaded), now, silenced=False))
    if asked.compare:
        said.append(_began_words(counted["began"], counted["previous_began"], found, now, many(asked.days, "day")))
    if doubt := watching(found, kit, now):
        said.append(doubt)
    return said


def _began_words(began: int | None, before: int | None, found: Known, now: datetime, span: str) -> str:
    if began is None:
        return f"How many alerts began in the last {span}, and in the {span} before, is not known."
    if before is not None:
        return f"{count(began)} began in the last {span}, {count(before)} in the {span} before."
    first = known_from(found, now)
    since = f": alerts are known from {instant(first)} on" if first else ""
    return f"{count(began)} began in the last {span}; how many in the {span} before is not known{since}."


def _alerts(number: int, is_cut: bool) -> str:
    """`19 alerts that fit`, `1 alert that fits`, `No alert`."""
    fit = "" if not is_cut else " that fit" if number > 1 else " that fits"
    return f"{many(number, 'alert') if number else 'No alert'}{fit}"
