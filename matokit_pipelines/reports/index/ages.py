"""How long ago an instant was. Not here: which instants matter."""

from __future__ import annotations

from datetime import datetime, timedelta

from matokit_pipelines.alerts.content.wording import lasting
from matokit_pipelines.reports.index.shapes import Age


def age(at: datetime, now: datetime) -> Age:
    """The time from `at` to `now`; what lies ahead has none yet."""
    return span(max(now - at, timedelta()))


def span(length: timedelta) -> Age:
    """A length of time in both forms."""
    return Age(int(length.total_seconds()), lasting(length))
