"""What any analytics service says of a site. Not here: how each of them is asked (matomo.py, piwik_pro.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Site:
    """A site as its service knows it: its name and the zone its clocks show. `created` in UTC, None when not told."""

    site_id: str
    name: str
    zone: ZoneInfo
    created: datetime | None


@dataclass(frozen=True)
class Dimension:
    """A custom dimension as configured.

    `number` is what a sender writes behind `dimension` (Matomo's id, Piwik PRO's tracking id). Matomo's scopes are
    "action" and "visit", Piwik PRO's "event" and "session". `slot` numbers Piwik PRO's report column of that scope and
    need not equal `number`; Matomo has none. Where `case_sensitive` is false the service may fold what it stores.
    """

    number: int
    name: str
    active: bool
    scope: str
    slot: int | None = None
    case_sensitive: bool = True
