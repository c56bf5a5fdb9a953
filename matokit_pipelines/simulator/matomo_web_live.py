"""`Live.getLastVisitsDetails` of a web site: visits with where they came from, devices, goals and orders.

Belongs here: what such a visit's row has beside that of an installer. Does not belong here: which visits a request
gets and the common keys (matomo_live).
"""

from __future__ import annotations

from collections.abc import Mapping

from matokit_pipelines.simulator.matomo_live import Columns, Row, Site, visit_row, wall_text
from matokit_pipelines.simulator.matomo_log import MatomoLog, Visit
from matokit_pipelines.simulator.matomo_web_pages import SOCIAL_HOSTS
from matokit_pipelines.simulator.matomo_web_rows import plain
from matokit_pipelines.simulator.matomo_web_visits import CART, GOALS, ORDER, REFERRER_TYPES, SEARCH, SOCIAL, Conversion

_IMAGES = "plugins/Morpheus/images"
_ICONS = "plugins/Morpheus/icons/dist"
_ENGINES = {"Google": "google.com", "Bing": "bing.com", "DuckDuckGo": "duckduckgo.com"}
_NAMES = {goal.id: goal.name for goal in GOALS}


def web_rows(visits: list[Visit], log: MatomoLog, site: Site, params: Mapping[str, str]) -> list[Row]:
    """The visits as Live writes them."""
    columns = Columns(params)
    fetch = params.get("doNotFetchActions", "0") in ("", "0")
    return [columns.of(_row(visit, log, site, fetch)) for visit in visits]


def _row(visit: Visit, log: MatomoLog, site: Site, fetch: bool) -> Row:
    row = visit_row(visit, log, site, fetch)
    row["goalConversions"] = sum(isinstance(one.goal, int) for one in visit.conversions)
    row |= _referrer(visit) | _bought(visit)
    device = visit.came.device
    row |= {"deviceType": device, "deviceTypeIcon": f"{_ICONS}/devices/{device.lower()}.png"}
    reached = any(one.goal != CART for one in visit.conversions)
    row |= {"visitConverted": int(reached), "visitConvertedIcon": f"{_IMAGES}/goal.svg" if reached else None}
    if fetch:
        row["actionDetails"] = _details(row["actionDetails"], visit, site)
    return row


def _referrer(visit: Visit) -> Row:
    came = visit.came
    word, label = REFERRER_TYPES[came.type]
    keyword = "Keyword not defined" if came.type == SEARCH and came.keyword is None else came.keyword or ""
    engine = _ENGINES.get(came.name or "") if came.type == SEARCH else None
    network = SOCIAL_HOSTS.get(came.name or "") if came.type == SOCIAL else None
    return {
        "referrerType": word,
        "referrerTypeName": label,
        "referrerName": came.name or "",
        "referrerKeyword": keyword,
        "referrerUrl": came.url,
        "referrerSearchEngineUrl": f"http://{engine}" if engine else None,
        "referrerSearchEngineIcon": f"{_ICONS}/searchEngines/{engine}.png" if engine else None,
        "referrerSocialNetworkUrl": network,
        "referrerSocialNetworkIcon": f"{_ICONS}/socials/{network}.png" if network else None,
    }


def _bought(visit: Visit) -> Row:
    orders = [one for one in visit.conversions if one.goal == ORDER]
    carts = [one for one in visit.conversions if one.goal == CART]
    status = "ordered" if orders else "abandonedCart" if carts else "none"
    icon = {"ordered": f"{_IMAGES}/ecommerceOrder.svg", "abandonedCart": f"{_IMAGES}/ecommerceAbandonedCart.svg"}
    items = sum(one.items for one in orders)
    return {
        "visitEcommerceStatus": status,
        "visitEcommerceStatusIcon": icon.get(status),
        "secondsSinceLastEcommerceOrder": 0 if orders else None,
        "totalEcommerceRevenue": plain(round(sum(one.revenue for one in orders), 2)),
        "totalEcommerceConversions": len(orders),
        # The sum is a text where there is anything to sum.
        "totalEcommerceItems": str(items) if orders else 0,
        "totalAbandonedCartsRevenue": plain(round(sum(one.revenue for one in carts), 2)),
        "totalAbandonedCarts": len(carts),
        "totalAbandonedCartsItems": str(sum(one.items for one in carts)) if carts else 0,
    }


def _details(actions: list[Row], visit: Visit, site: Site) -> list[Row]:
    """The actions without dimensions, with the conversions among them in time order."""
    shown = [{key: value for key, value in row.items() if not key.startswith("dimension")} for row in actions]
    for one in visit.conversions:
        made = _conversion(one, visit, site)
        place = next((n for n, row in enumerate(shown) if row["timestamp"] > one.wall), len(shown))
        shown.insert(place, made)
    return shown


def _conversion(one: Conversion, visit: Visit, site: Site) -> Row:
    came = visit.came
    common = {
        "serverTimePretty": wall_text(one.wall),
        "referrerType": REFERRER_TYPES[came.type][0],
        "referrerName": came.name or "",
        "referrerKeyword": came.keyword or "",
        "timestamp": one.wall,
    }
    if isinstance(one.goal, int):
        name, worth = _NAMES[one.goal], f" ({site.symbol}{plain(one.revenue)} revenue)" if one.revenue else ""
        page = next((action.page_id for action in reversed(visit.actions) if action.ts <= one.ts), None)
        return {
            "type": "goal",
            "goalName": name,
            "goalId": one.goal,
            "idpageview": "",
            "revenue": plain(one.revenue),
            "goalPageId": page,
            "url": one.url,
            "icon": f"{_IMAGES}/goal.png",
            "iconSVG": f"{_IMAGES}/goal.svg",
            "title": "Goal conversion",
            "subtitle": name + worth,
        } | common
    kind = str(one.goal)
    title = f"Ordered ({one.order})" if kind == ORDER else "Abandoned Cart"
    money = {"revenueSubTotal": one.subtotal, "revenueTax": one.tax, "revenueShipping": one.shipping}
    money |= {"revenueDiscount": one.discount}
    row: Row = {"type": kind, "revenue": plain(one.revenue), "items": one.items, "idpageview": None, "itemDetails": []}
    if kind == ORDER:
        row |= {"orderId": one.order} | plain(money)
    row |= {"icon": f"{_IMAGES}/{kind}.png", "iconSVG": f"{_IMAGES}/{kind}.svg", "title": title}
    row["subtitle"] = f"{site.symbol}{plain(one.revenue)} revenue - {one.items} items"
    return row | common
