"""`Live.getLastVisitsDetails`: which visits a request gets, and how a visit is written.

Belongs here: limits, offsets, sorting, columns, and the rows of visits and actions. Does not belong here: what is
stored (matomo_log) and what dates mean (matomo_periods).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matokit_pipelines.simulator.matomo_log import Action, MatomoLog, Visit, fingerprint
from matokit_pipelines.simulator.matomo_periods import live_window, offset_windows
from matokit_pipelines.simulator.matomo_segments import Test, segment

MOST_ACTIONS = 500
DEFAULT_LIMIT = 100
Row = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """What a visit's row repeats about its site."""

    id: int
    name: str
    currency: str
    symbol: str


def limit_of(params: Mapping[str, str]) -> int:
    """filter_limit: default 100, -1 all; a text that is no number is ignored."""
    try:
        return max(-1, int(params.get("filter_limit", DEFAULT_LIMIT)))
    except ValueError:
        return DEFAULT_LIMIT


def select(log: MatomoLog, params: Mapping[str, str], now: int, version: str) -> list[Visit]:
    """The visits a request asks for, in order of its answer. Raises MatomoError."""
    since, until = live_window(params.get("period"), params.get("date"), log.zone, now)
    test = segment(params["segment"]) if params.get("segment") else None
    limit, offset = limit_of(params), _whole(params.get("filter_offset"))
    ascending = params.get("filter_sort_order", "desc").lower() == "asc"
    if limit == 0:
        return []
    after = _whole(params.get("minTimestamp"))
    if after:
        since = max(after + 1, since or 0)
    last, ids = _order(log, version, limit, offset)
    windows = offset_windows(since, until, now, ascending) if offset and limit > 0 else [(since, until)]
    found: list[Visit] = []
    for first, final in windows:
        low = 0 if first is None else int(np.searchsorted(last, first, side="left"))
        high = len(last) if final is None else int(np.searchsorted(last, final, side="right"))
        wanted = ids[low:high] if ascending else ids[low:high][::-1]
        # The flaw of deep pages: a window that yields nothing does not use up any of the offset.
        skip = 0 if found else offset
        found += _take(log, wanted, test, skip, limit if limit < 0 else limit - len(found))
        if 0 < limit <= len(found):
            break
    return found


def _whole(text: str | None) -> int:
    try:
        return max(0, int(text or 0))
    except ValueError:
        return 0


def _order(log: MatomoLog, version: str, limit: int, offset: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    last, ids = log.order()
    if tuple(int(part) for part in version.split("-")[0].split(".")[:2]) >= (5, 2):
        return last, ids
    # Before 5.2 visits of one second come in any order, another one for another query.
    any_order = (ids * 2654435761 + limit * 40503 + offset * 65537) % (2**31)
    by = np.lexsort((any_order, last))
    return last[by], ids[by]


def _take(log: MatomoLog, ids: NDArray[np.int64], test: Test | None, skip: int, most: int) -> list[Visit]:
    if test is None:
        chosen = ids[skip:] if most < 0 else ids[skip : skip + most]
        return [log.visits[i - 1] for i in chosen.tolist()]
    passed = _passing(log, ids, test)
    for _ in range(skip):
        if next(passed, None) is None:
            return []
    return list(passed) if most < 0 else [visit for visit, _ in zip(passed, range(most), strict=False)]


def _passing(log: MatomoLog, ids: NDArray[np.int64], test: Test) -> Iterator[Visit]:
    for i in ids.tolist():
        visit = log.visits[i - 1]
        if any(test(visit, action) for action in visit.actions):
            yield visit


class Columns:
    """showColumns and hideColumns: show picks keys of the visit, hide also removes keys of its actions."""

    def __init__(self, params: Mapping[str, str]) -> None:
        self.show = _names(params.get("showColumns"))
        self.hide = _names(params.get("hideColumns"))

    def of(self, row: Row) -> Row:
        """The visit's row with the columns asked for."""
        if self.show:
            row = {key: value for key, value in row.items() if key in self.show}
        if self.hide:
            row = {key: value for key, value in row.items() if key not in self.hide}
            if "actionDetails" in row:
                row["actionDetails"] = [
                    {key: value for key, value in action.items() if key not in self.hide}
                    for action in row["actionDetails"]
                ]
        return row


def _names(text: str | None) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip()) if text else frozenset()


