"""Which settings of a Piwik PRO site lose installer events, and what to set instead.

The settings and what they do first are section 8 and 13 of the facts in docs/sources/piwik-pro.md. Not here: what was
lost already, which only the tracker debugger knows (why_missing.py).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matokit_pipelines.cli.frame import counted

if TYPE_CHECKING:
    from matokit_pipelines.sources.piwik_pro import App, PiwikProClient

# Agents that install scripts send by themselves.
AGENTS = {
    "curl": "curl/8.7.1",
    "Wget": "Wget/1.24.5",
    "PowerShell 5": "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.22621.2506",
    "PowerShell 7": "Mozilla/5.0 (Windows NT 10.0; Microsoft Windows 10.0.22631; en-US) PowerShell/7.4.6",
    "Python": "Python-urllib/3.12",
    "Python requests": "python-requests/2.32.3",
    "Ruby": "Ruby",
}
INITIAL_LIMIT, INITIAL_EVENTS, INITIAL_SECONDS = "split_and_exclude", 5_000, 43_200  # what an account begins with


@dataclass(frozen=True)
class Loss:
    """A setting that loses events, or may: its name at the server, what it does and what to do, without an end."""

    setting: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.sentence}"


def losses_at(client: PiwikProClient, app: App) -> list[Loss]:
    """What loses events at a site; that the rights do not reach to its tracker settings is told as one of them."""
    from matokit_pipelines.errors import SourceError

    try:
        return losses(app, client.tracker_settings())
    except SourceError as error:
        unread = f"they cannot be read ({str(error).rstrip('.')}); ask who may whether any of them loses events"
        return [*losses(app, None), Loss("tracker settings", unread)]


def losses(app: App, tracker: Mapping[str, object] | None) -> list[Loss]:
    """What loses events, in the order of harm. `tracker`: what is set for the site, None where it may not be read."""
    known: Mapping[str, object] = tracker or {}
    found = []
    if bool(known.get("exclude_unknown_urls", app.exclude_unknown_urls)):
        found.append(
            Loss(
                "exclude_unknown_urls",
                "is on, and events without an address of the site are excluded, which installer events are; "
                "switch it off, or send one of the site's addresses as url",
            )
        )
    agents = [*app.excluded_user_agents, *_texts(known.get("excluded_user_agents"))]
    if hit := [name for name, agent in AGENTS.items() if any(_fits(entry, agent) for entry in agents)]:
        found.append(
            Loss("excluded_user_agents", f"leave out what {', '.join(hit)} send; take them off, or send another ua")
        )
    if tracker is None:
        return found
    found += _of_sessions(known)
    if known.get("exclude_crawlers") is not False:
        found.append(
            Loss(
                "exclude_crawlers",
                "is on, as initially; whether a script's agent counts as a crawler only a run of it shows: "
                "`matokit doctor --why-missing` a minute later",
            )
        )
    if addresses := _texts(known.get("excluded_ips")):
        found.append(
            Loss(
                "excluded_ips",
                f"has {counted(len(addresses), 'entry', 'entries')}; nothing sent from there is kept, "
                "so see that no machines of yours are among them",
            )
        )
    return found


def _of_sessions(known: Mapping[str, object]) -> list[Loss]:
    action = known.get("session_limit_exceeded_action")
    if action not in (None, INITIAL_LIMIT):
        return []
    events = _number(known.get("session_max_event_count"), INITIAL_EVENTS)
    hours = _number(known.get("session_max_duration_seconds"), INITIAL_SECONDS) / 3600
    stands = f"is {INITIAL_LIMIT}" if action else f"is not set for this site, and initially {INITIAL_LIMIT}"
    return [
        Loss(
            "session_limit_exceeded_action",
            f"{stands}: of one session, what comes after {events:,} events or {hours:g} h is lost, and machines "
            "behind one address can share a session; set just_split, and let scripts send a cid for each machine",
        )
    ]


def _number(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _texts(value: object) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list | tuple) else []


def _fits(entry: str, agent: str) -> bool:
    """Whether an entry may mean the agent: how the server compares is documented nowhere, so part of it will do."""
    text = entry.strip().lower()
    return bool(text) and (text in agent.lower() or fnmatch.fnmatchcase(agent.lower(), text))
