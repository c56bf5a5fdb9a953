"""When an event of a tracking request happened, as both services read it (`cdt`).

Not here: which events are too old to be accepted (matomo_tracking.py), in which session they fall.
"""

from __future__ import annotations

from datetime import UTC, datetime


def happened_at(text: str | None, now: int) -> int:
    """`cdt` as epoch seconds or UTC text, in epoch seconds; absent, unreadable or in the future is `now`."""
    if not text:
        return now
    try:
        if text.isdigit():
            return min(int(text), now)
        return min(int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()), now)
    except ValueError:
        return now
