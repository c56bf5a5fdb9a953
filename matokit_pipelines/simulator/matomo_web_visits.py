"""What a web visit has beyond its actions: where it came from, with which device, what it converted.

Belongs here: the plain records and the words Matomo has for them. Does not belong here: drawing them (matomo_web),
storing them (matomo_web_log), counting them (matomo_web_tables).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

DIRECT, SEARCH, WEBSITE, CAMPAIGN, SOCIAL = 1, 2, 3, 6, 7
# Number -> (word in segments and Live, label in reports).
REFERRER_TYPES = {
    DIRECT: ("direct", "Direct Entry"),
    SEARCH: ("search", "Search Engines"),
    WEBSITE: ("website", "Websites"),
    CAMPAIGN: ("campaign", "Campaigns"),
    SOCIAL: ("social", "Social Networks"),
}
ORDER, CART = "ecommerceOrder", "ecommerceAbandonedCart"


class Came(NamedTuple):
    """How a visit began. type: see REFERRER_TYPES; name: engine, host, campaign or network; device as labelled."""

    type: int = DIRECT
    name: str | None = None
    keyword: str | None = None
    url: str | None = None
    device: str = "Unknown"


UNKNOWN = Came()


class Conversion(NamedTuple):
    """A goal reached, an order, or a cart left behind. goal: number, ORDER or CART; money in the site's currency.

    ts: epoch seconds; wall: the site's wall clock as if it were UTC. revenue of an order is
    subtotal + tax + shipping - discount; the four are 0 for carts and goals.
    """

    goal: int | str
    ts: int
    wall: int
    revenue: float
    url: str | None = None
    order: str | None = None
    items: int = 0
    subtotal: float = 0.0
    tax: float = 0.0
    shipping: float = 0.0
    discount: float = 0.0


@dataclass(frozen=True)
class Goal:
    """A goal of a site. match: url, event_action or manually; several: whether a visit can reach it twice."""

    id: int
    name: str
    match: str
    pattern: str
    how: str
    several: bool
    revenue: float


GOALS = (
    Goal(1, "Newsletter sign-up", "url", "/newsletter/thanks", "contains", False, 5),
    Goal(2, "Contact form", "event_action", "contact_sent", "exact", True, 0),
    Goal(3, "Installer downloaded", "manually", "", "", False, 0),
)
