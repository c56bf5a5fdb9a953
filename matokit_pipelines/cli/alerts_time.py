"""Moments as a person gives them: `2h`, `2026-11-20`, `2026-11-20T08:30`, with an offset or in the project's zone.

Not here: whole days of other commands (frame.day_range).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from matokit_pipelines.errors import SettingsError
from matokit_pipelines.windows import Window, parse_day, start_of_day

_SPAN = re.compile(r"^(\d{1,4})\s*(m|min|h|d|w)$")
_UNITS = {"m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
ONE_DAY = timedelta(days=1)


def moment_given(text: str, zone: ZoneInfo, now: datetime, *, ago: bool = False) -> datetime:
    """An instant in UTC: a length of time from now (`2h`, `30m`, `3d`, `1w`; back from now with `ago`), or a time in
    `zone` unless it carries an offset. SettingsError for anything else."""
    given = text.strip()
    if match := _SPAN.match(given.lower()):
        span = timedelta(**{_UNITS[match[2]]: int(match[1])})
        return now - span if ago else now + span
    try:
        found = datetime.fromisoformat(given)
    except ValueError as error:
        raise SettingsError(
            f'"{text}" is no time; write 2026-11-20T08:30 ({zone.key}), with Z for UTC, or a length such as 2h.'
        ) from error
    if found.tzinfo is None:
        found = found.replace(tzinfo=zone)
    if not 2000 <= found.year < 2200:
        raise SettingsError(f'"{text}" is no time of the years 2000 to 2199; correct it.')
    return found.astimezone(UTC)


def period_given(first: str, last: str, zone: ZoneInfo, now: datetime) -> Window:
    """`--from` and `--to`: whole days of `zone`, both included, or instants. SettingsError when they cross."""
    start = _edge(first, zone, now, is_end=False)
    end = _edge(last, zone, now, is_end=True)
    if end <= start:
        raise SettingsError(f"--from {first} is not before --to {last}; give them the other way round.")
    return Window(start, end)


def _edge(text: str, zone: ZoneInfo, now: datetime, *, is_end: bool) -> datetime:
    if "T" not in text and ":" not in text:
        return start_of_day(parse_day(text) + (ONE_DAY if is_end else timedelta()), zone)
    return moment_given(text, zone, now)
