"""The alert pages, made when they are asked for: all alerts that are kept, and one with the reasons why it fired.

Not here: what they tell (alert_facts.py), how alerts come to be (alerts/).
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.book import Matter
from matokit_pipelines.alerts.content.links import ALERT_DAYS, WIDGETS, Links, is_web
from matokit_pipelines.errors import MatokitError
from matokit_pipelines.reports.formats import instant, instant_of_year
from matokit_pipelines.reports.rendering import ReportFiles
from matokit_pipelines.toolserver.installer.alert_reading import Known, back, known, watching
from matokit_pipelines.toolserver.installer.explaining import KEPT_DAYS, ExplainParameters, explain_alert
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.pages import alert_facts
from matokit_pipelines.toolserver.pages.answers import missing, page
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.windows import monday_of

SHOWN = 200
_ID = re.compile(r"[0-9a-f]{10}")


def listed(request: Request, kit: Kit) -> Response:
    """Open alerts, then past ones, the newest first."""
    now, links = kit.clock.now(), Links.of(kit.loaded)
    try:
        with known(kit, since=back(now, KEPT_DAYS)) as found:
            matters = alert_facts.newest_first(found)
            entries = [alert_facts.entry_of(matter, found, links, now) for matter in matters[:SHOWN]]
            doubt = watching(found, kit, now)
            evaluated = instant_of_year(found.evaluated_to, links.zone) if found.evaluated_to else ""
    except MatokitError as error:
        return _unreadable(request, error)
    opened = [entry for entry in entries if entry.state == "open"]
    past = [entry for entry in entries if entry.state == "past"]
    return page(
        request, "alerts.html", here="alerts", opened=opened, past=past,
        silenced=sum(entry.is_silenced for entry in opened), more=len(matters) - len(entries), doubt=doubt,
        evaluated=evaluated, days=KEPT_DAYS, zone=links.zone.key,
    )  # fmt: skip


def explained(request: Request, kit: Kit, wanted: str) -> Response:
    """One alert: why it fired, its numbers, what became of it, where to look next."""
    now, links = kit.clock.now(), Links.of(kit.loaded)
    try:
        with known(kit, since=back(now, KEPT_DAYS)) as found:
            by_id = {matter.episode.id: matter for matter in found.matters}
            matter = by_id.get(wanted) if _ID.fullmatch(wanted) else None
            if matter is None:
                return missing(request, "missing_alert.html")
            values = _values(kit, matter, found, links, now)
        told = explain_alert(kit, ExplainParameters(id=wanted)).value
    except Problem:  # put away between the two looks
        return missing(request, "missing_alert.html")
    except MatokitError as error:
        return _unreadable(request, error)
    return page(request, "alert.html", here="alerts", told=told, **values)


def _values(kit: Kit, matter: Matter, found: Known, links: Links, now: datetime) -> dict[str, Any]:
    episode = matter.episode
    runs = alert_facts.runs(found.connection, episode, links.zone, now) if found.connection else alert_facts.Runs()
    looks = alert_facts.looks(episode)
    runbook = links.runbook(episode.rule)
    return {
        "alert": alert_facts.entry_of(matter, found, links, now), "rule": episode.rule,
        "headline": alert_facts.sentence(episode.first, episode, links, now),
        "newest": alert_facts.sentence(episode.last, episode, links, now, is_named=False) if len(looks) > 1 else "",
        "doubt": None if episode.ended_at else watching(found, kit, now),
        "columns": [(name, instant(verdict.at, links.zone)) for name, verdict in looks],
        "numbers": alert_facts.numbers(episode, links.zone),
        "runs": runs, "zone": links.zone.key,
        "runbook": runbook if is_web(runbook) else "", "widget": _widget(episode, links),
        "reports": _reports(kit, episode, links), "when": _when(links),
    }  # fmt: skip


def _when(links: Links) -> Any:
    """ISO instants of the tool's answer as the page writes them."""
    return lambda told: instant(datetime.fromisoformat(told), links.zone)


def _widget(episode: Episode, links: Links) -> dict[str, Any] | None:
    """The widget about the rule, on its dashboard if that has been made."""
    name, widget = WIDGETS.get(episode.rule, ("", ""))
    return {"page": name, "widget": widget, "days": ALERT_DAYS} if name in links.pages else None


def _reports(kit: Kit, episode: Episode, links: Links) -> list[tuple[str, str]]:
    """`(kind, period)` of the reports about its start that have been made."""
    local = episode.started_at.astimezone(links.zone)
    ends = time.fromisoformat(links.alerts.daily_at)
    morning = local.date() if local.time() <= ends else local.date() + timedelta(days=1)
    year, week, _ = monday_of(local.date()).isocalendar()
    wanted = (("daily", str(morning)), ("weekly", f"{year}-W{week:02}"))
    folder = kit.loaded.home / "reports"
    return [(kind, period) for kind, period in wanted if ReportFiles.at(folder, kind, period).html.is_file()]


def _unreadable(request: Request, error: MatokitError) -> Response:
    return page(request, "unreadable.html", 503, here="alerts", reason=str(error))
