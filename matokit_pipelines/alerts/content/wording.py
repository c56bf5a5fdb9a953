"""How numbers, instants, durations, chances and names read in a message. No markup, no words of statistics.

Names come from outside: on one line, cut, nothing in them steers. Not here: which of them is told (headlines.py,
stories.py), escaping for HTML and Slack.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from matokit_pipelines.alerts.verdicts import Input
from matokit_pipelines.delivery.escaping import cut, one_line

# Named here because strftime follows the locale of the machine.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
RARER = 1_000_000  # beyond it the odds say no more
RULE_NAMES = {
    "overall_success_rate": "overall success rate",
    "new_failure_pattern": "new failure pattern",
    "high_volume_failures": "many failures in a short time",
    "arch_gap": "one architecture fails more often",
    "commit_regression": "new commit fails more often",
    "component_failure_rate": "component fails often",
    "new_component_failure": "component began to fail",
    "success_drop_7d": "success fell within a week",
    "slow_regression": "component became worse",
    "no_events": "no events",
    "data_stale": "data are old",
}
# what "had nothing changed" is counted in
_UNITS = {
    "arch_gap": "days",
    "commit_regression": "deployments",
    "component_failure_rate": "days",
    "new_component_failure": "days",
    "success_drop_7d": "days",
    "no_events": "stretches like this",
}


@lru_cache(maxsize=4096)  # an answer shows the same few names many times
def name(text: str) -> str:
    """A name from outside as it is shown; one that is empty is said to be."""
    return cut(one_line(text)) or "(no name)"


def sentence(text: str) -> str:
    """A sentence of ours that may hold names, on one line and not longer than a few of them, with its full stop."""
    shown = cut(one_line(text), 300)
    return shown if shown.endswith((".", "…", "!", "?")) else f"{shown}."


def count(value: int) -> str:
    """20000 as `20,000`."""
    return f"{value:,}"


def many(value: int, one: str, more: str = "") -> str:
    """`1 machine`, `9 machines`."""
    return f"{count(value)} {one if value == 1 else more or one + 's'}"


def percent(share: float) -> str:
    """A share between 0 and 1 in whole percent; never a plain 0 or 100 % for what is neither."""
    whole = 100 * share
    if 0 < whole < 1:
        return f"{whole:.1f} %" if whole >= 0.05 else "under 0.1 %"
    if 99 < whole < 100:
        return f"{math.floor(10 * whole) / 10:.1f} %"
    return f"{whole:.0f} %"


def failed(failures: int, events: int, what: str = "event") -> str:
    """`13 of 25 events failed (52 %)`; without events no rate."""
    if not events:
        return f"no {what}s"
    return f"{count(failures)} of {many(events, what)} failed ({percent(failures / events)})"


def part_failed(failures: int, events: int) -> str:
    """`11 of 13 (85 %)`, short, for rows; a dash without events."""
    return f"{count(failures)} of {count(events)} ({percent(failures / events)})" if events else "–"


def clock(at: datetime, zone: ZoneInfo, now: datetime) -> str:
    """`02:40 CET`; with the day when it is another than that of `now`; UTC too where the clock shows it twice."""
    local, today = at.astimezone(zone), now.astimezone(zone)
    day = ""
    if local.date() != today.date():
        day = f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]} "
        if local.year != today.year:
            day += f"{local.year} "
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    utc = f" ({at.astimezone(UTC):%H:%M} UTC)" if twice else ""
    return f"{day}{local:%H:%M} {_abbreviation(local)}{utc}"


def day(at: datetime, zone: ZoneInfo) -> str:
    """`Sun 22 Nov`."""
    local = at.astimezone(zone)
    return f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]}"


def day_and_clock(at: datetime, zone: ZoneInfo) -> str:
    """`Sun 22 Nov 02:40`, for drawings."""
    return f"{day(at, zone)} {at.astimezone(zone):%H:%M}"


def lasting(span: timedelta) -> str:
    """`25 min`, `2 h 10 min`, `3 days 4 h`."""
    minutes = max(0, int(span.total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h" if hours else f"{days} days"


def hours_and_minutes(hours: float) -> str:
    """8.33 as `8 h 20 min`."""
    return lasting(timedelta(minutes=round(60 * hours)))


def chance(value: float | None, rule: str) -> str:
    """How unlikely, in words: `about once in 20,000 windows if nothing had changed`; "" when it is not known."""
    if value is None or math.isnan(value):
        return ""
    unit = _UNITS.get(rule, "windows")
    once = f"{unit} if nothing had changed"
    if value * RARER < 1:
        return f"less than once in a million {once}"
    found = odds(value)
    return f"in most {once}" if found is None else f"about once in {count(found)} {once}"


def odds(value: float | None) -> int | None:
    """20000 for a chance of about one in so many, rounded; None for one that is not known, or more likely than half."""
    if not value or math.isnan(value) or value * RARER < 1 or 1 / value < 2:
        return None
    found = 1 / value
    size = int(10 ** max(0, math.floor(math.log10(found)) - (0 if found >= 10_000 else 1)))
    return round(found / size) * size


def number(inputs: Mapping[str, Input], key: str) -> float | None:
    """A number among a verdict's inputs; None when it is missing."""
    value = inputs.get(key)
    return None if value is None or isinstance(value, bool | str) else float(value)


def whole(inputs: Mapping[str, Input], key: str) -> int | None:
    """A count among a verdict's inputs; None when it is missing."""
    value = number(inputs, key)
    return None if value is None or not math.isfinite(value) else round(value)


def _abbreviation(local: datetime) -> str:
    """`CET`; zones without letters of their own read `UTC+03`."""
    short = local.tzname() or "UTC"
    return f"UTC{short}" if short[:1] in "+-" else short
