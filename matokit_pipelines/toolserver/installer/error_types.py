"""GetErrorTypes: with which kinds of error steps fail, and which of them grew.

The kinds are guesses from the words of a failing command's output. Not here: rates (rates.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from matokit_pipelines.reports.comparison import Tally, verdicts_of_rows
from matokit_pipelines.toolserver.installer.answering import Call, call
from matokit_pipelines.toolserver.installer.asking import COMPONENT, LIMIT, SpanParameters
from matokit_pipelines.toolserver.installer.counting import Cut, counts, fitted, rounded
from matokit_pipelines.toolserver.installer.names import component_of
from matokit_pipelines.toolserver.installer.queries import query
from matokit_pipelines.toolserver.installer.shapes import OfSpan, Result, Word
from matokit_pipelines.toolserver.installer.words import count, joined, many, percent, shown
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import Whole
from matokit_pipelines.toolserver.tools import Answer

COMPONENTS_NAMED = 3
Failures = Mapping[str, Mapping[str, int]]  # kind -> component -> failures


class ErrorParameters(SpanParameters):
    """Which failures."""

    component: str | None = Field(None, description=COMPONENT)
    limit: Whole = Field(10, ge=1, le=50, description=LIMIT.format(10))


class ErrorComponent(Result):
    """A component that fails with the kind."""

    component: str
    failures: int = Field(description="Its failures of this kind.")


class ErrorRow(Result):
    """One kind of error."""

    error_type: str = Field(description="What the sender named; not_reported where it named none.")
    failures: int = Field(description="Failures of this kind.")
    share_of_failures: float = Field(description="Of all failures asked about, 0 to 1.")
    share_of_events: float | None = Field(description="Of all events asked about, 0 to 1; null without events.")
    often_harmless: bool = Field(description="Whether the kind is often no failure for the person.")
    components: list[ErrorComponent] = Field(description="Those with most failures of this kind, at most three.")
    previous_failures: int | None = Field(None, description="Failures of this kind in the span before.")
    previous_share_of_events: float | None = Field(None, description="0 to 1; null without events then.")
    change_points: float | None = Field(None, description="Share of events less that of before, percentage points.")
    verdict: Word | None = Field(
        None, description="worse (more of it) or better: more than chance, events counted by half; else could be "
        "chance, or too few events."
    )  # fmt: skip
    chance: float | None = Field(None, description="How often as much would be seen had nothing changed, 0 to 1.")


class ErrorTypes(OfSpan):
    """Answer of GetErrorTypes."""

    component: str | None = Field(description="The component that was asked for; null: all together.")
    events: int = Field(description="Counted events.")
    failures: int = Field(description="Of these, those that failed.")
    previous_events: int | None = Field(None, description="Events of the span before.")
    previous_failures: int | None = Field(None, description="Failures of the span before.")
    rows: list[ErrorRow] = Field(description="Kinds, most failures first.")


def error_types(kit: Kit, asked: ErrorParameters) -> Answer:
    """Kinds of error."""
    with call(kit, asked) as it:
        cut = Cut(asked.environment, component_of(asked.component, it.ground))
        total, old_total = counts(it.reader, it.ground, cut, "none", it.span, it.since).total
        now, before, harmless = failures_by_kind(it, cut)
        rows = _rows(it, (now, before), (total, old_total), harmless)
        listed, more = fitted(rows, asked.limit)
        old = {"previous_events": old_total.events, "previous_failures": old_total.failures} if it.is_compared else {}
        return it.answer(
            _sentence(it, cut, total, rows),
            more,
            component=shown(cut.component) if cut.component else None,
            events=total.events,
            failures=total.failures,
            **old,
            rows=listed,
        )


def failures_by_kind(it: Call, cut: Cut) -> tuple[Failures, Failures, frozenset[str]]:
    """`(of the span, of the one before, kinds that are often harmless)`."""
    now: dict[str, dict[str, int]] = defaultdict(dict)
    before: dict[str, dict[str, int]] = defaultdict(dict)
    harmless = set()
    asked = {"environment": cut.environment, "component": cut.component}
    span = {"first": it.span.first, "last": it.span.last, "before_first": it.since}
    for row in it.reader.rows(query("error_types"), asked | span):
        (now if row["is_now"] else before)[row["error_type"]][row["component"]] = row["failures"]
        if row["often_harmless"]:
            harmless.add(row["error_type"])
    return now, before, frozenset(harmless)


def failures_of_span(it: Call, cut: Cut) -> Failures:
    """Of the span alone."""
    now: dict[str, dict[str, int]] = defaultdict(dict)
    asked = {"environment": cut.environment, "component": cut.component}
    for row in it.reader.rows(query("error_parts"), asked | {"first": it.span.first, "last": it.span.last}):
        now[row["error_type"]][row["component"]] = row["failures"]
    return now


def _rows(
    it: Call, found: tuple[Failures, Failures], totals: tuple[Tally, Tally], harmless: frozenset[str]
) -> list[dict[str, Any]]:
    now, before = ({kind: sum(of.values()) for kind, of in side.items()} for side in found)
    total, old_total = totals
    sides = [
        {kind: Tally(whole.events, side.get(kind, 0)) for kind in {*now, *before}}
        for side, whole in ((now, total), (before, old_total))
    ]
    words = verdicts_of_rows(sides[0], sides[1], shared_keys=True) if it.is_compared else {}
    kinds = {*now, *before} if it.is_compared else set(now)
    rows = []
    for kind in sorted(kinds, key=lambda one: (-now.get(one, 0), -before.get(one, 0), one)):
        failures, old = now.get(kind, 0), before.get(kind, 0)
        share, was = (_share(n, whole) for n, whole in ((failures, total), (old, old_total)))
        row = {
            "error_type": shown(kind), "failures": failures,
            "share_of_failures": round(failures / total.failures, 4) if total.failures else 0.0,
            "share_of_events": rounded(share), "often_harmless": kind in harmless,
            "components": _components(found[0].get(kind, {})),
        }  # fmt: skip
        if it.is_compared:
            word, chance = words[kind]
            row |= {
                "previous_failures": old, "previous_share_of_events": rounded(was),
                "change_points": None if share is None or was is None else round(100 * (share - was), 2),
                "verdict": word, "chance": None if chance is None else float(f"{chance:.2g}"),
            }  # fmt: skip
        rows.append(row)
    return rows


def _share(failures: int, whole: Tally) -> float | None:
    return failures / whole.events if whole.events else None


def _components(of: Mapping[str, int]) -> list[dict[str, Any]]:
    most = sorted(of, key=lambda name: (-of[name], name))[:COMPONENTS_NAMED]
    return [{"component": shown(name), "failures": of[name]} for name in most]


def _sentence(it: Call, cut: Cut, total: Tally, rows: list[dict[str, Any]]) -> str:
    head = f"{cut.words} {it.span.words}"
    if not total.events:
        return f"{head}, there was no installer event."
    if not total.failures:
        return f"{head}, none of {many(total.events, 'event')} failed."
    present = [row for row in rows if row["failures"]]
    named = [f"{row['error_type']} {count(row['failures'])} ({percent(row['share_of_failures'])})" for row in present]
    grown = [row for row in rows if row.get("verdict") == "worse"]
    more = ""
    if it.is_compared:
        more = "; none of them changed by more than chance"
        if changed := [row for row in rows if row["verdict"] in ("worse", "better")]:
            more = "; " + joined([
                f"{row['error_type']} {'grew' if row in grown else 'fell'} from {count(row['previous_failures'])} by "
                "more than chance" for row in changed
            ])  # fmt: skip
    harmless = [row["error_type"] for row in present[:3] if row["often_harmless"]]
    often = f"; {joined(harmless)} is often harmless" if harmless else ""
    return (
        f"{head}, {count(total.failures)} of {many(total.events, 'event')} failed, by kind as the scripts guess it: "
        f"{joined(named)}{more}{often}."
    )
