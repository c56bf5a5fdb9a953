"""What the index says in sentences: the headline by rule and what else a reader should know first.

Sentences are templates over the document (marking.py), so every number in them is also in the JSON. Not here: the
numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from matokit_pipelines.alerts.verdicts import ALL
from matokit_pipelines.reports.completeness import many
from matokit_pipelines.reports.index.shapes import IndexNumbers, Source

_COMPLETE_TO = "{freshness.watermark|instant_of_year}"
_EVALUATED = {
    False: "The rules were never evaluated.",
    True: "The rules were last evaluated for {alerts.evaluated_to|instant_of_year}.",
}


@dataclass(frozen=True)
class Findings:
    """`headline_kind`: unreadable | nothing | unknown | firing | stale | unwatched | incomplete | off | well.

    `state`: good | bad; alerts that the settings switch off are named and no trouble.
    """

    headline_kind: str
    headline: str
    details: tuple[str, ...]
    completeness: str

    @property
    def state(self) -> str:
        return "good" if self.headline_kind in ("well", "off") else "bad"


def findings(numbers: IndexNumbers) -> Findings:
    """Headline and details as templates over the document of `numbers`."""
    kind, headline = _headline(numbers)
    return Findings(kind, headline, tuple(_details(numbers, kind)), completeness(numbers))


def _headline(numbers: IndexNumbers) -> tuple[str, str]:
    """By rule: what cannot be known, alerts, old data, rules that nobody evaluates, holes in the data, all is well."""
    fresh, alerts = numbers.freshness, numbers.alerts
    if fresh.damage:
        return "unreadable", "The published data cannot be read."
    if fresh.generation is None:
        return "nothing", "Nothing is published yet."
    if alerts.firing:
        return "firing", _firing(numbers)
    if fresh.watermark is None:
        return "unknown", "How far the data reach is not known."
    if fresh.is_stale:
        return "stale", f"The data are old: complete to {_COMPLETE_TO} only, {{freshness.age.words|text}} ago."
    if alerts.damage:
        return "unknown", "Whether an alert is open cannot be read."
    if alerts.is_on and (alerts.evaluated_to is None or alerts.is_behind):
        return "unwatched", f"Whether an alert is open is not known. {_EVALUATED[alerts.is_behind]}"
    if fresh.windows or fresh.days or fresh.truncated:
        well = "No alert is open" if alerts.is_on else "Alerts are switched off"
        return "incomplete", f"{well}, {'but' if alerts.is_on else 'and'} the data of the last 30 days have holes."
    if not alerts.is_on:
        return "off", "The data are fresh and complete; alerts are switched off."
    return "well", "No alert is open and the data are fresh and complete."


def _firing(numbers: IndexNumbers) -> str:
    """The one that leads the list by name."""
    first = numbers.alerts.rows[0]
    about = "" if first.subject == ALL else "{alerts.rows.0.subject|text}: "
    if numbers.alerts.firing == 1:
        return f"{{alerts.firing|count}} alert is open: {about}{{alerts.rows.0.name|text}}."
    return f"{{alerts.firing|count}} alerts are open, first {about}{{alerts.rows.0.name|text}}."


def _details(numbers: IndexNumbers, kind: str) -> Iterator[str]:
    fresh, alerts = numbers.freshness, numbers.alerts
    if fresh.damage:
        yield "{freshness.damage|text}"
    if kind == "nothing":
        yield "Pages come with the first run: `matokit run`, or leave `matokit up` running."
    if fresh.is_stale and kind != "stale":
        yield f"The data are old: complete to {_COMPLETE_TO} only, {{freshness.age.words|text}} ago."
    if fresh.watermark is None and kind not in ("unknown", "nothing", "unreadable"):
        yield "How far the data reach is not known."
    if alerts.damage:
        yield "{alerts.damage|text}"
    elif not alerts.is_on and alerts.firing:
        yield "Alerts are switched off: those that are open stay as they were."
    elif alerts.is_on and alerts.is_behind and kind != "unwatched":
        yield _EVALUATED[True]
    if kind == "unwatched":
        yield "`matokit run` evaluates them; `matokit status` says what went wrong."
    for row, source in enumerate(fresh.sources):
        yield from _source(f"freshness.sources.{row}", source)


def _source(at: str, source: Source) -> Iterator[str]:
    """What is missing of one source, the first windows by name."""
    name = f"{{{at}.source|text}}"
    mirrored = ", a mirror that is not counted," if source.mirror_of else ""
    if source.is_stale and source.mirror_of is None:
        yield f"{name} is complete to {{{at}.watermark|instant_of_year}} only, {{{at}.age.words|text}} ago."
    if found := source.losses.truncated:
        events = many(found, "event", "events")
        yield f"{{{at}.losses.truncated|count}} {events} of {name}{mirrored} were cut off at the source."
    if found := source.losses.open_differences:
        days = many(found, "day of {} differs", "days of {} differ").format(name + mirrored)
        yield f"{{{at}.losses.open_differences|count}} {days} from the source's own report."
    for place in range(len(source.gaps)):
        gap = f"{at}.gaps.{place}"
        yield f"{name}{mirrored} from {{{gap}.start|instant}} to {{{gap}.end|instant}} does not add up."
    if source.more_gaps:
        windows = many(source.more_gaps, "window of {} does not", "windows of {} do not").format(name + mirrored)
        yield f"{{{at}.more_gaps|count}} more {windows} add up either."


def completeness(numbers: IndexNumbers) -> str:
    """The last 30 days in one sentence."""
    fresh = numbers.freshness
    if fresh.period is None:
        return "Nothing is known of the last 30 days."
    parts = [
        f"{{freshness.{field}|count}} {many(found, one, several)}"
        for field, found, one, several in (
            ("windows", fresh.windows, "window that does not add up", "windows that do not add up"),
            ("days", fresh.days, "day that differs from its source's report", "days that differ from their reports"),
            ("truncated", fresh.truncated, "event cut off at its source", "events cut off at their sources"),
        )
        if found
    ]
    return ", ".join(parts) if parts else "Every window adds up; nothing is cut off."
