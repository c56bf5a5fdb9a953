"""When an event of a tracking request happened, as both services read it (`cdt`).

Not here: which events are too old to be accepted (matomo_tracking.py), in which session they fall.
"""

from __future__ import annotations

from datetime import UTC, datetime


def happened_at(text: str | None, now: int) -> int:
    """`cdt` as epoch seconds or text in ISO 8601 (UTC where it names no zone), in epoch seconds.

    Absent, unreadable or in the future is `now`.
    """
    if not text:
        return now
    try:
        if text.isdigit():
            return min(int(text), now)
        moment = datetime.fromisoformat(text)
        return min(int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()), now)
    except ValueError:
        return now
