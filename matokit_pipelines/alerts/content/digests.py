"""Digests as stories: the warnings of a business day, and the health of components each morning.

Entries that are over stay in their digest and are marked. Not here: single alerts (stories.py).
"""

from __future__ import annotations

from datetime import timedelta

from matokit_pipelines.alerts.announcements import Announcement, Episode
from matokit_pipelines.alerts.content import surroundings, wording
from matokit_pipelines.alerts.content.endings import reason_of, still_fails
from matokit_pipelines.alerts.content.evidence import Evidence, Facts
from matokit_pipelines.alerts.content.framing import gaps, page_of
from matokit_pipelines.alerts.content.headlines import headline, with_usual_of
from matokit_pipelines.alerts.content.links import Links, is_web
from matokit_pipelines.alerts.content.scopes import scope_key
from matokit_pipelines.alerts.content.stories import LINES, TABLES
from matokit_pipelines.alerts.content.story_shapes import Line, Part, Story, Table, To
from matokit_pipelines.alerts.content.wording import RULE_NAMES, many, name
from matokit_pipelines.alerts.verdicts import ALL, Verdict

PARTS = 10


def digest(announcement: Announcement, evidence: Evidence, links: Links) -> Story:
    """Everything that waited for this digest, by rule, or by component in the daily one."""
    groups: dict[str, list[Episode]] = {}
    for episode in announcement.episodes:
        groups.setdefault(scope_key(announcement, episode), []).append(episode)
    shown = list(groups.items())[:PARTS]
    left = sum(len(episodes) for _, episodes in list(groups.items())[PARTS:])
    parts = tuple(_part(key, episodes, announcement, evidence, links) for key, episodes in shown)
    sentence = _sentence(announcement, links)
    health = announcement.digest == "health"
    page = links.dashboard("component_failure_rate" if health else announcement.episodes[0].rule)
    leads = (*page_of(announcement, links), *((To("Dashboard", page, True),) if page else ()))
    return Story(
        kind="digest", rule="digest", tone="warning" if _open(announcement) else "over",
        over=f"{'Component health' if health else 'Warnings'} · {wording.day(announcement.at, links.zone)}",
        subject=f"Component health: {sentence}" if health else _capital(sentence), headline=sentence,
        notices=tuple(gaps(announcement, evidence, links)), parts=parts,
        more=f"and {wording.count(left)} more" if left else "",
        links=leads, footer=(_footer(announcement, links),),
    )  # fmt: skip


def _open(announcement: Announcement) -> int:
    return sum(1 for episode in announcement.episodes if episode.end_reason is None)


def _sentence(announcement: Announcement, links: Links) -> str:
    """How much there is, and the first of it with its counts."""
    if not announcement.episodes:
        return "nothing to report"
    total, still = len(announcement.episodes), _open(announcement)
    first = headline(_verdict(announcement.episodes[0]), links, announcement.at)
    if announcement.digest == "health":
        subjects = [episode.subject for episode in announcement.episodes if episode.subject != ALL]
        components = len(dict.fromkeys(subjects))
        if components <= 1:
            return first
        return f"{many(components, 'component')} fail, worst {first}"
    if total == 1:
        return first if still else f"{first} (over)"
    over = f", {wording.count(total - still)} over already" if total > still else ""
    return f"{many(total, 'warning')}{over}; first: {first}"


def _part(key: str, episodes: list[Episode], announcement: Announcement, evidence: Evidence, links: Links) -> Part:
    facts = evidence.facts.get(key)
    health = announcement.digest == "health"
    rule = episodes[0].rule
    subject = episodes[0].subject
    heading = ("Everything" if subject == ALL else name(subject)) if health else _capital(RULE_NAMES.get(rule, rule))
    lines = tuple(_entry(one, announcement, links, health) for one in episodes[:LINES])
    left = len(episodes) - LINES
    return Part(
        heading=heading,
        lines=lines,
        tables=_tables(facts, health),
        notes=_notes(facts, announcement, links) if facts else (),
        runbook=To("Runbook", links.runbook(rule), is_web(links.runbook(rule))),
        more=f"and {wording.count(left)} more" if left > 0 else "",
    )


def _verdict(episode: Episode) -> Verdict:
    """What is told of an episode: how it is while it lasts, how bad it was when it is over."""
    told = episode.last if episode.end_reason is None and episode.last.raw else episode.worst
    return with_usual_of(told, episode.first)


def _entry(episode: Episode, announcement: Announcement, links: Links, health: bool) -> Line:
    """One alert: its sentence, how unlikely, since when, and whether it is over."""
    verdict, now = _verdict(episode), announcement.at
    begin = episode.began_at or episode.started_at
    is_new = health and now - begin < timedelta(hours=12)  # a daily rule starts at its run, not when failures did
    details = ["New today" if is_new else f"Since {wording.clock(begin, links.zone, now)}"]
    if (odds := wording.number(verdict.inputs, "chance")) is not None:
        details.append(wording.chance(odds, verdict.rule))
    if (bad := wording.whole(verdict.inputs, "machines_failing")) is not None and not verdict.inputs.get("shared_key"):
        details.append(f"{many(bad, 'machine')} failed")
    lines = ["; ".join(details)]
    if episode.end_reason:
        end = wording.clock(episode.ended_at or announcement.complete_to, links.zone, now)
        is_well = episode.end_reason == "recovered" and not still_fails(episode, links.alerts)
        lines.insert(0, f"{'Recovered' if is_well else 'Closed'} {end}: {reason_of(episode, links.alerts)}")
    if verdict.inputs.get("guard") == "off" and verdict.rule != "data_stale":
        lines.append("Raw rule only: the guard is switched off, so this may be chance")
    text = headline(verdict, links, now, is_named=not health)
    return Line(f"{_capital(RULE_NAMES.get(episode.rule, episode.rule))}: {text}" if health else text, tuple(lines))


def _tables(facts: Facts | None, health: bool) -> tuple[Table, ...]:
    if facts is None:
        return ()
    wanted = ("systems", "errors") if health else TABLES.get(facts.scope.rule, ())[:2]
    return tuple(surroundings.tables(facts, wanted).values())


def _notes(facts: Facts, announcement: Announcement, links: Links) -> tuple[Line, ...]:
    """What to look at first, what changed, how CI fares."""
    now = announcement.at
    if facts.total is None:
        return ()
    if not facts.total.now.failures:
        return surroundings.changes(facts, links, now)[:2]
    hints = tuple(Line(text) for text in surroundings.look_first(facts, links, now, with_commit=False)[:2])
    ci = tuple(Line(text) for text in surroundings.in_ci(facts)[:1])
    return hints + surroundings.changes(facts, links, now)[:3] + ci


def _footer(announcement: Announcement, links: Links) -> str:
    complete = wording.clock(announcement.complete_to, links.zone, announcement.at)
    environments = " and ".join(dict.fromkeys(episode.environment for episode in announcement.episodes))
    return f"{_capital(environments)} events; data complete to {complete}. Why: matokit alerts why RULE SUBJECT."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