def rows(visits: list[Visit], log: MatomoLog, site: Site, params: Mapping[str, str]) -> list[Row]:
    """The visits as Live writes them."""
    columns = Columns(params)
    fetch = params.get("doNotFetchActions", "0") in ("", "0")
    return [columns.of(visit_row(visit, log, site, fetch)) for visit in visits]


def visit_row(visit: Visit, log: MatomoLog, site: Site, fetch: bool) -> Row:
    """One visit, keys and types as recorded from Matomo 5.2. Timestamps are true epoch seconds."""
    since_seen = visit.first - visit.seen
    since_last = 0 if visit.before is None else visit.first - visit.before
    row: Row = {
        "idSite": site.id,
        "idVisit": visit.id,
        "visitIp": "130.225.0.0",
        "visitorId": visit.visitor,
        "fingerprint": fingerprint(visit.visitor, visit.first),
        "actionDetails": action_rows(visit) if fetch else [],
        "goalConversions": 0,
        "siteCurrency": site.currency,
        "siteCurrencySymbol": site.symbol,
        "siteName": site.name,
        "visitorType": "new" if visit.number == 1 else "returning",
        "visitorTypeIcon": None if visit.number == 1 else "plugins/Live/images/returningVisitor.png",
        "visitCount": visit.number,
        "daysSinceFirstVisit": since_seen // 86_400,
        "secondsSinceFirstVisit": since_seen,
        "visitDuration": visit.duration,
        "visitDurationPretty": pretty(visit.duration),
        "actions": len(visit.actions),
        "interactions": len(visit.actions) - visit.events,
        "events": visit.events,
        "daysSinceLastVisit": since_last // 86_400,
        "secondsSinceLastVisit": since_last,
    }
    row |= _times(visit, log) | _SAME
    if len(visit.actions) > MOST_ACTIONS:
        row["truncatedActionsCount"] = len(visit.actions) - MOST_ACTIONS
    return row


def _times(visit: Visit, log: MatomoLog) -> Row:
    # Timestamps, dates and hours in UTC; the pretty texts in the site's zone.
    last, first = datetime.fromtimestamp(visit.last, UTC), datetime.fromtimestamp(visit.first, UTC)
    here, began = last.astimezone(log.zone), first.astimezone(log.zone)
    return {
        "serverDate": f"{last:%Y-%m-%d}",
        "visitServerHour": str(last.hour),
        "lastActionTimestamp": visit.last,
        "lastActionDateTime": f"{last:%Y-%m-%d %H:%M:%S}",
        "serverTimestamp": visit.last,
        "firstActionTimestamp": visit.first,
        "serverTimePretty": f"{here:%H:%M:%S}",
        "serverDatePretty": f"{here:%A, %B} {here.day}, {here.year}",
        "serverDatePrettyFirstAction": f"{began:%A, %B} {began.day}, {began.year}",
        "serverTimePrettyFirstAction": f"{began:%H:%M:%S}",
        "visitLocalTime": f"{first:%H:%M:%S}",
        "visitLocalHour": str(first.hour),
    }


def action_rows(visit: Visit) -> list[Row]:
    """The first 500 actions in true time order; `timestamp` is the site's wall clock as if it were UTC."""
    views = 0
    made = []
    for place, action in enumerate(visit.actions[:MOST_ACTIONS]):
        if action.category is None:
            views += 1
            made.append(_view_row(visit, action, place, views))
        else:
            made.append(_event_row(action, views))
    return made


