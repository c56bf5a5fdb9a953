"""GetComponentHealth: one component or all: rate, change, kinds of error, systems, durations, and a verdict.

Not here: which commit did it (commits.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from matokit_pipelines.reports.comparison import SMALL_NUMBER, Tally, Verdict, verdicts_of_rows
from matokit_pipelines.statistics import Z_95_ONE_SIDED, rate, wilson
from matokit_pipelines.toolserver.installer.answering import Call, call
from matokit_pipelines.toolserver.installer.asking import LIMIT, Span, SpanParameters
from matokit_pipelines.toolserver.installer.counting import (
    Counts,
    Cut,
    by_component,
    compared,
    counts,
    figures,
    fitted,
    rounded,
)
from matokit_pipelines.toolserver.installer.durations import WINDOWS, rows_of, seconds
from matokit_pipelines.toolserver.installer.error_types import Failures, failures_of_span
from matokit_pipelines.toolserver.installer.names import component_of
from matokit_pipelines.toolserver.installer.queries import query
from matokit_pipelines.toolserver.installer.shapes import Compared, OfSpan, Result
from matokit_pipelines.toolserver.installer.words import count, joined, many, percent, shown, succeeded
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import Whole
from matokit_pipelines.toolserver.tools import Answer
from matokit_pipelines.windows import each_day

State = Literal["got worse", "fails often", "no trouble seen", "too few events"]
Judged = tuple[Verdict, float | None]
TREND_POINTS = 31
PARTS = 5
RANK: tuple[State, ...] = ("got worse", "fails often", "no trouble seen", "too few events")


class ComponentParameters(SpanParameters):
    """Which component."""

    component: str | None = Field(
        None, description="One component, such as python_install, for all that is known of it. Default: each of them."
    )
    limit: Whole = Field(10, ge=1, le=50, description=LIMIT.format(10))


class ErrorPart(Result):
    """Failures of one kind."""

    error_type: str = Field(description="As the scripts guess it; not_reported where none was sent.")
    failures: int


class SystemPart(Result):
    """The component on one architecture or release."""

    name: str
    events: int
    failures: int
    success_rate: float | None = Field(description="0 to 1; null without events.")


class DayPart(Result):
    """The component on one day."""

    day: str = Field(description="Day of the project's time zone, YYYY-MM-DD.")
    events: int
    failures: int
    success_rate: float | None = Field(description="0 to 1; null without events.")


class ComponentRow(Compared):
    """One component."""

    component: str
    state: State = Field(
        description="got worse: more failures than in the span before by more than chance; fails often: the share of "
        "failures is surely above the limit of rule component_failure_rate; too few events: fewer than ten."
    )
    error_type: str | None = Field(description="The kind of most failures; null without failures.")
    error_type_failures: int = Field(description="Failures of that kind.")
    median_s: float | None = Field(description="Median duration of successes, seconds; null where none is known.")
    p90_s: float | None = Field(description="Nine in ten successes took no longer, seconds; null where none is known.")
    durations_days: int | None = Field(description="Window of the durations: days that end with the last complete day.")


class ComponentFacts(Result):
    """More of the one component that was asked for."""

    error_types: list[ErrorPart] = Field(description="Kinds of error, most failures first, at most five.")
    architectures: list[SystemPart] = Field(description="Most failures first, at most five.")
    os_releases: list[SystemPart] = Field(description="Most failures first, at most five.")
    trend: list[DayPart] = Field(description="The last days of the span, at most 31, in order.")


class ComponentHealth(OfSpan):
    """Answer of GetComponentHealth."""

    rows: list[ComponentRow] = Field(description="Those in trouble first, then by failures.")
    facts: ComponentFacts | None = Field(None, description="Of the one component that was asked for.")


def component_health(kit: Kit, asked: ComponentParameters) -> Answer:
    """How components do."""
    with call(kit, asked) as it:
        cut = Cut(asked.environment, component_of(asked.component, it.ground))
        found = counts(it.reader, it.ground, cut, "component", it.span)
        now = failures_of_span(it, cut)
        rows = component_rows(it, found, now, _durations(it, cut))
        listed, more = fitted(rows, asked.limit)
        if cut.component is None:
            return it.answer(_all(it, cut, rows), more, rows=listed)
        facts = _facts(it, cut, now)
        return it.answer(_one(it, cut, found, rows, facts), more, rows=listed, facts=facts)


def component_rows(
    it: Call, found: Counts, failing: Failures | None = None, took: Mapping[str, Mapping[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Rows of all components of the span, those in trouble first. Without `failing` and `took` only what is counted."""
    now, before = by_component(found.now), by_component(found.before)
    words = verdicts_of_rows(now, before, shared_keys=found.shared_keys)
    limit = it.kit.loaded.settings.alerts.rules.component_failure_rate.above_percent / 100
    rows = []
    for name, tally in now.items():
        row = {"component": shown(name), **figures(tally), "state": state_of(tally, words[name][0], limit)}
        if it.is_compared:
            row |= compared(tally, before.get(name, Tally()), words[name])
        if failing is not None and took is not None:
            row |= _error(name, failing) | _took(took.get(name))
        rows.append(row)
    return sorted(rows, key=lambda row: (RANK.index(row["state"]), -row["failures"], -row["events"], row["component"]))


