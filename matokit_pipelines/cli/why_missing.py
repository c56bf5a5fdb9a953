"""`doctor --why-missing`: what has just arrived at each Piwik PRO source, and what became of it.

The tracker debugger is the only place that shows broken and excluded events. Its sessions hold personal data; only what
is counted here leaves this module. Not here: asking it (sources/piwik_pro.py), settings that lose events (losses.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import typer

from matokit_pipelines.cli.exclusions import ANOTHER_KIND, BROKEN_TO_DO, PAGE_VIEW_TO_DO, to_do, without_personal
from matokit_pipelines.cli.frame import Frame, counted, shortened
from matokit_pipelines.errors import MatokitError, SettingsError
from matokit_pipelines.settings import NO_SOURCE, SourceSettings
from matokit_pipelines.sources.piwik_pro import PiwikProClient
from matokit_pipelines.warehouse import refresh
from matokit_pipelines.warehouse.piwik_pro_planning import LAG
from matokit_pipelines.warehouse.refresh import Home

USUAL_MINUTES = 30
MOST_NAMES = 15
PAGE_VIEW, CUSTOM_EVENT, BROKEN, EXCLUDED = 1, 5, 17, 18
_BECAME = {PAGE_VIEW: "page view", CUSTOM_EVENT: "custom event", BROKEN: "broken", EXCLUDED: "excluded"}
_VISITOR = re.compile(r"[0-9a-fA-F]{16}")
_NO_LOG = (
    "Matomo keeps no log of what it leaves out; look at the newest visits (Visitors, Visits Log), and that the scripts "
    "send idsite={site} and rec=1 to {url}/matomo.php."
)


@dataclass(frozen=True, order=True)
class Fate:
    """What became of an event, and what is known of it: its names, or why it is broken or excluded."""

    became: str
    category: str = ""
    name: str = ""
    reason: str = ""


@dataclass
class Arrived:
    """Events by their fate, in how many sessions, and how many of those sessions came before the minutes asked for."""

    fates: Counter[Fate] = field(default_factory=Counter)
    sessions: int = 0
    earlier: int = 0

    def of(self, became: str) -> list[tuple[Fate, int]]:
        """The events that became this, the most first."""
        return sorted(((f, n) for f, n in self.fates.items() if f.became == became), key=lambda e: (-e[1], e[0]))


def tell(frame: Frame, home: Home, *, visitor: str | None, minutes: int, as_json: bool) -> None:
    """Ask each source and say what arrived. A source that refuses is told of, the others are still asked."""
    sources = [source for source in home.loaded.settings.sources if source.has_events]
    if not sources:
        raise SettingsError(NO_SOURCE)
    if visitor is not None and not _VISITOR.fullmatch(visitor):
        raise SettingsError("--visitor takes the 16 hexadecimal digits that a script sends as cid; correct it.")
    objects: list[dict[str, Any]] = []
    codes = []
    for source in sources:
        lines, found, code = _of_source(home, source, visitor, minutes)
        objects += found
        codes.append(code)
        if not as_json:
            for line in lines:
                frame.say(line)
    if as_json:
        frame.rows(objects, as_json=True)
    if any(codes):
        raise typer.Exit(next(code for code in codes if code))


def _of_source(
    home: Home, source: SourceSettings, visitor: str | None, minutes: int
) -> tuple[list[str], list[dict[str, Any]], int]:
    """Lines for a person, objects for a program, exit code."""
    if source.kind == "matomo":
        sentence = _NO_LOG.format(site=source.site_id, url=source.url)
        return [f"{source.name}: {sentence}"], [_object(source, "no log", to_do=sentence)], 0
    try:
        home.loaded.credentials(source)
        client = refresh.piwik_pro_client_for(home.loaded, source, home.clock)
        try:
            arrived = arrivals(client, minutes, visitor, home.clock.now())
        finally:
            client.close()
    except MatokitError as error:
        return [str(error)], [_object(source, "not told", reason=str(error))], error.exit_code
    if not arrived.fates:
        sentence = _nothing(source, visitor, minutes)
        return [f"{source.name}: {sentence}"], [_object(source, "nothing", to_do=sentence)], 0
    return _in_words(source, arrived, visitor, minutes), _objects(source, arrived), 0


def arrivals(client: PiwikProClient, minutes: int, visitor: str | None, now: datetime) -> Arrived:
    """Every event of the last `minutes` by what became of it; nothing else of the sessions is kept."""
    arrived = Arrived()
    since = now - timedelta(minutes=minutes)
    for session in client.debug_sessions(minutes, visitor.lower() if visitor else None):
        recent = 0
        for event in _events(session):
            if _moment(event, now) < since:
                arrived.earlier += 1
                continue
            recent += 1
            arrived.fates[_fate(event)] += 1
        arrived.sessions += recent > 0
    return arrived


def _events(session: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    events = session.get("events")
    return [event for event in events if isinstance(event, dict)] if isinstance(events, list) else []


def _moment(event: Mapping[str, Any], now: datetime) -> datetime:
    """When the event happened; one that does not tell has just come."""
    try:
        moment = datetime.fromisoformat(str(event.get("server_time")))
    except ValueError:
        return now
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _fate(event: Mapping[str, Any]) -> Fate:
    kind = event.get("event_type")
    number = kind[0] if isinstance(kind, list) and kind else kind
    became = _BECAME.get(number, "other") if isinstance(number, int) else "other"
    if became == "custom event":
        category, name = (str(event.get(f"custom_event_{part}") or "") for part in ("category", "name"))
        return Fate(became, shortened(category), shortened(name))
    if became == "excluded":
        return Fate(became, reason=without_personal(str(event.get("exclusion_reason") or "")))
    if became == "broken":
        return Fate(became, reason=without_personal(str(event.get("error_message") or "")))
    return Fate(became)


def _in_words(source: SourceSettings, arrived: Arrived, visitor: str | None, minutes: int) -> list[str]:
    total = sum(arrived.fates.values())
    of = " of that visitor" if visitor else ""
    lines = [
        f"{source.name}: {counted(total, 'event')}{of} in the last {counted(minutes, 'minute')}, in "
        f"{counted(arrived.sessions, 'session')}"
        + (f" ({arrived.earlier:,} earlier ones of these sessions left out)." if arrived.earlier else ".")
    ]
    if custom := arrived.of("custom event"):
        hours = LAG / timedelta(hours=1)
        lines.append(
            f"  {counted(sum(n for _, n in custom), 'custom event')} recorded; raw data have them once their sessions "
            f"have ended and were processed, up to {hours:g} h after they happened:"
        )
        lines += [f"    {n:,} {fate.category or '(no category)'} / {fate.name or '(no name)'}" for fate, n in
                  custom[:MOST_NAMES]]  # fmt: skip
        if len(custom) > MOST_NAMES:
            lines.append(f"    ... and {counted(len(custom) - MOST_NAMES, 'name')} more; --json prints all of them.")
    else:
        lines.append("  Not one of them is a custom event that reports will show.")
    for fate, number in arrived.of("excluded"):
        lines.append(f"  {number:,} excluded, {_reason(fate)}: {to_do(fate.reason)}.")
    for fate, number in arrived.of("broken"):
        lines.append(f"  {number:,} broken, {_reason(fate)}: {BROKEN_TO_DO}.")
    for became, advice in (("page view", PAGE_VIEW_TO_DO), ("other", ANOTHER_KIND)):
        if number := sum(n for _, n in arrived.of(became)):
            noun = counted(number, "page view") if became == "page view" else f"{number:,} of other kinds"
            lines.append(f"  {noun}: {advice}.")
    return lines


def _reason(fate: Fate) -> str:
    return f'"{fate.reason}"' if fate.reason else "without a reason"


def _objects(source: SourceSettings, arrived: Arrived) -> list[dict[str, Any]]:
    advice = {"broken": BROKEN_TO_DO, "page view": PAGE_VIEW_TO_DO, "other": ANOTHER_KIND}
    found = []
    for became in ("custom event", "excluded", "broken", "page view", "other"):
        for fate, number in arrived.of(became):
            what = to_do(fate.reason) if became == "excluded" else advice.get(became)
            found.append(_object(source, became, number, fate, reason=fate.reason or None, to_do=what))
    return found


def _object(
    source: SourceSettings,
    became: str,
    events: int = 0,
    fate: Fate | None = None,
    *,
    reason: str | None = None,
    to_do: str | None = None,
) -> dict[str, Any]:
    told = fate or Fate(became)
    return {
        "source": source.name,
        "became": became,
        "events": events,
        "category": told.category or None,
        "name": told.name or None,
        "reason": reason,
        "to_do": to_do,
    }


def _nothing(source: SourceSettings, visitor: str | None, minutes: int) -> str:
    when = f"in the last {counted(minutes, 'minute')}"
    if visitor:
        return (
            f"nothing arrived of that visitor {when}; its id is what the script sends as cid, so ask without --visitor "
            "whether anything arrived at all."
        )
    return (
        f"nothing arrived {when}, not even what would be excluded. Check that the script sends idsite={source.site_id} "
        f"and rec=1 to {source.url}/ppms.php, that its user agreed to send, and that no firewall, proxy or ad-blocker "
        "stands between (a 202 in answer proves only that none does); run it and ask again."
    )
