"""GetInstallerHealth: is the installer healthy? One verdict over success, components, alerts and the data themselves.

Not here: each of them in depth (rates.py, components.py, alerts.py, data_status.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from matokit_pipelines.alerts.book import Matter
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.content.wording import RULE_NAMES
from matokit_pipelines.alerts.period import FOR_OPERATORS
from matokit_pipelines.errors import StateError
from matokit_pipelines.reports.comparison import Verdict
from matokit_pipelines.toolserver.installer.alert_reading import (
    Known,
    gravest_first,
    is_silenced,
    known,
    row_of,
    watching,
)
from matokit_pipelines.toolserver.installer.alerts import AlertRow
from matokit_pipelines.toolserver.installer.answering import Call, call, stamp
from matokit_pipelines.toolserver.installer.asking import Compare, SpanParameters
from matokit_pipelines.toolserver.installer.components import component_rows, said
from matokit_pipelines.toolserver.installer.counting import Counts, Cut, compared, counts, figures
from matokit_pipelines.toolserver.installer.doubts import doubts, is_stale
from matokit_pipelines.toolserver.installer.past_alerts import is_past, past_alerts, past_words
from matokit_pipelines.toolserver.installer.shapes import UTC, Compared, OfSpan, Result
from matokit_pipelines.toolserver.installer.words import count, joined, many, succeeded
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.tools import Answer

State = Literal["healthy", "incomplete", "unknown", "degraded", "failing"]
SHOWN = 3


class HealthParameters(SpanParameters):
    """Which days."""

    compare: Compare | None = Field("previous", description="Always with the span of the same length before.")


class WorstRow(Compared):
    """A component in trouble."""

    component: str
    state: str = Field(description="got worse: more than chance against the span before; fails often: surely above "
                       "the limit of rule component_failure_rate.")  # fmt: skip


class OpenAlerts(Result):
    """Alerts that are open now."""

    open: int = Field(description="Open alerts of that environment, silenced ones not counted.")
    silenced: int = Field(description="Open alerts whose messages a silence holds back.")
    over: int | None = Field(
        description="Alerts that fired in these days and are over, those that complete data did not confirm not "
        "counted; null unless the days are past, or where none is seen and not all of these days is known."
    )
    evaluated_to: str | None = Field(description=f"How far rules were evaluated, {UTC}; null: never.")
    rows: list[AlertRow] = Field(description="The gravest, at most three.")


class DataState(Result):
    """Whether the data are whole."""

    complete: bool
    complete_to: str | None = Field(description=UTC)
    doubts: list[str] = Field(description="What makes the numbers less certain.")


class InstallerHealth(OfSpan):
    """Answer of GetInstallerHealth."""

    state: State = Field(
        description="failing: a critical alert is open; degraded: another alert is open, one of past days is over, "
        "success or a component got worse by more than chance, or a component fails often; unknown: nothing to judge "
        "by; incomplete: nothing bad is seen but data or alerts are incomplete; healthy. An alert that began after "
        "these days does not count."
    )
    total: Compared = Field(description="All components together, against the span before.")
    worst_components: list[WorstRow] = Field(description="Components in trouble, at most three.")
    components: int = Field(description="Components with events.")
    components_in_trouble: int
    alerts: OpenAlerts
    data: DataState
    link: str = Field(description='The dashboard of installations; "" without links.public_url.')


def installer_health(kit: Kit, asked: HealthParameters) -> Answer:
    """Is the installer healthy?"""
    with call(kit, asked.model_copy(update={"compare": "previous"})) as it:
        found = counts(it.reader, it.ground, Cut(asked.environment), "component", it.span)
        rows = component_rows(it, found)
        missing = doubts(it.ground, kit.loaded, kit.clock.now(), it.span)
        open_alerts, graves, unsaid = _alerts(it)
        trouble = [row for row in rows if row["state"] in ("got worse", "fails often")]
        now, before = found.total
        word, chance = found.judged()
        mark = it.ground.watermark
        is_old = mark is None or is_stale(mark, kit.loaded, kit.clock.now())
        is_doubtful = bool(missing or unsaid.blind or unsaid.is_partly)
        state = _state(found, word, bool(trouble), graves, is_old=is_old, is_doubtful=is_doubtful)
        links = Links.of(kit.loaded)
        return it.answer(
            _sentence(it, state, found, word, trouble, open_alerts, unsaid),
            0,
            state=state,
            total=figures(now) | compared(now, before, (word, chance)),
            worst_components=trouble[:SHOWN],
            components=len(rows),
            components_in_trouble=len(trouble),
            alerts=open_alerts,
            data={"complete": not missing, "complete_to": stamp(it.ground.watermark), "doubts": missing},
            link=links.widget("installation_health", "success_rate"),
        )


@dataclass(frozen=True)
class _Beside:
    """blind: why there may be more alerts; over: sentences on those of past days that are over; is_partly: some of
    those days, or all, are not known of.
    """

    blind: str | None
    over: str = ""
    is_partly: bool = False


def _alerts(it: Call) -> tuple[dict[str, Any], list[str], _Beside]:
    """`(open alerts, severities of those of installers that nothing silences and "over" for each of past days that is
    over, what is told beside them)`."""
    kit, environment = it.kit, it.environment
    now, links = kit.clock.now(), Links.of(kit.loaded)
    watched = kit.loaded.settings.alerts.environments
    start = it.span.window(it.ground).start if is_past(it) else None
    try:
        with known(kit, since=start) as every:
            mine = tuple(matter for matter in every.matters if _is_of(matter, environment))
            found = replace(every, matters=tuple(matter for matter in mine if matter.episode.ended_at is None))
            past = past_alerts(replace(every, matters=mine), it, now) if start else None
            over = past.over if past else None
            blind = watching(found, kit, now)
            if blind is None and environment not in ("all", *watched):
                blind = f"Alert rules do not watch {environment}."
            opened = _open(found, kit, links, None if over is None else len(over))
            graves = _graves(found, it, now) + ["over"] * len(over or ())
            told = past_words(past, it, links) if past else ""
            return opened, graves, _Beside(blind, told, bool(past and past.doubt))
    except StateError:
        nothing: dict[str, Any] = {"open": 0, "silenced": 0, "over": None, "evaluated_to": None, "rows": []}
        return nothing, [], _Beside("Whether an alert is open cannot be read.")


def _open(found: Known, kit: Kit, links: Links, over: int | None) -> dict[str, Any]:
    now = kit.clock.now()
    silent = sum(is_silenced(matter, found, now) for matter in found.matters)
    return {
        "open": len(found.matters) - silent, "silenced": silent, "over": over,
        "evaluated_to": stamp(found.evaluated_to),
        "rows": [row_of(one, found, kit, links, now) for one in gravest_first(found.matters, found, now)[:SHOWN]],
    }  # fmt: skip


def _is_of(matter: Matter, environment: str) -> bool:
    """Old data are of every environment, whichever the rule is kept under."""
    return environment in ("all", matter.episode.environment) or matter.episode.rule == FOR_OPERATORS


def _graves(found: Known, it: Call, now: datetime) -> list[str]:
    """An alert that began after past days says nothing of them."""
    end = it.span.window(it.ground).end if is_past(it) else None
    return [
        matter.episode.severity
        for matter in found.matters
        if matter.episode.rule != FOR_OPERATORS
        and not is_silenced(matter, found, now)
        and (end is None or matter.episode.started_at < end)
    ]


def _state(
    found: Counts, word: Verdict, is_in_trouble: bool, graves: list[str], *, is_old: bool, is_doubtful: bool
) -> State:
    if "critical" in graves:
        return "failing"
    if graves or word == "worse" or is_in_trouble:
        return "degraded"
    if is_old or not found.total[0].events:
        return "unknown"
    return "incomplete" if is_doubtful else "healthy"


_SAID: dict[State, str] = {
    "healthy": "The installer is healthy",
    "incomplete": "No trouble of the installer is seen, but what is known is incomplete",
    "unknown": "Whether the installer is healthy is not known",
    "degraded": "The installer is not quite healthy",
    "failing": "The installer is not healthy",
}


def _sentence(
    it: Call,
    state: State,
    found: Counts,
    word: Verdict,
    trouble: list[dict[str, Any]],
    alerts: dict[str, Any],
    beside: _Beside,
) -> str:
    now, before = found.total
    where = "in all environments" if it.environment == "all" else f"in {it.environment}"
    first = f"{_SAID[state]}: {where} {it.span.words}, {succeeded(now)}; {it.beside(now, before, word)}."
    parts = [first]
    when = " now" if is_past(it) else ""
    if alerts["open"]:
        parts.append(_open_words(alerts, when))
    elif beside.blind is None:
        parts.append(f"No alert is open{when}.")
    if alerts["silenced"]:
        are = "is" if alerts["silenced"] == 1 else "are"
        parts.append(f"{many(alerts['silenced'], 'open alert')} {are} silenced.")
    if beside.over:
        parts.append(beside.over)
    if trouble:
        are = "is" if len(trouble) == 1 else "are"
        some = f"{count(len(trouble))} of {many(len(_names(found)), 'component')}"
        parts.append(f"{some} {are} in trouble: {joined(said(trouble))}.")
    if beside.blind:
        parts.append(beside.blind)
    return " ".join(parts)


def _open_words(alerts: dict[str, Any], when: str) -> str:
    """One alert with its reason; several by name, the gravest first."""
    rows = alerts["rows"]
    if alerts["open"] == 1:
        return f"1 alert is open{when}. {rows[0]['sentence']}"
    names = [f"{RULE_NAMES.get(row['rule'], row['rule'])} ({row['subject']})" for row in rows if not row["is_silenced"]]
    more = alerts["open"] - len(names)
    rest = f" and {count(more)} more" if more > 0 else ""
    return f"{count(alerts['open'])} alerts are open{when}: {', '.join(names)}{rest}."


def _names(found: Counts) -> set[str]:
    return {name for part in found.now.values() for name in part}