def state_of(tally: Tally, word: Verdict, limit: float) -> State:
    """`limit`: the share of failures above which a component fails often."""
    if tally.events < SMALL_NUMBER:
        return "too few events"
    if word == "worse":
        return "got worse"
    bounds = wilson(tally.failures, tally.events, Z_95_ONE_SIDED)
    return "fails often" if bounds and bounds[0] > limit else "no trouble seen"


def _error(name: str, failing: Failures) -> dict[str, Any]:
    of = {kind: by[name] for kind, by in failing.items() if by.get(name)}
    kind = min(of, key=lambda one: (-of[one], one), default=None)
    failures = of[kind] if kind is not None else 0
    return {"error_type": shown(kind) if kind is not None else None, "error_type_failures": failures}


def _took(row: Mapping[str, Any] | None) -> dict[str, Any]:
    if row is None:
        return {"median_s": None, "p90_s": None, "durations_days": None}
    return {"median_s": row["median_s"], "p90_s": row["p90_s"], "durations_days": row["window_days"]}


def _durations(it: Call, cut: Cut) -> dict[str, Mapping[str, Any]]:
    """Of the window that is nearest to the span; of none where the span ends earlier or environments are mixed."""
    if it.span.last != it.ground.last_day or cut.environment == "all":
        return {}
    days = min(WINDOWS, key=lambda one: (abs(one - it.span.days), one))
    rows = rows_of(it, cut.environment, "all", cut.component)
    return {row["component"]: row for row in rows if row["window_days"] == days}


def _facts(it: Call, cut: Cut, failing: Failures) -> dict[str, Any]:
    span: Span = it.span
    params = {"first": span.first, "last": span.last, "before_first": span.first}
    asked = params | {"environment": cut.environment, "component": cut.component}
    levels: dict[str, dict[str, tuple[int, int]]] = {"day": {}, "architecture": {}, "os_release": {}}
    for row in it.reader.rows(query("component_facts"), asked):
        levels[row["level"]][row["name"]] = (row["events"], row["failures"])
    kinds = {kind: sum(of.values()) for kind, of in failing.items()}
    days = list(each_day(max(span.first, it.ground.first_day or span.first), span.last))[-TREND_POINTS:]
    return {
        "error_types": [
            {"error_type": shown(kind), "failures": kinds[kind]}
            for kind in sorted(kinds, key=lambda one: (-kinds[one], one))[:PARTS]
        ],
        "architectures": _parts(levels["architecture"]),
        "os_releases": _parts(levels["os_release"]),
        "trend": [{"day": str(day), **_counted(*levels["day"].get(str(day), (0, 0)))} for day in days],
    }


def _parts(of: Mapping[str, tuple[int, int]]) -> list[dict[str, Any]]:
    most = sorted(of, key=lambda name: (-of[name][1], -of[name][0], name))[:PARTS]
    return [{"name": shown(name), **_counted(*of[name])} for name in most]


def _counted(events: int, failures: int) -> dict[str, Any]:
    return {"events": events, "failures": failures, "success_rate": rounded(rate(events - failures, events))}


def _all(it: Call, cut: Cut, rows: list[dict[str, Any]]) -> str:
    head = f"{cut.words} {it.span.words}"
    if not rows:
        return f"{head}, there was no installer event."
    bad = [row for row in rows if row["state"] in ("got worse", "fails often")]
    few = sum(row["state"] == "too few events" for row in rows)
    rest = f"; {many(few, 'component')} had fewer than ten events" if few else ""
    if not bad:
        return f"{head}, none of {many(len(rows), 'component')} surely got worse or fails often{rest}."
    are = "is" if len(bad) == 1 else "are"
    return f"{head}, {count(len(bad))} of {many(len(rows), 'component')} {are} in trouble: {joined(said(bad))}{rest}."


def said(rows: list[dict[str, Any]]) -> list[str]:
    """`python_install (38 of 90 events failed, got worse)`."""
    return [
        f"{row['component']} ({count(row['failures'])} of {many(row['events'], 'event')} failed, {row['state']})"
        for row in rows
    ]


def _one(it: Call, cut: Cut, found: Counts, rows: list[dict[str, Any]], facts: Mapping[str, Any]) -> str:
    head = f"{cut.words} {it.span.words}"
    now, before = found.total
    if not rows:
        return f"{head}, there was no installer event."
    [row] = rows
    against = f"; {it.beside(now, before, found.judged()[0])}"
    told = "; it surely fails often" if row["state"] == "fails often" else ""
    kinds = [f"{one['error_type']} {count(one['failures'])}" for one in facts["error_types"]]
    why = f"; kinds of error: {joined(kinds)}" if kinds else ""
    failing = [one for one in facts["os_releases"] if one["failures"]]
    where = ", ".join(f"{one['name']} {percent(one['success_rate'])} of {count(one['events'])}" for one in failing[:2])
    took = f"; half took up to {seconds(row['median_s'])}" if row["median_s"] is not None else ""
    systems = f"; most failures on {where}" if where else ""
    return f"{head}, {succeeded(now)}{against}{told}{why}{systems}{took}."