def _event_row(action: Action, views: int) -> Row:
    row: Row = {
        "type": "event",
        "url": action.url,
        "pageIdAction": None if action.url is None else _action_id(action.url),
        "idpageview": "",
        "serverTimePretty": wall_text(action.wall),
        "pageId": action.page_id,
        "eventCategory": action.category,
        "eventAction": action.action,
        "pageviewPosition": views or None,
        "timestamp": action.wall,
        "icon": "plugins/Morpheus/images/event.png",
        "iconSVG": "plugins/Morpheus/images/event.svg",
        "title": "Event",
        "subtitle": f'Category: "{action.category}\', Action: "{action.action}"',
    }
    if action.name is not None:
        row["eventName"] = action.name
    if action.value is not None:
        row["eventValue"] = action.value
    row["dimension1"], row["dimension2"], row["dimension3"] = action.dimensions
    return row


def _view_row(visit: Visit, action: Action, place: int, views: int) -> Row:
    # A page is looked at until the next page, the last one until the end of the visit.
    end = visit.first + visit.duration
    spent = max(0, next((later.ts for later in visit.actions[place + 1 :] if later.category is None), end) - action.ts)
    row: Row = {
        "type": "action",
        "url": action.url,
        "pageTitle": action.name,
        "pageIdAction": _action_id(action.url or ""),
        "idpageview": "",
        "serverTimePretty": wall_text(action.wall),
        "pageId": action.page_id,
        "timeSpent": spent,
        "timeSpentPretty": pretty(spent),
        "pageviewPosition": views,
        "title": action.name or action.url,
        "subtitle": action.url,
        "icon": "",
        "iconSVG": "plugins/Morpheus/images/action.svg",
        "timestamp": action.wall,
    }
    row["dimension1"], row["dimension2"], row["dimension3"] = action.dimensions
    return row


def _action_id(url: str) -> int:
    return int(fingerprint(url)[:5], 16) + 1


def wall_text(wall: int) -> str:
    """A wall clock's time in English words."""
    moment = datetime.fromtimestamp(wall, UTC)
    return f"{moment:%b} {moment.day}, {moment:%Y %H:%M:%S}"


def pretty(seconds: int) -> str:
    """A duration in words, the two largest units."""
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3_600:
        return f"{seconds // 60} min {seconds % 60}s"
    hours, minutes = seconds // 3_600, seconds % 3_600 // 60
    return f"{hours} hours {minutes} min"


# What every visit of a command-line client has in common.
_ICONS = "plugins/Morpheus/icons/dist"
_SAME: Row = {
    "userId": None,
    "visitConverted": 0,
    "visitConvertedIcon": None,
    "visitEcommerceStatus": "none",
    "visitEcommerceStatusIcon": None,
    "daysSinceLastEcommerceOrder": 0,
    "secondsSinceLastEcommerceOrder": None,
    "searches": 0,
    "referrerType": "direct",
    "referrerTypeName": "Direct Entry",
    "referrerName": "",
    "referrerKeyword": "",
    "referrerKeywordPosition": None,
    "referrerUrl": None,
    "referrerSearchEngineUrl": None,
    "referrerSearchEngineIcon": None,
    "referrerSocialNetworkUrl": None,
    "referrerSocialNetworkIcon": None,
    "languageCode": "",
    "language": "Unknown",
    "deviceType": "Unknown",
    "deviceTypeIcon": f"{_ICONS}/devices/unknown.png",
    "deviceBrand": "Unknown",
    "deviceModel": "Unknown",
    "operatingSystem": "Unknown",
    "operatingSystemName": "Unknown",
    "operatingSystemIcon": f"{_ICONS}/os/UNK.png",
    "operatingSystemCode": "UNK",
    "operatingSystemVersion": "UNK",
    "browserFamily": "",
    "browserFamilyDescription": "Unknown",
    "browser": "curl 8.4",
    "browserName": "curl",
    "browserIcon": f"{_ICONS}/browsers/UNK.png",
    "browserCode": "curl",
    "browserVersion": "8.4",
    "continent": "Unknown",
    "continentCode": "unk",
    "country": "Unknown",
    "countryCode": "xx",
    "countryFlag": f"{_ICONS}/flags/xx.png",
    "region": None,
    "regionCode": None,
    "city": None,
    "location": "Unknown",
    "latitude": None,
    "longitude": None,
    "resolution": "unknown",
    "plugins": "",
    "pluginsIcons": None,
}
