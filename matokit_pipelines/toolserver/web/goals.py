"""Conversions of each goal. Matomo sums all goals up when asked for none; so they are listed and asked one by one.

Not here: orders in detail (ecommerce.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.problems import Problem, refused
from matokit_pipelines.toolserver.tools import Answer
from matokit_pipelines.toolserver.web import tables
from matokit_pipelines.toolserver.web.aggregating import added
from matokit_pipelines.toolserver.web.asking import Asked, begun, live_figures, nothing_archived, question
from matokit_pipelines.toolserver.web.comparing import noted, of_before, with_previous_row
from matokit_pipelines.toolserver.web.doubts import answerable, doubts_of, live_doubts, tables_first
from matokit_pipelines.toolserver.web.figures import doubtful
from matokit_pipelines.toolserver.web.parameters import GoalParameters
from matokit_pipelines.toolserver.web.shaping import number, shape, stamp

ORDER, CART = "ecommerceOrder", "ecommerceAbandonedCart"
_ECOMMERCE = {ORDER: ("Ecommerce Order", "ecommerce"), CART: ("Abandoned Cart", "ecommerce_cart")}
_REPORTS = {ORDER: "ecommerce", CART: "abandoned_carts"}
_SPELLED = {name.lower(): name for name in _ECOMMERCE}
FIGURES = ("nb_conversions", "nb_visits_converted", "revenue")
TYPES = (
    "manual", "url", "title", "file", "external_website", "event_category", "event_action", "event_name",
    "visit_duration", "visit_total_actions", "visit_total_pageviews", "ecommerce", "ecommerce_cart",
)  # fmt: skip


@dataclass(frozen=True)
class Goal:
    """A goal; `id` is its number, or a name of the two that ecommerce has."""

    id: str
    label: str
    type: str


@dataclass(frozen=True)
class Conversions:
    """Figures of each goal over the span. `note`: what they may lack."""

    of: Mapping[Goal, Mapping[str, Any]]
    as_of: datetime | None
    note: str | None = None


def get_goal_conversions(kit: Kit, parameters: GoalParameters) -> Answer:
    """The goals that were asked for, the most converted first."""
    asked = begun(kit, parameters)
    wanted = _goal_id(parameters.goalId) if parameters.goalId else None
    kind = folded(parameters.goalType) if parameters.goalType else None
    found = _conversions(asked, wanted, kind)
    goals = sorted(found.of, key=lambda goal: (-(number(found.of[goal].get("nb_conversions")) or 0), _place(goal)))
    rows = [_published(asked, goal, found) for goal in goals[: parameters.limit]]
    if parameters.compare:
        earlier = _conversions(asked.before(), wanted, kind)
        before = {goal.id: figures for goal, figures in earlier.of.items()}
        rows = [with_previous_row(row, before.get(row["id"]), FIGURES, is_whole=True) for row in rows]
        rows = [noted(row, of_before(earlier.note)) for row in rows]
    return Answer(rows, found.as_of)


def folded(kind: Any) -> str:
    """The type of a goal as published: Matomo's match attribute, but `manual` for "manually" and for none."""
    said = str(kind or "").strip().lower()
    return {"manually": "manual", "": "manual"}.get(said, said)


def _goal_id(said: str) -> str:
    if said.isascii() and said.isdigit():
        return str(int(said))
    if said.lower() in _SPELLED:
        return _SPELLED[said.lower()]
    raise refused(f'"{said[:40]}" is no goal.', f"Give goalId as the number of a goal, {ORDER}, or {CART}.")


def _place(goal: Goal) -> tuple[bool, int, str]:
    return goal.id not in _ECOMMERCE, int(goal.id) if goal.id.isdigit() else 0, goal.id


def _conversions(asked: Asked, wanted: str | None, kind: str | None) -> Conversions:
    return tables_first(asked, lambda one: _from_tables(one, wanted, kind), lambda one: _live(one, wanted, kind))


