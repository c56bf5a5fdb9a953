"""What a request to the analytics endpoints asks for, checked as the service checks it.

Belongs here: the body, dates and windows, columns, limits. Does not belong here: filters (piwik_pro_filters) and
answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from matokit_pipelines.simulator.piwik_pro_answers import PiwikProError
from matokit_pipelines.simulator.piwik_pro_columns import Column
from matokit_pipelines.simulator.piwik_pro_faults import Assumptions
from matokit_pipelines.simulator.piwik_pro_transformations import TO_DIMENSION

Endpoint = Literal["events", "sessions", "query", "real-time-events"]
GREATEST_LIMIT, DEFAULT_LIMIT = 100_000, 100
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LAST_DAYS = re.compile(r"last_(\d{1,3})_days")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")


@dataclass(frozen=True)
class Window:
    """[start, end) of the site's wall clock, in seconds as if it were UTC."""

    start: int
    end: int


@dataclass(frozen=True)
class Wanted:
    """One column of a request; column is None for a metric of `query`."""

    id: str
    transformation: str | None
    column: Column | None

    @property
    def label(self) -> str:
        """How the answer calls it."""
        return self.id if self.transformation is None else f"{self.id}__{self.transformation}"

    @property
    def name(self) -> str:
        """How the answer calls it with column_format `name`."""
        return self.column.name if self.column is not None else self.id.replace("_", " ").capitalize()


@dataclass(frozen=True)
class Page:
    """Which rows of the result, and how they are written."""

    offset: int
    limit: int
    format: str
    by_name: bool


def body_of(raw: bytes) -> dict[str, Any]:
    """The body as an object. Raises PiwikProError (400)."""
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise PiwikProError(400, "Malformed request.") from error
    if not isinstance(body, dict):
        raise PiwikProError(400, "The body of the request has to be an object.")
    return body


def page_of(body: Mapping[str, Any], formats: Sequence[str], assumed: Assumptions) -> Page:
    """Offset, limit and format. Raises PiwikProError (400)."""
    offset = _whole(body, "offset", 0, 0)
    limit = _whole(body, "limit", DEFAULT_LIMIT, 1)
    if limit > GREATEST_LIMIT:
        if assumed.limit_too_large == "refuse":
            raise PiwikProError(400, f"Ensure this value is less than or equal to {GREATEST_LIMIT}.", "limit")
        limit = GREATEST_LIMIT
    form, labels = body.get("format", "json"), body.get("column_format", "id")
    if form not in formats:
        raise PiwikProError(400, f'"{form}" is not a valid choice.', "format")
    if labels not in ("id", "name"):
        raise PiwikProError(400, f'"{labels}" is not a valid choice.', "column_format")
    return Page(offset, limit, form, labels == "name")


def _whole(body: Mapping[str, Any], name: str, default: int, least: int) -> int:
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise PiwikProError(400, "A valid integer is required.", name)
    if value < least:
        raise PiwikProError(400, f"Ensure this value is greater than or equal to {least}.", name)
    return value


