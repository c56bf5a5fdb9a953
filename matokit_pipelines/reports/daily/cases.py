"""What the daily report tells of by name, worst first: components of which a rule is met more than chance, everything,
other listed components; each with the counts that bear it out.

A component's few events keep its rate out of a headline, not its counts: what a guard bears out is told whatever its
size. Not here: the sentences (words.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from matokit_pipelines.alerts.content.surroundings import MOST
from matokit_pipelines.reports.daily.shapes import Component, DailyNumbers, Failures, Trigger


@dataclass(frozen=True)
class Case:
    """A component that is told by name. `name`: the path of its name in the document; `at`: the path of what holds its
    `counts` and the machines failing; `row`, `row_at`: the component in the window and its path, None when it has no
    event there. `is_of_rule`: the counts are the 24 hours of its rule, which a cut window does not hold.
    """

    component: str
    name: str
    at: str
    counts: Failures
    machines_failing: int | None
    row: Component | None
    row_at: str | None
    is_of_rule: bool


def rows_of(numbers: DailyNumbers) -> list[tuple[str, Component]]:
    """`(path, component)` of all rows of the document, worst first."""
    full = [(f"components.{place}.row", one.row) for place, one in enumerate(numbers.components)]
    return full + [(f"others.{place}", one) for place, one in enumerate(numbers.others)]


def sure_triggers(numbers: DailyNumbers, subject: str | None) -> list[tuple[int, Trigger]]:
    """`(place, trigger)` of those of a subject that are met more than chance and not silenced."""
    return [
        (place, one)
        for place, one in enumerate(numbers.triggers)
        if one.subject == subject and one.is_sure and one.silenced_until is None
    ]


def sure(numbers: DailyNumbers) -> list[Case]:
    """Components of which a trigger is met more than chance; those of few events last."""
    rows = rows_of(numbers)
    found = [
        _sure_case(at, row, sure_triggers(numbers, row.component))
        for at, row in rows
        if row.rules and row.silenced_until is None
    ]
    found += _without_row(numbers, {row.component for _, row in rows})
    return sorted(found, key=lambda one: (one.counts.small, -one.counts.failures, -one.counts.events, one.component))


def listed(numbers: DailyNumbers) -> list[Case]:
    """Other listed components of enough events."""
    return [
        _of_row(at, row)
        for at, row in rows_of(numbers)
        if row.is_listed and not row.rules and not row.counts.small and row.silenced_until is None
    ]


def everything(numbers: DailyNumbers) -> int | None:
    """Where the trigger about everything stands among the triggers, when it is met more than chance and no component
    that is so itself holds most of the failures."""
    most = max((one.counts.failures for one in sure(numbers)), default=0)
    for place, one in sure_triggers(numbers, None):
        if most < MOST * one.counts.failures:
            return place
    return None


def _of_row(at: str, row: Component) -> Case:
    return Case(row.component, f"{at}.component", at, row.counts, row.machines_failing, row, at, is_of_rule=False)


def _sure_case(at: str, row: Component, triggers: list[tuple[int, Trigger]]) -> Case:
    """With the counts of the window, or of its rule where that looked at others: a cut window may hold none of them."""
    if not triggers or any(one.counts == row.counts for _, one in triggers):
        return _of_row(at, row)
    place, one = triggers[0]
    return Case(
        row.component, f"{at}.component", f"triggers.{place}", one.counts, one.machines_failing, row, at,
        is_of_rule=True,
    )  # fmt: skip


def _without_row(numbers: DailyNumbers, known: set[str]) -> Iterator[Case]:
    """Those whose 24 hours hold events, but not the window."""
    for place, one in enumerate(numbers.triggers):
        if one.subject is None or one.subject in known or not one.is_sure or one.silenced_until is not None:
            continue
        known.add(one.subject)
        at = f"triggers.{place}"
        yield Case(one.subject, f"{at}.subject", at, one.counts, one.machines_failing, None, None, is_of_rule=True)