def _from_tables(asked: Asked, wanted: str | None, kind: str | None) -> Conversions | None:
    with tables.held_in(asked.kit, asked.site) as found:
        if not found:
            return None
        reader, held = found
        span = answerable(asked, held)
        if not span:
            return None
        rows: dict[Goal, list[Mapping[str, Any]]] = {}
        known: dict[str, Goal] = {}
        for record in reversed(tables.goals_of(reader, asked.site, span)):
            identity = str(record["goal_id"])  # its newest name and type count
            goal = known.setdefault(identity, _goal(identity, record.get("label"), record.get("type")))
            rows.setdefault(goal, []).append(record)
        if wanted and wanted not in known:
            return None  # a goal newer than the tables, or none at all: Matomo knows
        chosen = _chosen(known.values(), wanted, kind)
        reports = {_report(asked, goal.id) for goal in chosen}
        if wanted is None:
            reports |= {_report(asked, identity) for identity in (*held.goals(), ORDER)}
        if held.lacks(span, *(report for report in reports if report)):
            return None  # a goal that was listed after the period was read is not one without conversions
        sums = {goal: _sum(rows[goal]) for goal in chosen}
        return Conversions(sums, held.as_of(span), doubts_of(asked, held, span).note)


def _report(asked: Asked, identity: str) -> tuple[str, str] | None:
    """The report that has the figures of a goal; None for those of ecommerce where it is off: there are none."""
    if identity in _ECOMMERCE:
        return (_REPORTS[identity], "") if asked.facts.has_ecommerce else None
    return ("goals", identity)


def _live(asked: Asked, wanted: str | None, kind: str | None) -> Conversions:
    goals = [_goal(str(one["idgoal"]), one.get("name"), one.get("match_attribute"))
             for one in asked.kit.live.goals(asked.site)]  # fmt: skip
    if asked.facts.has_ecommerce or wanted in _ECOMMERCE:
        goals += [_goal(identity, None, None) for identity in _ECOMMERCE]
    chosen = _chosen(goals, wanted, kind)
    if not chosen:
        return Conversions({}, asked.now)
    span = asked.span
    visits, *each = live_figures(
        asked, span, question(asked, span, "visits"), [question(asked, span, "goals", idGoal=one.id) for one in chosen]
    )
    if any(not any(of.values()) for of in each):
        raise Problem("server", f"Matomo gives no figures for a goal of {asked.site.name}.")
    by_start = {start: {**of, "nb_conversions": sum(number(one[start].get("nb_conversions")) or 0 for one in each)}
                for start, of in visits.items()}  # fmt: skip
    if doubtful(asked, span, by_start):
        raise nothing_archived(asked, span)
    sums = {goal: _sum(list(of.values())) for goal, of in zip(chosen, each, strict=True)}
    return Conversions(sums, asked.now, live_doubts(asked).note)


def _goal(identity: str, name: Any, kind: Any) -> Goal:
    if identity in _ECOMMERCE:
        return Goal(identity, *_ECOMMERCE[identity])
    return Goal(identity, str(name or identity), folded(kind))


def _chosen(goals: Iterable[Goal], wanted: str | None, kind: str | None) -> list[Goal]:
    """Those asked for; carts only by name. Problem 400 for a goal or a type that there is not."""
    there = list(goals)
    chosen = [
        goal
        for goal in there
        if (goal.id == wanted if wanted else goal.id != CART or kind == "ecommerce_cart")
        and (kind is None or goal.type == kind)
    ]
    if wanted and wanted not in {goal.id for goal in there}:
        raise refused(f"There is no goal {wanted} at that site.", _known(there))
    if kind and kind not in TYPES and kind not in {goal.type for goal in there}:
        raise refused(f'There is no goal of the type "{kind[:40]}".', f"Types are: {', '.join(TYPES)}.")
    return chosen


def _known(goals: Sequence[Goal]) -> str:
    named = ", ".join(f"{goal.id} ({goal.label})" for goal in goals[:20]) or "none"
    return f"Give goalId as one of: {named}."


def _sum(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    sums = {key: added([row.get(key) for row in rows]) for key in FIGURES}
    found = {key: value for key, value in sums.items() if value is not None}
    return found or {"nb_conversions": 0, "nb_visits_converted": 0}


def _published(asked: Asked, goal: Goal, found: Conversions) -> dict[str, Any]:
    figures = shape(found.of[goal], FIGURES, asked.facts.currency)
    row = {"id": goal.id, "label": goal.label, "type": goal.type, **figures, "as_of": stamp(found.as_of)}
    return noted(row, found.note)
