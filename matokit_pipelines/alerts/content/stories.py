"""Announcements as stories: which sentences, facts and tables each kind of message has, and in which order.

The reader was woken: what fails comes first, with counts; nothing superfluous. Not here: a single sentence's words
(headlines.py, surroundings.py), what frames every message (framing.py), digests (digests.py), markup (composing.py,
blocks.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from matokit_pipelines.alerts.announcements import Announcement, Episode
from matokit_pipelines.alerts.content import surroundings, wording
from matokit_pipelines.alerts.content.endings import reason_of, still_fails
from matokit_pipelines.alerts.content.evidence import Evidence, Facts
from matokit_pipelines.alerts.content.framing import (
    about,
    addresses,
    clock,
    footer,
    notices,
    over_line,
    subject_line,
    tone,
)
from matokit_pipelines.alerts.content.headlines import headline, points_apart, with_usual_of
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.content.scopes import is_stale, scope_key, telling
from matokit_pipelines.alerts.content.story_shapes import Fact, Line, Story
from matokit_pipelines.alerts.content.wording import RULE_NAMES, many, name, number, whole
from matokit_pipelines.alerts.lifecycle import badness
from matokit_pipelines.alerts.verdicts import Verdict

LINES = 10
# which tables a rule's message has, in their order
TABLES = {
    "overall_success_rate": ("components", "systems"),
    "new_failure_pattern": ("os_releases", "errors"),
    "high_volume_failures": ("components", "systems", "errors"),
    "arch_gap": ("components", "os_releases"),
    "commit_regression": ("components", "systems", "errors"),
    "component_failure_rate": ("systems", "errors"),
    "new_component_failure": ("systems", "errors"),
    "success_drop_7d": ("components", "systems"),
    "slow_regression": ("systems", "errors"),
}
_OF_REMINDERS = ("components", "systems")


def firing(announcement: Announcement, evidence: Evidence, links: Links) -> Story:
    """An alert, of one subject or of several that started together; also what complete data confirm."""
    first, many_subjects = announcement.episodes[0], len(announcement.episodes) > 1
    sentence = _grouped(announcement, links) if many_subjects else _of(first, announcement, links)
    if announcement.kind == "confirmed":
        sentence = f"Complete data confirm it: {sentence}"
    lead = [] if many_subjects else list(_now_differs(first, announcement, links))
    if announcement.explains:
        names = ", ".join(RULE_NAMES.get(rule, rule) for rule in announcement.explains)
        lead.append(f"It explains these daily warnings as well: {names}.")
    return _told(announcement, evidence, links, sentence, tuple(lead))


def reminder(announcement: Announcement, evidence: Evidence, links: Links) -> Story:
    """It still fires: how it is now, beside the worst."""
    first = announcement.episodes[0]
    span = wording.lasting(announcement.complete_to - first.started_at)
    announcement = _up_to_date(announcement, evidence)
    first = announcement.episodes[0]
    sentence = _grouped(announcement, links) if len(announcement.episodes) > 1 else _of(first, announcement, links)
    lead = tuple(_at_worst(announcement, links))
    state = "Still failing" if any(one.last.raw for one in announcement.episodes) else "Not over yet"
    return _told(announcement, evidence, links, f"{state} after {span}: {sentence}", lead)


def _up_to_date(announcement: Announcement, evidence: Evidence) -> Announcement:
    """A reminder with the counts of now, where its verdict is older than the data."""
    [first, *others] = announcement.episodes
    facts = evidence.facts.get(scope_key(announcement, first))
    if others or facts is None or facts.total is None or not is_stale(announcement, first.last):
        return announcement
    now = facts.total.now
    counts = {"n": now.events, "failures": now.failures, "machines_failing": facts.machines_failing}
    fresh = replace(first.last, inputs={**first.last.inputs, **counts})
    return replace(announcement, episodes=(replace(first, last=fresh),))


def joined(announcement: Announcement, evidence: Evidence, links: Links) -> Story:
    """Further subjects, or rules that another alert inhibits, in its thread."""
    first = announcement.episodes[0]
    lines, more = _lines(announcement, links)
    several = len(announcement.episodes) > 1
    sentence = f"Also failing: {about(announcement)}" if several else f"Also: {lines[0].text}"
    return Story(
        kind="joined", rule=first.rule, tone=tone(first), over=over_line(first), subject=subject_line(first, sentence),
        headline=sentence, lines=lines if several else (), more=more,
        notices=notices(announcement, evidence, links),
        facts=(*_facts(announcement, None, links)[:2], *_complete(announcement, links)),
        links=addresses(announcement, evidence, links), footer=footer(announcement, links),
    )  # fmt: skip


def resolved(announcement: Announcement, evidence: Evidence, links: Links) -> Story:
    """It is over: how long it lasted, how bad it was, how it is now, and why it counts as over."""
    first = announcement.episodes[0]
    reasons = list(dict.fromkeys(_ending(one, links) for one in announcement.episodes))
    span = wording.lasting(_end(announcement) - _begin(announcement))
    pattern = _END[reasons[0]] if len(reasons) == 1 else "Over after {span}: {about}"
    sentence = pattern.format(about=about(announcement), span=span)
    facts = [
        Fact("Lasted", _lasted(announcement, links)),
        Fact("Worst", _worst(first, announcement, links)),
        Fact("At present", _present(first, announcement, links)),
        Fact("Reason", "; ".join(dict.fromkeys(reason_of(one, links.alerts) for one in announcement.episodes))),
        *_complete(announcement, links),
    ]
    return _over_story(announcement, evidence, links, sentence, facts)


def past(announcement: Announcement, evidence: Evidence, links: Links) -> Story:
    """It began and ended before anybody could be told: one message for both."""
    first = announcement.episodes[0]
    several, goes_on = len(announcement.episodes) > 1, still_fails(first, links.alerts)
    over = "Over already, but failures go on" if goes_on and not several else "Over already"
    sentence = f"{over}: {about(announcement) if several else _worst(first, announcement, links)}"
    found = clock(first.detected_at, announcement, links)
    why = "the data arrived late" if first.is_late else "nobody could be told before"
    facts = [
        Fact("Lasted", _lasted(announcement, links)),
        Fact("Found", f"{found}: {why}"),
        Fact("At present", _present(first, announcement, links)),
        Fact("Reason", reason_of(first, links.alerts)),
        *_complete(announcement, links),
    ]
    return _over_story(announcement, evidence, links, sentence, facts)


def _begin(announcement: Announcement) -> datetime:
    return min(one.started_at for one in announcement.episodes)


def _end(announcement: Announcement) -> datetime:
    return max(one.ended_at or announcement.complete_to for one in announcement.episodes)


def _lasted(announcement: Announcement, links: Links) -> str:
    begin, end = _begin(announcement), _end(announcement)
    begun, ended = (clock(at, announcement, links) for at in (begin, end))
    return f"{wording.lasting(end - begin)}, from {begun} to {ended}"


def _ending(episode: Episode, links: Links) -> str:
    return "goes_on" if still_fails(episode, links.alerts) else episode.end_reason or "recovered"


def _worst(episode: Episode, announcement: Announcement, links: Links) -> str:
    """How bad it was, beside what was usual before; of its last events a larger share may fail where they are few."""
    sentence = headline(with_usual_of(episode.worst, episode.first), links, announcement.at)
    is_more = episode.last.state == "ok" and badness(episode.last) > badness(episode.worst)
    return f"{sentence}; at present a larger share of fewer events" if is_more else sentence


_END = {
    "recovered": "Resolved after {span}: {about}",
    "goes_on": "Over after {span}, but failures go on: {about}",
    "no_longer_measurable": "No longer measurable after {span}: {about}",
    "not_confirmed": "Not confirmed by complete data: {about}",
}
BUILDERS: dict[str, Callable[[Announcement, Evidence, Links], Story]] = {
    "firing": firing, "confirmed": firing, "reminder": reminder, "joined": joined, "resolved": resolved, "past": past,
}  # fmt: skip


def _told(announcement: Announcement, evidence: Evidence, links: Links, sentence: str, lead: tuple[str, ...]) -> Story:
    first, now = announcement.episodes[0], announcement.at
    facts = evidence.facts.get(scope_key(announcement, first))
    several = len(announcement.episodes) > 1
    lines, more = _lines(announcement, links) if several else ((), "")
    with_events = facts is not None and facts.total is not None
    return Story(
        kind=announcement.kind, rule=first.rule, tone=tone(first), over=over_line(first),
        subject=subject_line(first, sentence), headline=sentence, lead=lead,
        notices=notices(announcement, evidence, links),
        look=surroundings.look_first(facts, links, now) if facts and with_events else _look_without(first, evidence),
        facts=(*_facts(announcement, facts, links), *_complete(announcement, links)), lines=lines, more=more,
        tables=surroundings.tables(facts, _tables(announcement)) if facts else {},
        changes=surroundings.changes(facts, links, now) if facts and with_events else (),
        ci=surroundings.in_ci(facts) if facts and with_events and announcement.kind != "reminder" else (),
        links=addresses(announcement, evidence, links), footer=footer(announcement, links),
        rule_settings=getattr(links.alerts.rules, first.rule, None),
    )  # fmt: skip


def _over_story(
    announcement: Announcement, evidence: Evidence, links: Links, sentence: str, facts: list[Fact]
) -> Story:
    first = announcement.episodes[0]
    several = len(announcement.episodes) > 1
    lines, more = _ended_lines(announcement, links) if several else ((), "")
    if several:  # each line says its own
        facts = [fact for fact in facts if fact.label not in ("Worst", "At present")]
    lead = []
    if any(one.corrected for one in announcement.episodes):
        lead.append("Data that came later changed a figure that was told before.")
    going_on = [one for one in announcement.episodes if still_fails(one, links.alerts)]
    if several and going_on:
        lead.append(f"Failures go on: {about(replace(announcement, episodes=tuple(going_on)))}.")
    is_well = first.end_reason == "recovered" and not going_on
    return Story(
        kind=announcement.kind, rule=first.rule, tone="over" if is_well else "note",
        over=over_line(first, "Over" if is_well else "Closed"), subject=sentence, headline=sentence,
        lead=tuple(lead), notices=notices(announcement, evidence, links), facts=tuple(facts), lines=lines, more=more,
        links=addresses(announcement, evidence, links), footer=footer(announcement, links),
    )  # fmt: skip


def _of(episode: Episode, announcement: Announcement, links: Links) -> str:
    verdict = with_usual_of(telling(announcement, episode), episode.first)
    return headline(verdict, links, announcement.at)


def _grouped(announcement: Announcement, links: Links) -> str:
    """Several subjects of one rule in one sentence, the worst with its counts."""
    episodes = announcement.episodes
    noun = {"arch_gap": "architectures", "commit_regression": "commits"}.get(episodes[0].rule, "components")
    return f"{len(episodes)} {noun} fail, worst {_of(episodes[0], announcement, links)}"


def _lines(announcement: Announcement, links: Links) -> tuple[tuple[Line, ...], str]:
    """Ten subjects with their own sentences, worst first, and how many more there are."""
    shown, left = announcement.episodes[:LINES], len(announcement.episodes) - LINES
    lines = tuple(Line(_of(one, announcement, links)) for one in shown)
    return lines, f"and {wording.count(left)} more" if left > 0 else ""


def _ended_lines(announcement: Announcement, links: Links) -> tuple[tuple[Line, ...], str]:
    """Of each subject its worst and how it is now."""
    shown, left = announcement.episodes[:LINES], len(announcement.episodes) - LINES
    lines = tuple(
        Line(_worst(one, announcement, links), (f"Now: {_present(one, announcement, links, is_named=False)}",))
        for one in shown
    )
    return lines, f"and {wording.count(left)} more" if left > 0 else ""


def _now_differs(episode: Episode, announcement: Announcement, links: Links) -> Sequence[str]:
    """The worst, where the newest figures are better: found late, an alert may already have passed its peak."""
    return _at_worst(announcement, links)[:1]


def _at_worst(announcement: Announcement, links: Links) -> list[str]:
    worse = (with_usual_of(one.worst, one.first) for one in _worse(announcement))
    return [f"At worst: {headline(verdict, links, announcement.at)}." for verdict in worse]


def _worse(announcement: Announcement) -> list[Episode]:
    """Episodes that were clearly worse than they are told to be now."""
    found = []
    for episode in announcement.episodes[:3]:
        told = points_apart(with_usual_of(telling(announcement, episode), episode.first))
        worst = points_apart(with_usual_of(episode.worst, episode.first))
        if told is not None and worst is not None and worst - told >= 1 and announcement.kind != "past":
            found.append(episode)
    return found


def _facts(announcement: Announcement, facts: Facts | None, links: Links) -> tuple[Fact, ...]:
    """Since when, on how many machines, how unlikely."""
    first = announcement.episodes[0]
    verdict = telling(announcement, first)
    since = clock(first.began_at or first.started_at, announcement, links)
    if first.began_at and first.began_at < first.started_at:
        since = f"about {since}, told apart from chance at {clock(first.started_at, announcement, links)}"
    if first.is_late:
        since += f"; found {clock(first.detected_at, announcement, links)}, data arrived late"
    shown = [] if first.rule == "no_events" else [Fact("Since", since)]  # that one says it in its first sentence
    if first.rule == "arch_gap":
        last = wording.day(verdict.at - timedelta(hours=12), links.zone)
        shown = [Fact("Day", f"{last}, the whole of it")]
    several = len(announcement.episodes) > 1
    if machines := _machines_of_all(facts) if several else _machines(verdict, facts):
        shown.append(Fact("Machines", machines))
    if announcement.kind != "reminder" and (odds := _odds(_judged(first, verdict), links)):
        shown.append(Fact("How unlikely", f"the worst {odds}" if several else odds))
    return tuple(shown)


def _complete(announcement: Announcement, links: Links) -> tuple[Fact, ...]:
    """Up to when the data go, which old data say in their first sentence."""
    if announcement.episodes[0].rule == "data_stale":
        return ()
    return (Fact("Data complete to", clock(announcement.complete_to, announcement, links)),)


def _machines(verdict: Verdict, facts: Facts | None) -> str:
    if verdict.inputs.get("shared_key"):
        return "cannot be told apart"
    bad = whole(verdict.inputs, "machines_failing")
    if bad is None:
        return ""
    total = facts.machines if facts and facts.machines >= bad else None
    return f"{wording.count(bad)} of {many(total, 'machine')} failed" if total else f"{many(bad, 'machine')} failed"


def _machines_of_all(facts: Facts | None) -> str:
    """Machines that failed at any of several subjects."""
    if facts is None or not facts.machines_failing:
        return ""
    return f"{wording.count(facts.machines_failing)} of {many(facts.machines, 'machine')} failed"


def _tables(announcement: Announcement) -> tuple[str, ...]:
    return _OF_REMINDERS if announcement.kind == "reminder" else TABLES.get(announcement.episodes[0].rule, ())


def _judged(episode: Episode, verdict: Verdict) -> Verdict:
    """The verdict whose guard decided: the guard is met at the start, later the raw condition alone goes on."""
    return verdict if verdict.guarded else episode.first


def _odds(verdict: Verdict, links: Links) -> str:
    """How rare chance alone would bring it; what stands in its place where the guard was met by other means."""
    if verdict.rule == "data_stale":
        return ""
    rule: Any = getattr(links.alerts.rules, verdict.rule, None)
    value = number(verdict.inputs, "chance_by_machines" if "chance_by_machines" in verdict.inputs else "chance")
    if value is not None and (rule is None or value < rule.guard.alpha or verdict.rule in ("slow_regression",)):
        return wording.chance(value, verdict.rule)
    if verdict.inputs.get("guard") == "off":
        return wording.chance(value, verdict.rule) if value is not None else "not asked"
    if verdict.rule == "overall_success_rate" and value is not None:
        return f"below {rule.below_percent:g} % for sure, whatever was usual"
    if verdict.rule in ("component_failure_rate", "new_component_failure") and value is not None:
        return "too many for chance, whatever was usual"
    if verdict.rule == "slow_regression":
        return "first tries, taken one by one, fit a real change better than chance"
    return "too little is known of before to say" if value is None else wording.chance(value, verdict.rule)


def _look_without(episode: Episode, evidence: Evidence) -> tuple[str, ...]:
    """Where to begin when there are no events to look into."""
    errors = [one for one in evidence.sources if one.error]
    lines = [f"Source {name(one.name)}: {wording.sentence(one.error or '')}" for one in errors[:3]]
    if episode.rule == "no_events" and not errors:
        lines.append("The sources answer: look whether the installers still send, and whether tracking is on.")
    if episode.rule == "data_stale":
        if not errors:
            lines.append("No source refused: look whether the refresh runs at all.")
        lines.append("`matokit status` shows each source; `matokit doctor` tries each connection.")
    return tuple(lines)


def _present(episode: Episode, announcement: Announcement, links: Links, *, is_named: bool = True) -> str:
    """How it is now; of silence and old data, that they are over."""
    if episode.end_reason == "no_longer_measurable" or episode.last.state != "ok":
        return "not known, nothing to count"
    if episode.rule == "no_events":
        return "events arrive again"
    if episode.rule == "data_stale":
        return f"data are complete to {clock(announcement.complete_to, announcement, links)}"
    verdict = with_usual_of(episode.last, episode.first)
    return headline(verdict, links, announcement.at, is_named=is_named)
