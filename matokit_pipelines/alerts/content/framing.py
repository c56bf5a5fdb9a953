"""What frames every message: the line above the headline, the subject, what must be known to read it, links, footer.

Not here: what happens (headlines.py, stories.py).
"""

from __future__ import annotations

from datetime import datetime

from matokit_pipelines.alerts.announcements import Announcement, Episode
from matokit_pipelines.alerts.content import wording
from matokit_pipelines.alerts.content.evidence import Evidence
from matokit_pipelines.alerts.content.links import Links, is_web
from matokit_pipelines.alerts.content.scopes import scope_key, telling
from matokit_pipelines.alerts.content.story_shapes import To
from matokit_pipelines.alerts.content.wording import RULE_NAMES, many, name
from matokit_pipelines.alerts.verdicts import ALL

_SEVERITY = {"critical": "Critical", "warning": "Warning", "daily": "Daily"}


def notices(announcement: Announcement, evidence: Evidence, links: Links) -> tuple[str, ...]:
    """What must be known to read the numbers."""
    first, found = announcement.episodes[0], []
    verdict = telling(announcement, first)
    over = announcement.kind in ("resolved", "past")
    if first.is_provisional and announcement.kind != "confirmed" and not over:
        found.append("Provisional: from events of the last hour that are not complete; complete data follow.")
    if verdict.inputs.get("guard") == "off" and verdict.rule != "data_stale" and not over:
        found.append("Raw rule only: the guard is switched off, so this may be chance.")
    if verdict.inputs.get("shared_key") and not over:
        found.append(
            "One key holds over 30 % of a week's events, so machines cannot be told apart: half the events were "
            "judged in place of first tries."
        )
    found += gaps(announcement, evidence, links)
    return tuple(found)


def gaps(announcement: Announcement, evidence: Evidence, links: Links) -> list[str]:
    """What the data do not hold, source by source, and what could not be looked up."""
    found = [wording.sentence(caveat) for caveat in announcement.caveats]
    for source, window in evidence.troubled[:3]:
        begin, end = (clock(edge, announcement, links) for edge in (window.start, window.end))
        found.append(f"Incomplete: source {name(source)} did not give all events from {begin} to {end}.")
    if len(evidence.troubled) > 3:
        found.append(f"{many(len(evidence.troubled) - 3, 'more stretch', 'more stretches')} are incomplete.")
    for one in evidence.sources:
        if one.withheld:
            found.append(f"Source {name(one.name)} withheld {many(one.withheld, 'event')} of these days.")
    if evidence.unread:
        found.append("What surrounds it could not be read; `matokit alerts why` says more.")
    return found


def addresses(announcement: Announcement, evidence: Evidence, links: Links) -> tuple[To, ...]:
    rule = announcement.episodes[0].rule
    found = [*page_of(announcement, links), To("Runbook", links.runbook(rule), is_web(links.runbook(rule)))]
    if page := links.dashboard(rule):
        found.append(To("Dashboard", page, True))
    facts = evidence.facts.get(scope_key(announcement, announcement.episodes[0]))
    for commit in facts.commits[:1] if facts else ():
        if url := links.compare(commit.previous, commit.sha):
            found.append(To(f"Changes in {commit.sha}", url, True))
    return tuple(found)


def page_of(announcement: Announcement, links: Links) -> tuple[To, ...]:
    """Where the tool server tells of the alert; of several, of all."""
    if len(announcement.episodes) > 1:
        return (To("All alerts", links.alerts_list(), True),) if links.alerts_list() else ()
    page = links.alert(announcement.episodes[0])
    return (To("This alert", page, True),) if page else ()


def footer(announcement: Announcement, links: Links) -> tuple[str, ...]:
    first = announcement.episodes[0]
    return (
        f"Rule {first.rule} on {first.environment} events, sent {clock(announcement.at, announcement, links)}.",
        f"Why: matokit alerts why {first.rule}" + ("" if first.subject == ALL else f" {_quoted(name(first.subject))}"),
    )


def _quoted(text: str) -> str:
    """A name as one word of a shell."""
    return (
        text
        if text.replace("_", "").replace("-", "").isalnum() and text.isascii()
        else "'" + text.replace("'", "’") + "'"
    )


def clock(at: datetime, announcement: Announcement, links: Links) -> str:
    return wording.clock(at, links.zone, announcement.at)


def tone(episode: Episode) -> str:
    return "critical" if episode.severity == "critical" else "warning"


def over_line(episode: Episode, state: str = "") -> str:
    """The line above the headline: how grave (or that it is over), the rule, the environment."""
    provisional = ", provisional" if episode.is_provisional and not state else ""
    word = state or _SEVERITY.get(episode.severity, "Warning")
    return f"{word}{provisional} · {RULE_NAMES.get(episode.rule, episode.rule)} · {episode.environment}"


def subject_line(episode: Episode, sentence: str) -> str:
    severity = _SEVERITY.get(episode.severity, "Warning")
    return f"{severity}{' (provisional)' if episode.is_provisional else ''}: {sentence}"


def about(announcement: Announcement) -> str:
    """What an announcement is about, without numbers: subjects, then the rules."""
    episodes = announcement.episodes
    rules = ", ".join(dict.fromkeys(RULE_NAMES.get(one.rule, one.rule) for one in episodes))
    subjects = list(dict.fromkeys(name(one.subject) for one in episodes if one.subject != ALL))
    if not subjects:
        return rules
    left = f" and {wording.count(len(subjects) - 3)} more" if len(subjects) > 3 else ""
    return f"{', '.join(subjects[:3])}{left} ({rules})"
