"""One component of the daily report in sentences: templates over the document. Not here: the headline (words.py)."""

from __future__ import annotations

from collections.abc import Iterator

from matokit_pipelines.alerts.content.wording import RULE_NAMES
from matokit_pipelines.reports.completeness import many
from matokit_pipelines.reports.daily.shapes import Card, CiComparison, Component, Failures, Health


def card(at: str, health: Health) -> Card:
    """What is said of the component at path `at` of the document."""
    return Card(
        marks=tuple(_marks(f"{at}.row", health.row)),
        usual=_usual(f"{at}.row", health.row),
        since=tuple(_since(at, health)),
        ci=_ci(f"{at}.ci", health),
        errors=_errors(at, health),
    )


def failed(at: str, counts: Failures) -> str:
    """`2 of 6 failed`."""
    return f"{{{at}.failures|count}} of {{{at}.events|count}} failed" if counts.events else "no events"


def in_comparison(row: Component) -> str:
    """How a component does against the 28 days before."""
    return {
        "worse": "worse than in the 28 days before, more than chance",
        "better": "better than in the 28 days before, more than chance",
        "could be chance": "the difference could be chance",
        "too few": "too few tries to compare",
    }[row.verdict]


def _marks(at: str, row: Component) -> Iterator[str]:
    for rule in row.rules:
        yield f"{RULE_NAMES[rule]}, more than chance"
    if row.counts.small:
        yield "fewer than 10 events"
    if row.silenced_until is not None:
        yield f"silenced until {{{at}.silenced_until|instant}}"


def _usual(at: str, row: Component) -> str:
    if not row.four_weeks.events:
        return "It did not run in the 28 days before."
    week = "it did not run in the 7 days before"
    if row.week.events:
        week = (
            f"{{{at}.week.failure_rate|percent}} in the 7 days before "
            f"({{{at}.week.failures|count}} of {{{at}.week.events|count}})"
        )
    # once a rule fires, what is usual holds its failures: that they are no longer rare says nothing
    end = "" if row.rules and row.verdict != "worse" else f": {in_comparison(row)}"
    return (
        f"{week[:1].upper()}{week[1:]}, {{{at}.four_weeks.failure_rate|percent}} in 28 days "
        f"({{{at}.four_weeks.failures|count}} of {{{at}.four_weeks.events|count}}){end}."
    )


def _since(at: str, health: Health) -> Iterator[str]:
    """When it began, as far as that can be told."""
    if health.started_at is not None:
        yield f"Got worse from about {{{at}.started_at|instant}} on, estimated from its tries one by one."
    began = health.began
    if began is not None:
        commit = f"with commit {{{at}.began.commit_sha|text}}" if began.commit_sha else "without a known commit"
        yield (
            f"Failures began {{{at}.began.at|instant}} {commit}, on {{{at}.began.os_release|text}} "
            f"{{{at}.began.architecture|text}}: the first after ten successes in a row."
        )
    elif health.started_at is None:
        yield "When it began cannot be told: in the week before there are no ten successes in a row."


def _ci(at: str, health: Health) -> str:
    ci: CiComparison = health.ci
    if not ci.last_day.events and not ci.commits.events:
        return "CI did not run it in the last 24 hours."
    said = "CI did not run it in the last 24 hours"
    if ci.last_day.events:
        said = (
            f"CI in the last 24 hours: {failed(f'{at}.last_day', ci.last_day)}, {{{at}.last_day.failure_rate|percent}}"
        )
    if ci.commits.events:
        said += f"; with these commits {failed(f'{at}.commits', ci.commits)} in 7 days"
    verdict = ": CI green, production failing" if ci.is_green else ""
    return f"{said}{verdict}."


def _errors(at: str, health: Health) -> str:
    if not health.errors:
        return ""
    found = [
        f"{{{at}.errors.{place}.error_type|text}} {{{at}.errors.{place}.failures|count}}"
        if one.error_type
        else f"not reported {{{at}.errors.{place}.failures|count}}"
        for place, one in enumerate(health.errors)
    ]
    more = many(health.errors_more, "other kind", "other kinds")
    return ", ".join(found) + (f", {{{at}.errors_more|count}} {more}" if health.errors_more else "")
