"""GetInstallerSuccessRate: how much of the installer's steps succeeds, cut any way. Not here: components in depth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from matokit_pipelines.reports.comparison import SMALL_NUMBER, Tally, Verdict, verdicts_of_mixed_rows, verdicts_of_rows
from matokit_pipelines.statistics import rate
from matokit_pipelines.toolserver.installer.answering import Call, call
from matokit_pipelines.toolserver.installer.asking import COMPONENT, LONGEST, SpanParameters, lower
from matokit_pipelines.toolserver.installer.counting import (
    By,
    Counts,
    Cut,
    by_component,
    compared,
    counts,
    figures,
    fitted,
    rounded,
    summed,
)
from matokit_pipelines.toolserver.installer.names import architecture_of, component_of, system_of
from matokit_pipelines.toolserver.installer.queries import query
from matokit_pipelines.toolserver.installer.shapes import Compared, OfSpan, Result
from matokit_pipelines.toolserver.installer.words import count, joined, percent, shown, succeeded
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import Whole
from matokit_pipelines.toolserver.problems import refused
from matokit_pipelines.toolserver.tools import Answer
from matokit_pipelines.windows import each_day

Cuts = Annotated[
    Literal["none", "day", "component", "architecture", "os", "os_release", "environment", "commit"],
    BeforeValidator(lower),
]
NAMED = 3
USUAL = 10
_TOLD_APART: Mapping[str, By] = {
    "component": "component", "architecture": "architecture", "os": "os", "os_release": "os_release",
    "environment": "environment",
}  # fmt: skip


class SuccessRateParameters(SpanParameters):
    """Which events, and how they are cut."""

    given_or_not: ClassVar[frozenset[str]] = frozenset({"days", "environment"})
    by: Cuts = Field(
        "none",
        description="One row for each day, component, architecture, os (family), os_release, environment or commit; "
        "none: the total only. Default none. Kinds of error have GetErrorTypes.",
    )
    component: str | None = Field(None, description=COMPONENT)
    architecture: str | None = Field(None, description="Only this one: arm64, x86_64, x86 or unknown. Default: all.")
    os: str | None = Field(None, description='Only this family ("macOS") or release ("macOS 15.1"). Default: all.')
    limit: Whole | None = Field(
        None, ge=1, le=100, description="Rows at most, 1 to 100. Default 10; of days all. Most events first."
    )


class RateRow(Compared):
    """One part of the cut."""

    name: str = Field(description="The day, component, architecture, system, environment or commit.")


class DayRow(Result):
    """One day."""

    name: str = Field(description="Day of the project's time zone, YYYY-MM-DD.")
    events: int = Field(description="Counted events.")
    failures: int = Field(description="Events that failed.")
    success_rate: float | None = Field(description="Successes / events, 0 to 1; null without events.")


class SuccessRate(OfSpan):
    """Answer of GetInstallerSuccessRate."""

    by: str = Field(description="What the rows are.")
    total: Compared = Field(description="All that was asked for together.")
    rows: list[RateRow | DayRow] = Field(description="Parts, most events first; days in order.")


def success_rate(kit: Kit, asked: SuccessRateParameters) -> Answer:
    """Success by any cut."""
    with call(kit, asked) as it:
        family, release = system_of(asked.os, it.ground)
        component = component_of(asked.component, it.ground)
        cut = Cut(asked.environment, component, architecture_of(asked.architecture, it.ground), family, release)
        if asked.by == "environment" and "environment" not in asked.model_fields_set:
            cut = Cut("all", cut.component, cut.architecture, family, release)
        if asked.by == "commit" and component:
            raise refused(
                "Commits are not counted by component here.", "Call GetCommitRegressions with this component."
            )
        found = counts(it.reader, it.ground, cut, _TOLD_APART.get(asked.by, "none"), it.span, it.since)
        rows, names = _rows(it, asked, cut, found)
        if asked.by == "day":  # of too many days the newest
            newest, more = fitted(reversed(rows), asked.limit or LONGEST)
            shown_rows = newest[::-1]
        else:
            shown_rows, more = fitted(rows, asked.limit or USUAL)
        summary = f"{_sentence(it, cut, found)}{names}."
        return it.answer(
            summary, more, environment=cut.environment, by=asked.by, total=_total(it, found), rows=shown_rows
        )


def _total(it: Call, found: Counts) -> dict[str, Any]:
    now, before = found.total
    return figures(now) | (compared(now, before, found.judged()) if it.is_compared else {})


def _sentence(it: Call, cut: Cut, found: Counts) -> str:
    """Without a full stop."""
    now, before = found.total
    against = ""
    if it.is_compared:
        against = f"; {it.beside(now, before, found.judged()[0])}"
    return f"{cut.words} {it.span.words}, {succeeded(now)}{against}"


def _rows(it: Call, asked: SuccessRateParameters, cut: Cut, found: Counts) -> tuple[list[dict[str, Any]], str]:
    """`(rows, what the sentence adds about them)`."""
    if asked.by == "none":
        return [], ""
    if asked.by == "day":
        return _days(it, cut)
    if asked.by == "commit":
        return _commits(it, cut, found.total[0])
    if asked.by == "component":
        now, before = by_component(found.now), by_component(found.before)
        words = verdicts_of_rows(now, before, shared_keys=found.shared_keys)
    else:
        now, before = ({part: summed(of.values()) for part, of in side.items()} for side in (found.now, found.before))
        mixed = {part: (of, found.before.get(part, {})) for part, of in found.now.items()}
        words = verdicts_of_mixed_rows(mixed, shared_keys=found.shared_keys)
    return _compared_rows(it, now, before, words)


def _compared_rows(
    it: Call,
    now: Mapping[str, Tally],
    before: Mapping[str, Tally],
    words: Mapping[str, tuple[Verdict, float | None]] | None,
) -> tuple[list[dict[str, Any]], str]:
    rows = []
    for name in sorted(now, key=lambda one: (-now[one].events, one)):
        more = {}
        if it.is_compared:
            more = compared(now[name], before.get(name, Tally()), words[name] if words else None)
        rows.append({"name": shown(name), **figures(now[name]), **more})
    return rows, _worst(rows)


def _worst(rows: list[dict[str, Any]]) -> str:
    """The lowest rates that rest on ten events or more."""
    judged = sorted((row for row in rows if not row["few_events"]), key=lambda row: row["success_rate"])
    if len(judged) < 2:
        return ""
    told = [f"{row['name']} {percent(row['success_rate'])} of {count(row['events'])}" for row in judged[:NAMED]]
    return f"; lowest first: {joined(told)}"


def _days(it: Call, cut: Cut) -> tuple[list[dict[str, Any]], str]:
    """Every day of the span: one without events has no rate, one before the records nothing at all."""
    sql = query("counts_by_day")
    asked = cut.params | {"first": it.span.first, "last": it.span.last}
    found = {row["event_date"]: row for row in it.reader.rows(sql, asked)}
    rows: list[dict[str, Any]] = []
    for day in each_day(max(it.span.first, it.ground.first_day or it.span.first), it.span.last):
        row = found.get(day, {"events": 0, "failures": 0})
        share = rate(row["events"] - row["failures"], row["events"])
        counted = {"events": row["events"], "failures": row["failures"]}
        rows.append({"name": str(day), **counted, "success_rate": rounded(share)})
    judged = [row for row in rows if row["events"] >= SMALL_NUMBER]
    if not judged:
        return rows, ""
    low = min(judged, key=lambda row: row["success_rate"])
    return rows, f"; lowest on {low['name']} with {percent(low['success_rate'])} of {count(low['events'])}"


def _commits(it: Call, cut: Cut, total: Tally) -> tuple[list[dict[str, Any]], str]:
    span = {"first": it.span.first, "last": it.span.last, "before_first": it.since}
    asked = {key: value for key, value in cut.params.items() if key != "component"}
    sides: dict[bool, dict[str, Tally]] = {True: {}, False: {}}
    for row in it.reader.rows(query("counts_by_commit"), asked | span):
        sides[row["is_now"]][row["part"]] = Tally(row["events"], row["failures"])
    rows, names = _compared_rows(it, sides[True], sides[False], None)
    nameless = total.events - summed(sides[True].values()).events
    return rows, f"{names}; {count(nameless)} events name no commit" if nameless else names