def columns_of(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The list of columns, each an object with a textual column_id. Raises PiwikProError (400)."""
    columns = body.get("columns")
    if columns is None:
        raise PiwikProError(400, "This field is required.", "columns")
    if not isinstance(columns, list) or not all(isinstance(one, Mapping) for one in columns):
        raise PiwikProError(400, "Expected a list of objects.", "columns")
    return columns


def parameter(number: int, name: str, assumed: Assumptions) -> str:
    """Where in the list of columns a mistake is."""
    return f"columns.{number}.{name}" if assumed.indexed_parameter else f"columns.{name}"


def dimension_of(known: Mapping[str, Column], wanted: Any, where: str, endpoint: Endpoint) -> Column:
    """The dimension of that id, if the endpoint has it. Raises PiwikProError (400)."""
    if not isinstance(wanted, str):
        raise PiwikProError(400, "This field is required.", where)
    column = known.get(wanted)
    if column is None:
        raise PiwikProError(400, f'Dimension "{wanted}" does not exist.', where)
    available = {
        "events": column.raw,
        "sessions": column.raw and (column.scope == "session" or column.id == "timestamp"),
        "query": column.query,
        "real-time-events": column.live,
    }
    if not available[endpoint]:
        raise PiwikProError(400, f'Dimension "{wanted}" is not available here.', where)
    return column


def raw_columns(
    body: Mapping[str, Any], known: Mapping[str, Column], endpoint: Endpoint, assumed: Assumptions
) -> list[Wanted]:
    """The columns of a raw request without the default ones. Raises PiwikProError (400)."""
    columns = columns_of(body)
    if not columns and not assumed.empty_columns:
        raise PiwikProError(400, "This list may not be empty.", "columns")
    found = []
    for number, one in enumerate(columns):
        column = dimension_of(known, one.get("column_id"), parameter(number, "column_id", assumed), endpoint)
        change = one.get("transformation_id")
        if change is not None and (change not in TO_DIMENSION or column.kind not in TO_DIMENSION[change][0]):
            where = parameter(number, "transformation_id", assumed)
            raise PiwikProError(400, f'Transformation "{change}" is not available.', where)
        found.append(Wanted(column.id, change, column))
    return found


def window_of(body: Mapping[str, Any], zone: ZoneInfo, now: int, live: bool, assumed: Assumptions) -> Window:
    """The window of a request. Both ends of dates are in it; of date-times the end is not.

    live: the real-time store takes date-times only. Raises PiwikProError (400).
    """
    since, until, relative = (body.get(name) for name in ("date_from", "date_to", "relative_date"))
    if relative is not None and (since is not None or until is not None):
        raise PiwikProError(400, "Absolute dates and relative_date cannot be used together.", "relative_date")
    if relative is not None and not live:
        first, last = _relative(relative, datetime.fromtimestamp(now, zone).date())
        return Window(_midnight(first), _midnight(last + timedelta(days=1)))
    for name, value in (("date_from", since), ("date_to", until)):
        if value is None:
            raise PiwikProError(400, "This field is required.", name)
    start, _ = _moment(since, "date_from", live, assumed)
    closing, end = _moment(until, "date_to", live, assumed)
    if closing < start:
        raise PiwikProError(400, "date_from must not be after date_to.", "date_from")
    return Window(start, end)


def _moment(text: Any, name: str, live: bool, assumed: Assumptions) -> tuple[int, int]:
    """The first second of a date or date-time, and the end of a window that it closes."""
    form = "%Y-%m-%d %H:%M:%S"
    is_moment = isinstance(text, str) and _MOMENT.fullmatch(text) and (assumed.t_separator or "T" not in text)
    try:
        if is_moment:
            second = int(datetime.strptime(text.replace("T", " "), form).replace(tzinfo=UTC).timestamp())
            return second, second
        if isinstance(text, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", text) and not live:
            day = date.fromisoformat(text)
            return _midnight(day), _midnight(day + timedelta(days=1))
    except ValueError:
        pass
    wanted = "YYYY-MM-DD hh:mm:ss" if live else "YYYY-MM-DD or YYYY-MM-DD hh:mm:ss"
    raise PiwikProError(400, f"Date has wrong format. Use {wanted}.", name)


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _relative(text: Any, today: date) -> tuple[date, date]:
    yesterday = today - timedelta(days=1)
    monday, first = today - timedelta(days=today.weekday()), today.replace(day=1)
    before = first - timedelta(days=1)
    named = {
        "today": (today, today),
        "yesterday": (yesterday, yesterday),
        "last_week": (monday - timedelta(days=7), monday - timedelta(days=1)),
        "last_month": (before.replace(day=1), before),
        "last_year": (date(today.year - 1, 1, 1), date(today.year - 1, 12, 31)),
    }
    if isinstance(text, str) and text in named:
        return named[text]
    days = _LAST_DAYS.fullmatch(text) if isinstance(text, str) else None
    if days is None or not 1 <= int(days[1]) <= 365:
        raise PiwikProError(400, f'"{text}" is not a valid choice.', "relative_date")
    return today - timedelta(days=int(days[1])), yesterday
