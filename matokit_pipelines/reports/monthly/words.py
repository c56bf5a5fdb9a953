"""What the monthly report says in sentences: the headline by rule, what changed, titles, recommendations.

Sentences are templates over the document (marking.py), so every number in them is also in the JSON. No words of
statistics: "more than chance" and "could be chance". Recommendations say "consider". Not here: the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

from matokit_pipelines.reports.comparison import LOW_RATE, SMALL_NUMBER
from matokit_pipelines.reports.completeness import incomplete, many
from matokit_pipelines.reports.monthly.advice import advice, recommendation
from matokit_pipelines.reports.monthly.shapes import Findings, Issue, MonthlyNumbers

NAMED = 3  # as many of a kind are named before the reader has to look into the tables
_SUCCESS = "{totals.last.rates.success_rate|percent}"
_BEFORE = "{totals.before.rates.success_rate|percent}"
_EVENTS = "{totals.last.rates.events|count}"
_NOT_OVERALL = "No notable change overall, but single components got worse"
_DAYS = "in the 30 days to {period.last_day|day}"


def findings(numbers: MonthlyNumbers) -> Findings:
    """Headline, details, titles and what is incomplete, as templates over the document of `numbers`."""
    kind, headline = _headline(numbers)
    return Findings(
        headline_kind=kind,
        headline=headline,
        subject=_subject(numbers, kind),
        details=tuple(_details(numbers, kind)),
        incomplete=tuple(incomplete(numbers)),
        new_title=_new_title(numbers),
        adoption_title=_adoption_title(numbers),
        segments_title=_segments_title(numbers),
        issues_title=_issues_title(numbers),
        trend_title=_trend_title(numbers),
        deprecation_title=_deprecation_title(numbers),
        recommendations=tuple(recommendation(row, found) for row, found in enumerate(numbers.deprecation.rows)),
    )


def _headline(numbers: MonthlyNumbers) -> tuple[str, str]:
    """By rule: a compatibility issue, a significant change of the success rate, a new major version, nothing."""
    totals = numbers.totals
    events = totals.last.rates.events
    if not events:
        return _silence(numbers)
    if events < SMALL_NUMBER:
        noun = many(events, "event", "events")
        failed = "{totals.last.rates.failures|count}"
        return "too_few", f"Too few events to judge: {failed} of {_EVENTS} {noun} failed {_DAYS}."
    if numbers.issues.rows:
        return "issue", _issue(0, numbers) + _and_more(len(numbers.issues.rows) + numbers.issues.more)
    if totals.verdict in ("worse", "better"):
        return "success_change", _success_change(numbers)
    if numbers.new_versions.majors:
        return "new_major", _new_major(0, numbers)
    if not totals.is_compared:
        return (
            "not_compared",
            f"{_SUCCESS} of {_EVENTS} events succeeded {_DAYS}; nothing is compared before they are whole.",
        )
    if not totals.before.rates.events:
        return "first_month", f"{_SUCCESS} of {_EVENTS} events succeeded {_DAYS}; there is nothing before to compare."
    if totals.verdict == "too few":
        return "too_few", f"{_SUCCESS} of {_EVENTS} events succeeded {_DAYS}; too few machines to compare with before."
    low = ", still below 75\u00a0%" if (totals.last.rates.success_rate or 0.0) < LOW_RATE else ""
    start = _NOT_OVERALL if numbers.worse_components else "No notable change"
    return "steady", f"{start}{low}: {_SUCCESS} of {_EVENTS} events succeeded ({_BEFORE} in the 30 days before)."


def _silence(numbers: MonthlyNumbers) -> tuple[str, str]:
    if numbers.watermark is None or numbers.watermark <= numbers.period.start:
        return "no_data", "No data of this month has been read yet."
    before = "{totals.before.rates.events|count}"
    return "no_events", f"No installer reported anything {_DAYS}; {before} events came in the 30 days before."


def _tries(numbers: MonthlyNumbers) -> str:
    return "the events compared" if numbers.quality.shared_keys else "first tries"


def _issue(row: int, numbers: MonthlyNumbers) -> str:
    at = f"issues.rows.{row}"
    return (
        f"{{{at}.os_release|text}} fails more than the other versions, more than chance: "
        f"{{{at}.failed_share|percent}} of {_tries(numbers)} failed, {{{at}.expected_share|percent}} expected."
    )


def _and_more(found: int) -> str:
    if found == 1:
        return ""
    return " It is not the only one." if found <= NAMED else " So do several others."


def _success_change(numbers: MonthlyNumbers) -> str:
    totals = numbers.totals
    change, worse = totals.success_rate or 0.0, totals.verdict == "worse"
    if (change < 0) == worse and change:
        verb = "fell" if worse else "rose"
        return f"Success {verb} to {_SUCCESS} from {_BEFORE} ({{totals.success_rate|points}}), more than chance."
    # Another mix of components can hide what each of them does.
    word = "worse" if worse else "better"
    return f"Components did {word} than in the 30 days before, more than chance: {_SUCCESS} success ({_BEFORE} before)."


def _new_major(row: int, numbers: MonthlyNumbers) -> str:
    at = f"new_versions.majors.{row}"
    count = numbers.new_versions.majors[row].machines
    machines = "" if count is None else f"on {{{at}.machines|count}} {many(count, 'machine', 'machines')}, "
    return (
        f"{{{at}.major|text}} is new: first seen {{{at}.first_seen|instant}}, {machines}"
        f"{{{at}.share|percent}} of installations since then."
    )


def _subject(numbers: MonthlyNumbers, kind: str) -> str:
    """What a mail says in its first line: the month, the rate and the finding, in few words."""
    month = "Installer month {period.label|text}"
    if kind in ("no_data", "no_events"):
        return f"{month}: {'no data yet' if kind == 'no_data' else 'no events'}"
    rate = f"{month}: success {_SUCCESS}"
    if numbers.totals.before.rates.events:
        rate += f" ({_BEFORE} before)"
    if kind == "issue":
        return f"{rate}, {{issues.rows.0.os_release|text}} fails more than others"
    if kind == "new_major":
        return f"{rate}, {{new_versions.majors.0.major|text}} is new"
    advised = [row for row in numbers.deprecation.rows if row.kind == "consider"]
    return f"{rate}, {{deprecation.rows.0.major|text}} may be worth ending" if advised else rate


def _details(numbers: MonthlyNumbers, kind: str) -> Iterator[str]:
    """What else is worth knowing, the most important first."""
    if kind in ("no_data", "no_events"):
        return
    if kind == "issue":
        yield from _worst_components(0, numbers.issues.rows[0])
        for row in range(1, min(len(numbers.issues.rows), NAMED)):
            yield _issue(row, numbers)
        if numbers.totals.verdict in ("worse", "better"):
            yield _success_change(numbers)
    for row in range(len(numbers.worse_components)):
        at = f"worse_components.{row}"
        yield (
            f"{{{at}.component|text}} got worse, more than chance: {{{at}.last.failures|count}} of "
            f"{{{at}.last.events|count}} events failed, {{{at}.before.failures|count}} of "
            f"{{{at}.before.events|count}} in the 30 days before."
        )
    for row in range(1 if kind == "new_major" else 0, min(len(numbers.new_versions.majors), NAMED)):
        yield _new_major(row, numbers)
    for row, found in enumerate(numbers.deprecation.rows[:NAMED]):
        if found.kind == "consider":
            yield advice(row, found)
    if numbers.quality.shared_keys:
        yield (
            "The largest machine keys hold {quality.largest_machine|percent} of the events of their weeks, so machines "
            "cannot be told apart; half the events were compared in their place."
        )


def _worst_components(row: int, issue: Issue) -> Iterator[str]:
    """Where it fails beyond what is usual on the others."""
    if not issue.components:
        return
    at = f"issues.rows.{row}.components.0"
    worst = issue.components[0]
    kind = worst.error_type
    cause = f", most often {{{at}.error_type|text}}" if kind not in (None, "not_reported") else ""
    yield (
        f"The difference is largest at {{{at}.component|text}}: {{{at}.rates.failures|count}} of "
        f"{{{at}.rates.events|count}} events failed{cause}; on the others "
        f"{{{at}.others.failures|count}} of {{{at}.others.events|count}}."
    )


def _new_title(numbers: MonthlyNumbers) -> str:
    new = numbers.new_versions
    if not new.is_known:
        return "Which versions are new is not known yet"
    if not new.rows:
        return "No new OS version"
    if len(new.rows) + new.more == 1:
        return "{new_versions.rows.0.os_release|text} is the only new OS version"
    return "New OS versions, {new_versions.rows.0.os_release|text} ahead"


def _adoption_title(numbers: MonthlyNumbers) -> str:
    for place, row in enumerate(numbers.adoption.macs):
        if row.architecture == "arm64" and row.last.share is not None:
            at = f"adoption.macs.{place}"
            change = f", {{{at}.change|points}} against the 30 days before" if row.change is not None else ""
            return f"{{{at}.last.share|percent}} of installations on Macs are on Apple silicon{change}"
    if numbers.adoption.systems and numbers.adoption.systems[0].last.share is not None:
        return "{adoption.systems.0.architecture|text} has {adoption.systems.0.last.share|percent} of installations"
    return "No installation to tell architectures from"


def _segments_title(numbers: MonthlyNumbers) -> str:
    rows = numbers.segments.rows
    if not rows or not numbers.totals.last.rates.events:
        return "No segment has events"
    worse = [place for place, row in enumerate(rows) if row.verdict == "worse"]
    if worse:
        first = min(worse, key=lambda place: (rows[place].success_rate or 0.0, place))
        at = f"segments.rows.{first}"
        return (
            f"{{{at}.os_release|text}} on {{{at}.architecture|text}} got worse, more than chance: "
            f"{{{at}.rates.success_rate|percent}} success, {{{at}.before.success_rate|percent}} before"
        )
    return (
        "{segments.rows.0.os_release|text} on {segments.rows.0.architecture|text} is used most: "
        "{segments.rows.0.rates.events|count} of " + _EVENTS + " events"
    )


def _issues_title(numbers: MonthlyNumbers) -> str:
    found = numbers.issues
    if found.rows:
        count = len(found.rows) + found.more
        if count == 1:
            return "{issues.rows.0.os_release|text} has a compatibility issue"
        return "{issues.rows.0.os_release|text} and others have compatibility issues"
    if not numbers.totals.is_compared:
        return "Compatibility issues are looked for when the days are whole"
    if not found.judged:
        return "Too few events on any OS version to tell compatibility issues"
    return "No OS version fails more than the others by more than chance"


def _trend_title(numbers: MonthlyNumbers) -> str:
    rows = numbers.trend.rows
    known = [month for month in numbers.trend.months if month.installations is not None]
    if not rows or rows[0].months[-1].share is None:
        return "No installation in the period"
    share = "{trend.rows.0.months.5.share|percent}"
    if len(known) < 2 or rows[0].share_change is None:
        return f"{{trend.rows.0.major|text}} has {share} of installations"
    grown = [place for place, row in enumerate(rows) if (row.share_change or 0.0) > 0]
    if not grown:
        return f"{{trend.rows.0.major|text}} has {share} of installations, {{trend.rows.0.share_change|points}}"
    most = max(grown, key=lambda place: (rows[place].share_change or 0.0, -place))
    at = f"trend.rows.{most}"
    change = f"{{{at}.share_change|points}} since {{trend.since|month}}"
    return f"{{{at}.major|text}} gained most: {change}, to {{{at}.months.5.share|percent}} of installations"


def _deprecation_title(numbers: MonthlyNumbers) -> str:
    found = numbers.deprecation
    if not found.is_known:
        return "Nothing is recommended before three whole months are recorded"
    if any(row.kind == "consider" for row in found.rows):
        return "Consider ending support for {deprecation.rows.0.major|text}" + (
            " and others" if sum(1 for row in found.rows if row.kind == "consider") > 1 else ""
        )
    if found.rows:
        return "No version to end support for; watch {deprecation.rows.0.major|text}"
    return "No version to end support for"
