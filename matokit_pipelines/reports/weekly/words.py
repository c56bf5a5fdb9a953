"""What the weekly summary says in sentences: the headline by rule, what changed, what a mail says in its subject.

Sentences are templates over the document (marking.py), so every number in them is also in the JSON. No words of
statistics: "more than chance" and "could be chance". Not here: the numbers, titles of sections (titles.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from matokit_pipelines.reports.comparison import LOW_RATE, SMALL_NUMBER
from matokit_pipelines.reports.completeness import incomplete, many
from matokit_pipelines.reports.weekly import alert_words, titles
from matokit_pipelines.reports.weekly.queries import NOT_REPORTED
from matokit_pipelines.reports.weekly.shapes import Commit, Findings, WeeklyNumbers
from matokit_pipelines.reports.weekly.titles import NAMED
from matokit_pipelines.windows import zone_named

_SUCCESS = "{totals.this_week.rates.success_rate|percent}"
_BEFORE = "{totals.week_before.rates.success_rate|percent}"
_NOT_OVERALL = "No notable change overall, but single components got worse"
_CHANGED = ("worse", "better")
_EVENTS = "{totals.this_week.rates.events|count}"


def findings(numbers: WeeklyNumbers) -> Findings:
    """Headline, details, titles and what is incomplete, as templates over the document of `numbers`."""
    kind, headline = _headline(numbers)
    missing = (*incomplete(numbers), *_begun(numbers))
    return Findings(
        headline_kind=kind,
        headline=headline,
        subject=_subject(numbers, kind),
        details=tuple(_details(numbers, kind)),
        incomplete=missing,
        trend_title=titles.trend(numbers),
        failing_title=titles.failing(numbers),
        new_os_title=titles.new_os(numbers),
        commits_title=titles.commits(numbers),
        adoption_title=titles.adoption(numbers),
        alerts_title=alert_words.title(numbers.alerts),
        alerts_known=alert_words.known(numbers.alerts),
        quality_title=titles.quality(numbers, missing),
    )


def _begun(numbers: WeeklyNumbers) -> Iterator[str]:
    """Sources whose records begin inside the week before, with which this one is compared."""
    for row, source in enumerate(numbers.quality.sources):
        if source.proven_from is not None and numbers.week_before.start < source.proven_from <= numbers.period.start:
            at = f"quality.sources.{row}"
            yield (
                f"data of {{{at}.source|text}} begin {{{at}.proven_from|instant_of_year}}, so the week before is not "
                "whole."
            )


def _headline(numbers: WeeklyNumbers) -> tuple[str, str]:
    """By rule: a firing or recent alert, then as `_overall` says. Without events nothing else can be said."""
    if not numbers.totals.this_week.rates.events:
        return _silence(numbers)
    place = alert_words.recent(numbers.alerts)
    if numbers.alerts is not None and place is not None:
        return "alert", alert_words.headline(numbers.alerts, place, zone_named(numbers.zone))
    return _overall(numbers)


def _overall(numbers: WeeklyNumbers) -> tuple[str, str]:
    """By rule: significant change of the success rate, then a new failing component, then no notable change."""
    totals = numbers.totals
    events, before = totals.this_week.rates.events, totals.week_before.rates.events
    if events < SMALL_NUMBER:
        noun = many(events, "event", "events")
        return (
            "too_few",
            f"Too few events to judge: {{totals.this_week.rates.failures|count}} of {_EVENTS} {noun} failed.",
        )
    if totals.verdict in _CHANGED:
        return "success_change", _success_change(numbers)
    if numbers.new_failing:
        return "new_failing", _began_to_fail(0, numbers) + _and_more(len(numbers.new_failing))
    if not before:
        return "first_week", f"{_SUCCESS} of {_EVENTS} events succeeded; there is no week before to compare with."
    if totals.verdict == "too few":
        return "too_few", f"{_SUCCESS} of {_EVENTS} events succeeded; too few machines to compare with the week before."
    low = (totals.this_week.rates.success_rate or 0.0) < LOW_RATE
    start = _NOT_OVERALL if numbers.failing.worse else "No notable change"
    start += ", still below 75\u00a0%" if low else ""
    return "steady", f"{start}: {_SUCCESS} of {_EVENTS} events succeeded ({_BEFORE} the week before)."


def _subject(numbers: WeeklyNumbers, kind: str) -> str:
    """What a mail says in its subject: week, success rate, finding."""
    week = f"Installer week {int(numbers.period.label[-2:])}"
    totals = numbers.totals
    if kind in ("no_data", "no_events"):
        return f"{week}: no {'data' if kind == 'no_data' else 'event'}"
    events = totals.this_week.rates.events
    before = f" ({_BEFORE} before)" if totals.week_before.rates.events >= SMALL_NUMBER else ""
    success = (
        f"success {_SUCCESS}{before}" if events >= SMALL_NUMBER else f"{_EVENTS} {many(events, 'event', 'events')}"
    )
    place = alert_words.recent(numbers.alerts)
    if kind == "alert" and numbers.alerts is not None and place is not None:
        return f"{week}: {alert_words.subject(numbers.alerts, place)}, {success}"
    if kind == "new_failing":
        return f"{week}: {success}, {{new_failing.0.component|text}} began to fail"
    if numbers.failing.worse and totals.verdict != "better":
        return f"{week}: {success}, {{failing.worse.0.component|text}} failing"
    return f"{week}: {success}{', no notable change' if kind == 'steady' else ''}"


def _silence(numbers: WeeklyNumbers) -> tuple[str, str]:
    if numbers.watermark is None or numbers.watermark <= numbers.period.start:
        return "no_data", "No data of this week has been read yet."
    if not numbers.totals.before_is_known:
        return "no_events", "No installer reported anything this week."
    before = "{totals.week_before.rates.events|count}"
    return "no_events", f"No installer reported anything this week; {before} events came the week before."


def _success_change(numbers: WeeklyNumbers) -> str:
    totals = numbers.totals
    change, worse = totals.success_rate or 0.0, totals.verdict == "worse"
    if (change < 0) == worse and change:
        verb = "fell" if worse else "rose"
        return f"Success {verb} to {_SUCCESS} from {_BEFORE} ({{totals.success_rate|points}}), more than chance."
    # Another mix of components can hide what each of them does.
    word = "worse" if worse else "better"
    return f"Components did {word} than the week before, more than chance: {_SUCCESS} success ({_BEFORE} before)."


def _began_to_fail(row: int, numbers: WeeklyNumbers) -> str:
    at = f"new_failing.{row}"
    machines = many(numbers.new_failing[row].machines_failing, "machine", "machines")
    before = "it did not run the week before"
    if numbers.new_failing[row].events_before:
        before = f"none of {{{at}.events_before|count}} failed the week before"
    return (
        f"{{{at}.component|text}} began to fail: {{{at}.failures|count}} of {{{at}.events|count}} events, "
        f"on {{{at}.machines_failing|count}} {machines}; {before}."
    )


def _and_more(found: int) -> str:
    if found == 1:
        return ""
    return " It is not the only one." if found <= NAMED else " So did several others."


def _details(numbers: WeeklyNumbers, kind: str) -> Iterator[str]:
    """What else changed and why we think so."""
    if kind in ("no_data", "no_events"):
        return
    if kind == "alert":
        yield _overall(numbers)[1]
        if numbers.alerts is not None and (sentence := alert_words.counts(numbers.alerts)):
            yield sentence
    begun = {row.component for row in numbers.new_failing}
    for row, component in enumerate(numbers.failing.worse):
        if component.component not in begun:
            yield _component_worse(row, numbers)
    if others := numbers.failing.more_worse:
        noun = many(others, "component", "components")
        yield f"{{failing.more_worse|count}} other {noun} got worse too, more than chance."
    first = 1 if (kind if kind != "alert" else _overall(numbers)[0]) == "new_failing" else 0
    for row in range(first, min(len(numbers.new_failing), NAMED)):
        yield _began_to_fail(row, numbers)
    commits = numbers.commits.rows
    judged = [row for row, commit in enumerate(commits) if commit.is_new and commit.verdict in _CHANGED]
    for row in judged[:NAMED]:
        yield _commit_changed(row, commits[row])
    if 0 < len(numbers.new_os) <= NAMED and kind != "first_week":
        for row, version in enumerate(numbers.new_os):
            machines = many(version.machines, "machine", "machines")
            at = f"new_os.{row}"
            yield f"{{{at}.os_release|text}} was seen for the first time, on {{{at}.machines|count}} {machines}."
    if numbers.quality.shared_keys:
        yield (
            "One machine key holds {quality.largest_machine|percent} of the events, so machines cannot be told apart; "
            "half the events were compared in their place."
        )


def _component_worse(row: int, numbers: WeeklyNumbers) -> str:
    at = f"failing.worse.{row}"
    said = numbers.failing.worse[row].error_type
    cause = "" if said == NOT_REPORTED else f", most often {{{at}.error_type|text}}"
    return (
        f"{{{at}.component|text}} got worse, more than chance: {{{at}.this_week.failures|count}} of "
        f"{{{at}.this_week.events|count}} events failed{cause}; the week before "
        f"{{{at}.week_before.failures|count}} of {{{at}.week_before.events|count}}."
    )


def _commit_changed(row: int, commit: Commit) -> str:
    at = f"commits.rows.{row}"
    span = "in its first 24 hours" if commit.is_final else "so far, within its first 24 hours,"
    return (
        f"Commit {{{at}.commit_sha|text}}, first seen {{{at}.first_seen|instant}}, did {commit.verdict} {span} "
        f"than {titles.held_against(row, commit)}, more than chance: {{{at}.unit_failures|count}} of "
        f"{{{at}.units|count}} first tries failed ({{{at}.unit_failure_share|percent}}), before it "
        f"{{{at}.baseline_unit_failures|count}} of {{{at}.baseline_units|count}} ({{{at}.expected_share|percent}} at "
        "the same mix of components)."
    )
