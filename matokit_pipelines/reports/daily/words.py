"""What the daily report says in sentences: the headline by rule, what else stands out, and why it is sent.

Sentences are templates over the document (marking.py), so every number in them is also in the JSON. No words of
statistics: "more than chance" and "could be chance". A rate of fewer than ten events stands in no headline. Not here:
the numbers; what is told by name (cases.py); single components in full (card_words.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from matokit_pipelines.alerts.content.wording import RULE_NAMES
from matokit_pipelines.reports.completeness import incomplete, many
from matokit_pipelines.reports.daily.card_words import card, failed, in_comparison
from matokit_pipelines.reports.daily.cases import Case, everything, listed, rows_of, sure, sure_triggers
from matokit_pipelines.reports.daily.shapes import DailyNumbers, Failures, Findings, Trigger

NAMED = 4  # as many of a kind are named before the reader has to look further down
_ALL = "{totals.counts.failures|count} of {totals.counts.events|count}"


def findings(numbers: DailyNumbers) -> Findings:
    """Headline, details and what is incomplete, as templates over the document of `numbers`."""
    kind, headline, subject = _headline(numbers)
    return Findings(
        headline_kind=kind,
        headline=headline,
        subject=subject,
        details=tuple(_details(numbers, kind)),
        incomplete=() if kind == "no_data" else tuple(incomplete(numbers)),
        window=_window(numbers),
        ended=tuple(_ended(place, numbers) for place in range(len(numbers.ended))),
        cards=tuple(card(f"components.{place}", one) for place, one in enumerate(numbers.components)),
        verdicts=tuple(_judged(f"triggers.{place}", one) for place, one in enumerate(numbers.triggers)),
        why=_why(numbers),
    )


def _headline(numbers: DailyNumbers) -> tuple[str, str, str]:
    """`(kind, headline, subject)`: more than chance, then listed, then what could be chance, then all well."""
    if numbers.window_end is None:
        until = "they end {watermark|instant_of_year}" if numbers.watermark else "none have been read yet"
        return "no_data", f"No data of this window: {until}.", "no data"
    found, others = sure(numbers), listed(numbers)
    if (place := everything(numbers)) is not None:
        return "more_than_chance", *_about_everything(place, numbers)
    if found:
        start = "" if numbers.totals.sure == 1 else "{totals.sure|count} components fail more than chance; "
        end = _why_sure(numbers, found[0]) if numbers.totals.sure == 1 else ""
        return "more_than_chance", *_about_component(numbers, found[0], start, end, numbers.totals.sure)
    if not numbers.totals.counts.events:
        before = many(numbers.totals.week.events, "event", "events")
        said = f"No installer reported anything; {{totals.week.events|count}} {before} came in the 7 days before."
        return "no_events", said, "no events"
    if others:
        n = numbers.totals.listed_enough
        start = "" if n == 1 else "{totals.listed_enough|count} components failed more than 10\u00a0%; "
        return "listed", *_about_component(numbers, others[0], start, _compared(others[0]), n)
    if numbers.met.could_be_chance or numbers.totals.listed:
        return "could_be_chance", *_about_chance(numbers)
    if over := _over(numbers):
        names = ", ".join(over[:NAMED]) + (" and others" if len(over) > NAMED else "")
        return "over", f"Not met any more: {names}. {_all_well(numbers)}", f"not met any more: {names}"
    if silent := _without_events(numbers):
        return "all_well", f"{_all_well(numbers)[:-1]}; {silent}.", f"{_ALL} failed; {silent}"
    return "all_well", _all_well(numbers), f"all well, {_ALL} failed"


def _all_well(numbers: DailyNumbers) -> str:
    noun = many(numbers.totals.counts.events, "event", "events")
    if numbers.met.silenced or numbers.totals.listed_silenced:
        return f"Nothing but what is silenced; {_ALL} {noun} failed in all."
    return f"No component failed more than 10\u00a0% of its events; {_ALL} {noun} failed in all."


def _without_events(numbers: DailyNumbers) -> str:
    """What fired and has no event by which it could be over; empty when there is none."""
    named = {
        one.subject: f"{{ended.{place}.subject|text}}"
        for place, one in enumerate(numbers.ended)
        if one.subject is not None and not one.counts.events and one.silenced_until is None
    }
    if not named:
        return ""
    names = ", ".join(list(named.values())[:NAMED]) + (" and others" if len(named) > NAMED else "")
    return f"{names}, which fired, did not run"


def _over(numbers: DailyNumbers) -> list[str]:
    """What was firing and is not met for the first time: each component once, and everything."""
    named: dict[str | None, str] = {}
    for place, one in enumerate(numbers.ended):
        if one.is_news_of_an_end:
            name = f"{{ended.{place}.subject|text}}" if one.subject is not None else "everything"
            named.setdefault(one.subject, name)
    return list(named.values())


def _about_everything(place: int, numbers: DailyNumbers) -> tuple[str, str]:
    at, one = f"triggers.{place}", numbers.triggers[place]
    found = f"{{{at}.counts.failures|count}} of {{{at}.counts.events|count}}"
    share = "" if one.counts.small else f" ({{{at}.counts.failure_rate|percent}})"
    usual = f", {_share(f'{at}.before', one.before)} in the 7 days before" if one.before and one.before.events else ""
    headline = f"Everything fails more often, more than chance: {found} events failed in 24 hours{share}{usual}."
    return headline, f"{found} events failed"


def _about_component(numbers: DailyNumbers, case: Case, start: str, end: str, found: int) -> tuple[str, str]:
    """`(headline, subject)` of the worst component, with its numbers."""
    headline = f"{start}{'the worst is ' if start else ''}{_counted(numbers, case)}{end}."
    subject = f"{{{case.name}|text}} {{{case.at}.counts.failures|count}} of {{{case.at}.counts.events|count}} failed"
    return headline, f"{found} components, worst {subject}" if found > 1 else subject


def _counted(numbers: DailyNumbers, case: Case) -> str:
    """`x: 38 of 90 events failed (42.2 %), 3.3 % in the 28 days before`; of few events `x: 8 of 8 events failed on 8
    machines`, without a rate."""
    at, noun = case.at, many(case.counts.events, "event", "events")
    said = f"{{{case.name}|text}}: {{{at}.counts.failures|count}} of {{{at}.counts.events|count}} {noun} failed"
    if case.counts.small and case.machines_failing and not numbers.quality.shared_keys:
        said += f" on {{{at}.machines_failing|count}} {many(case.machines_failing, 'machine', 'machines')}"
    if case.is_of_rule:
        said += " in 24 hours"
    if not case.counts.small:
        said += f" ({{{at}.counts.failure_rate|percent}})"
    if case.row is not None and case.row.four_weeks.events:
        said += f", {_share(f'{case.row_at}.four_weeks', case.row.four_weeks)} in the 28 days before"
    return said


def _share(at: str, counts: Failures) -> str:
    """A rate, or the counts where they are too few for one."""
    if counts.small:
        return f"{{{at}.failures|count}} of {{{at}.events|count}}"
    return f"{{{at}.failure_rate|percent}}"


def _about_chance(numbers: DailyNumbers) -> tuple[str, str]:
    """Only few events failed, or a rule is met that its guard does not bear out: nothing that bears a name here."""
    counts = numbers.totals.counts
    what = "what is above 10\u00a0% has fewer than 10 events"
    if numbers.met.could_be_chance:
        what = "the rules that are met could be chance"
    start = "Nothing notable: "
    if counts.small:
        start = "Too few events to tell: "
    elif counts.failure_rate is not None and counts.failure_rate > numbers.limit:
        start = ""  # so many of all failed: it may be chance, but it is not nothing
    noun = many(counts.events, "event", "events")
    headline = f"{start}{_ALL} {noun} failed in all, and {what}."
    return headline, f"{start[:1].lower()}{start[1:].replace(': ', ', ')}{_ALL} failed"


def _why_sure(numbers: DailyNumbers, case: Case) -> str:
    """Why a component is told as more than chance: compared with before, since it fires, or for its rate alone."""
    own = sure_triggers(numbers, case.component)
    if case.row is not None and case.row.verdict == "worse":
        return ", more than chance"
    if any(one.is_guarded and one.is_rare for _, one in own):
        return ", more than chance"
    for place, one in own:
        if one.firing_since is not None:
            return f"; firing since {{triggers.{place}.firing_since|instant}}"
    if any(one.guard == "off" for _, one in own):
        return "; the guard of its rule is switched off"
    return "; surely above the threshold of its rule"


def _compared(case: Case) -> str:
    return f"; {in_comparison(case.row)}" if case.row is not None else ""


def _details(numbers: DailyNumbers, kind: str) -> Iterator[str]:
    """What else stands out and why we think so."""
    if kind in ("no_data", "no_events"):
        return
    found, others = sure(numbers), listed(numbers)
    in_headline = (found or others)[:1] if everything(numbers) is None else []
    for case in [one for one in found + others if one not in in_headline][:NAMED]:
        end = _why_sure(numbers, case) if case in found else _compared(case)
        yield f"{_counted(numbers, case)}{end}."
    if (line := _too_few(numbers)) is not None:
        yield line
    if (line := _could_be_chance(numbers, {one.component for one in found + (others[:NAMED])})) is not None:
        yield line
    if numbers.burst is not None:
        yield _burst(numbers)
    if numbers.quality.shared_keys:
        yield (
            "One machine key holds more than 30\u00a0% of a week's events, so machines cannot be told apart; half the "
            "events were compared in their place."
        )
    yield from _records_begin(numbers)
    if numbers.met.silenced:
        are = many(numbers.met.silenced, "trigger is", "triggers are")
        yield f"{{met.silenced|count}} {are} met and silenced."
    for rule in numbers.rules_off:
        yield f"The rule {rule} is switched off."


def _records_begin(numbers: DailyNumbers) -> Iterator[str]:
    """Sources of which less is recorded than the 28 days with which everything is compared."""
    for place, source in enumerate(numbers.quality.sources):
        begins = source.proven_from
        if begins is not None and numbers.compared_from < begins <= numbers.period.start:
            at = f"quality.sources.{place}"
            yield (
                f"Records of {{{at}.source|text}} begin {{{at}.proven_from|instant_of_year}}: the 28 days before, with "
                "which this window is compared, are known from then on."
            )


def _too_few(numbers: DailyNumbers) -> str | None:
    """The listed components of fewer than ten events of which nothing is more than chance, in one line."""
    rows = [
        (at, row)
        for at, row in rows_of(numbers)
        if row.counts.small and row.is_listed and not row.rules and row.silenced_until is None
    ]
    if not rows:
        return None
    shown = [f"{{{at}.component|text}} ({failed(f'{at}.counts', row.counts)})" for at, row in rows[:NAMED]]
    more = " and others" if len(rows) > NAMED or numbers.others_more else ""
    return f"Above 10\u00a0%, but with fewer than 10 events: {', '.join(shown)}{more}."


def _could_be_chance(numbers: DailyNumbers, told: Collection[str]) -> str | None:
    """The triggers that their guards do not bear out, in one line; without components that are told of already."""
    found = [
        (place, one)
        for place, one in enumerate(numbers.triggers)
        if one.is_met and not one.is_sure and one.silenced_until is None and one.subject not in told
    ]
    shown: dict[str | None, str] = {}
    for place, one in found:
        at = f"triggers.{place}"
        name = f"{{{at}.subject|text}}" if one.subject is not None else "everything"
        shown.setdefault(
            one.subject, f"{name} ({{{at}.counts.failures|count}} of {{{at}.counts.events|count}} failed in 24 hours)"
        )
    if not shown:
        return None
    more = " and others" if len(shown) > NAMED or numbers.triggers_more else ""
    return f"Could be chance: {', '.join(list(shown.values())[:NAMED])}{more}."


def _burst(numbers: DailyNumbers) -> str:
    quality = {
        "worse": "more of it failed than usual, more than chance",
        "better": "less of it failed than usual, more than chance",
    }.get(numbers.totals.verdict, "with failures as usual")
    rates = ""
    if numbers.totals.four_weeks.events:
        rates = (
            " ({totals.counts.failure_rate|percent}, {totals.four_weeks.failure_rate|percent} in the 28 days before)"
        )
    return (
        "Far more events than usual: {burst.events|count} against {burst.usual|count} on the middle one of "
        f"{{burst.days|count}} days; {quality}{rates}."
    )


_WHY_NOT = {
    "machines": "too few machines failed",
    "units": "too few tries",
    "baseline": "too few tries before to compare with",
    "chance": "so many failures are not rare enough",
    "seldom_seen": "too few failed to be sure of a component that is hardly known",
}


def _judged(at: str, one: Trigger) -> str:
    """How a trigger was judged: since when it fires, how rare so many failures are, or what its guard misses."""
    if one.firing_since is not None:
        said = f"firing since {{{at}.firing_since|instant}}"
    elif one.guard == "off":
        said = "its guard is switched off"
    elif one.is_guarded:
        said = _rarely(at, one)
    else:
        said = _WHY_NOT[one.why_not or "chance"]
    return said + (f"; silenced until {{{at}.silenced_until|instant}}" if one.silenced_until else "")


def _rarely(at: str, one: Trigger) -> str:
    """How rare so many failures would be by chance; where they are not rare, that they are surely too many."""
    if not one.is_rare:
        return "surely above its threshold"
    if one.once_in is None:
        return "less than once in a million days if nothing had changed"
    return f"about once in {{{at}.once_in|count}} days if nothing had changed"


def _ended(place: int, numbers: DailyNumbers) -> str:
    one, at = numbers.ended[place], f"ended.{place}"
    name = f"{{{at}.subject|text}}" if one.subject is not None else "Everything"
    since = f"firing since {{{at}.firing_since|instant}}" if one.firing_since else "firing a day ago"
    if not one.counts.events:
        return f"{name} ({RULE_NAMES[one.rule]}), {since}: no event in 24 hours, so whether it is over is not known."
    now = failed(f"{at}.counts", one.counts)
    return f"{name} ({RULE_NAMES[one.rule]}), {since}: not met any more, {now} in 24 hours."


def _window(numbers: DailyNumbers) -> str:
    """What the report is about, with what cut it."""
    whole = "{period.start|instant} to {period.end|instant_of_year}"
    if numbers.window_end is None or numbers.window_end >= numbers.period.end:
        return whole
    return "{period.start|instant} to {window_end|instant_of_year}"


def _why(numbers: DailyNumbers) -> str:
    """Why it is sent, or is not."""
    if not numbers.worth_sending:
        return "No component is listed and no rule is met: nobody is sent this unless the settings say so."
    found = []
    if numbers.totals.listed:
        noun = many(numbers.totals.listed, "component", "components")
        found.append(f"{{totals.listed|count}} {noun} failed more than 10\u00a0% of the events")
    if numbers.met.more_than_chance:
        noun = many(numbers.met.more_than_chance, "rule is", "rules are")
        found.append(f"{{met.more_than_chance|count}} {noun} met more than chance")
    if numbers.met.could_be_chance:
        noun = many(numbers.met.could_be_chance, "rule is", "rules are")
        found.append(f"{{met.could_be_chance|count}} {noun} met as could be chance")
    if numbers.met.over:
        found.append(f"{{met.over|count}} {many(numbers.met.over, 'rule is', 'rules are')} not met any more")
    return f"Sent because {', '.join(found)}."
