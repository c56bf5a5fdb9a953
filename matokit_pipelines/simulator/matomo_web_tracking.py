"""A tracker's hits on the web site: page views, events, goals and orders, and where their visit came from.

Belongs here: what the parameters of a stored hit mean. Does not belong here: what is accepted (matomo_tracking), how
visits form (matomo_web_log).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qs, parse_qsl, urlsplit

from matokit_pipelines.simulator.matomo_log import Arrival
from matokit_pipelines.simulator.matomo_web_log import WebHit, converted, reached
from matokit_pipelines.simulator.matomo_web_pages import SITE_URL, SOCIAL_HOSTS
from matokit_pipelines.simulator.matomo_web_visits import (
    CAMPAIGN,
    CART,
    DIRECT,
    GOALS,
    ORDER,
    SEARCH,
    SOCIAL,
    WEBSITE,
    Came,
    Conversion,
)

_CAMPAIGN = ("mtm_campaign", "matomo_campaign", "pk_campaign", "piwik_campaign", "utm_campaign")
_KEYWORD = ("mtm_kwd", "mtm_keyword", "pk_kwd", "utm_term")
_ENGINES = {"google": "Google", "bing": "Bing", "duckduckgo": "DuckDuckGo"}
_SOCIAL = {"t.co": "Twitter"} | {host: name for name, host in SOCIAL_HOSTS.items()}


def web_hit(params: Mapping[str, str], arrival: Arrival, user_agent: str) -> WebHit:
    """What an accepted request stores: a page view, an event, or only a conversion (`idgoal`)."""
    came = _came(params, user_agent)
    wanted = params.get("idgoal")
    if wanted is None:
        return WebHit(arrival, came, reached(arrival))
    if wanted == "0":
        return WebHit(arrival, came, (_order(params, arrival),), action=False)
    revenue = _money(params, "revenue") if params.get("revenue") else None
    found = tuple(converted(goal, arrival, revenue) for goal in GOALS if str(goal.id) == wanted)
    # A goal that does not exist is accepted, and nothing comes of it.
    return WebHit(arrival, came, found, action=False)


def _order(params: Mapping[str, str], arrival: Arrival) -> Conversion:
    """An order where it has a number, else the cart as it stands."""
    order = params.get("ec_id") or None
    items = sum(int(number) for number in re.findall(r",\s*(\d+)\s*\]", params.get("ec_items", "")))
    if order is None:
        return Conversion(CART, arrival.ts, arrival.wall, _money(params, "revenue"), arrival.url, None, items)
    parts = (_money(params, name) for name in ("ec_st", "ec_tx", "ec_sh", "ec_dt"))
    return Conversion(ORDER, arrival.ts, arrival.wall, _money(params, "revenue"), arrival.url, order, items, *parts)


def _money(params: Mapping[str, str], name: str) -> float:
    try:
        return float(params.get(name) or 0)
    except ValueError:
        return 0.0


def _came(params: Mapping[str, str], user_agent: str) -> Came:
    device = _device(params.get("ua") or user_agent)
    asked = dict(parse_qsl(urlsplit(params.get("url", "")).query))
    name = next((asked[word].lower() for word in _CAMPAIGN if asked.get(word)), None)
    from_where = params.get("urlref") or None
    if name:
        return Came(CAMPAIGN, name, next((asked[word] for word in _KEYWORD if word in asked), None), from_where, device)
    host = (urlsplit(from_where or "").hostname or "").removeprefix("www.")
    if not host or host == urlsplit(SITE_URL).hostname:
        return Came(DIRECT, device=device)
    engine = _ENGINES.get(host.split(".")[0])
    if engine:
        keyword = parse_qs(urlsplit(from_where or "").query).get("q", [None])[0]
        return Came(SEARCH, engine, keyword, from_where, device)
    if host in _SOCIAL:
        return Came(SOCIAL, _SOCIAL[host], None, from_where, device)
    return Came(WEBSITE, host, None, from_where, device)


def _device(user_agent: str) -> str:
    for pattern, name in (("iPad|Tablet", "Tablet"), ("Mobile|iPhone|Android", "Smartphone"), ("Mozilla", "Desktop")):
        if re.search(pattern, user_agent):
            return name
    return "Unknown"
