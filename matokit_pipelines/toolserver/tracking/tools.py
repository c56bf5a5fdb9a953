"""The three trackers as tools: TrackPageview, TrackEvent, TrackGoal. Offered only when the operator turned them on.

Not here: the queue that delivers (queue.py), what a Matomo does with a hit.
"""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.problems import Problem, refused
from matokit_pipelines.toolserver.tools import Answer, Tool
from matokit_pipelines.toolserver.tracking.hits import Hit, Kind, matomo_number, matomo_time
from matokit_pipelines.toolserver.tracking.parameters import TrackEvent, TrackGoal, Tracking, TrackPageview
from matokit_pipelines.toolserver.tracking.queue import Outcome
from matokit_pipelines.toolserver.tracking.rows import GIVEN_UP, UNKNOWN, Row

AHEAD = timedelta(minutes=5)
OLDEST = timedelta(days=3_650)  # a Matomo takes an older time for now
_LETTERS = string.ascii_lowercase + string.digits


class Tracked(BaseModel):
    """What a tracker answers."""

    model_config = ConfigDict(extra="forbid")

    ok: bool = Field(
        description="True: the hit is accepted and kept. One with idempotencyKey is not sent again once Matomo may "
        "have counted it."
    )
    status: int = Field(description="HTTP status of Matomo's answer (204), or 202 while it is queued.")
    queued: bool | None = Field(None, description="True when Matomo has not taken it yet; it is sent by itself later.")
    pvId: str | None = Field(None, description="Id of the page view, of page views only.")


def track_pageview(kit: Kit, asked: TrackPageview) -> Answer:
    """Record a page view."""
    page_view = asked.pvId or "".join(secrets.choice(_LETTERS) for _ in range(6))
    form = {"url": asked.url, "action_name": asked.actionName or asked.url, "pv_id": page_view}
    return _track(kit, asked, "pageview", form, page_view)


def track_event(kit: Kit, asked: TrackEvent) -> Answer:
    """Record an event."""
    form = {"e_c": asked.category, "e_a": asked.action}
    if asked.name is not None:
        form["e_n"] = asked.name
    if asked.value is not None:
        form["e_v"] = matomo_number(asked.value)
    return _track(kit, asked, "event", form | _page(asked.url))


def track_goal(kit: Kit, asked: TrackGoal) -> Answer:
    """Record a conversion of a goal."""
    form = {"idgoal": str(asked.goalId)}
    if asked.revenue is not None:
        form["revenue"] = matomo_number(asked.revenue)
    return _track(kit, asked, "goal", form | _page(asked.url))


def _track(kit: Kit, asked: Tracking, kind: Kind, form: dict[str, str], page_view: str | None = None) -> Answer:
    if kit.tracking is None:
        raise Problem(
            "not-found",
            "Tracking is switched off on this server.",
            "The operator switches it on by `tracking = true` in [toolserver].",
        )
    site = kit.sites.find(asked.siteId)
    given = asked.model_dump(exclude_unset=True, exclude_none=True, exclude={"siteId", "idempotencyKey"})
    hit = Hit(
        kind=kind,
        site=site.id,
        site_name=site.name,
        tracker=site.tracking_url,
        form={"idsite": site.id} | form | _common(asked, kit.clock.now()),
        visitor=asked.visitorId or (f"uid {asked.uid}" if asked.uid else None),
        page_view=page_view,
        key=asked.idempotencyKey,
        asked=given,
    )
    return Answer(answer_of(kit.tracking.accept(hit)))


def _common(asked: Tracking, now: datetime) -> dict[str, str]:
    told = {"_id": asked.visitorId, "uid": asked.uid, "urlref": asked.referrer}
    form = {name: value for name, value in told.items() if value is not None}
    if asked.timestamp is not None:
        form["cdt"] = matomo_time(_moment(asked.timestamp, now))
    return form


def _moment(milliseconds: int, now: datetime) -> datetime:
    """The time of a hit; Problem when it cannot be one."""
    try:
        at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
    except OverflowError:
        at = None
    advice = "Send milliseconds (not seconds) since 1970-01-01 in UTC, or leave timestamp out for now."
    if at is None or at > now + AHEAD:
        raise refused("timestamp must not be in the future.", advice)
    if at < now - OLDEST:
        raise refused("timestamp must not be more than 10 years ago.", advice)
    return at


def _page(url: str | None) -> dict[str, str]:
    return {} if url is None else {"url": url}


def answer_of(outcome: Outcome) -> dict[str, object]:
    """What the caller is told; Problem when the hit is dead already."""
    row = outcome.row
    if row.state == "dead":
        raise _dead(row)
    answer: dict[str, object] = {"ok": True, "status": 202 if outcome.is_queued else row.status}
    if outcome.is_queued:
        answer["queued"] = True
    if row.page_view is not None:
        answer["pvId"] = row.page_view
    return answer


def _dead(row: Row) -> Problem:
    """Why a hit is not sent again. It stays visible to the operator under its number."""
    why = row.error or "no reason is known"
    seen = f"The operator sees it as hit {row.id} in `matokit tracking list`."
    if why.startswith(GIVEN_UP):  # what stood in the way is for the operator
        return Problem("network", f"The hit for site {row.site} could not be delivered to Matomo.", seen)
    if row.is_unknown or why.startswith(UNKNOWN):
        return Problem(
            "network",
            f"Whether Matomo counted the hit is not known ({why.removeprefix(UNKNOWN + ': ')}), so it is not sent "
            "again.",
            f"Do not send it again under another key unless counting it twice is fine. {seen}",
        )
    if row.status in (401, 403):
        return Problem(
            "permission",
            f"Matomo did not accept the hit for site {row.site} ({why}).",
            f"The operator has to give a token that may write to this site. {seen}",
        )
    return Problem(
        "client",
        f"Matomo refused the hit for site {row.site} ({why}).",
        f"Check siteId; a timestamp of more than 24 hours ago needs a token with write access to the site. {seen}",
    )


_AFTERWARDS = (
    " Answers status 204 when Matomo took it, or 202 with queued true while Matomo cannot be reached: it is then kept "
    "and sent later with its time, so do not send it again. With idempotencyKey it is not sent a second time where "
    "Matomo may have counted it already."
)

TRACKING_TOOLS = (
    Tool(
        name="TrackPageview",
        endpoint="/track/pageview",
        group="tracking",
        description="Writes one page view into a website's statistics in Matomo." + _AFTERWARDS,
        parameters=TrackPageview,
        result=Tracked,
        function=track_pageview,
        uses_tables=False,
        hints=("write",),
    ),
    Tool(
        name="TrackEvent",
        endpoint="/track/event",
        group="tracking",
        description="Writes one event (category, action, name, value) into a website's statistics in Matomo."
        + _AFTERWARDS,
        parameters=TrackEvent,
        result=Tracked,
        function=track_event,
        uses_tables=False,
        hints=("write",),
    ),
    Tool(
        name="TrackGoal",
        endpoint="/track/goal",
        group="tracking",
        description="Writes one conversion of a goal, with its revenue, into a website's statistics in Matomo."
        + _AFTERWARDS,
        parameters=TrackGoal,
        result=Tracked,
        function=track_goal,
        uses_tables=False,
        hints=("write",),
    ),
)
