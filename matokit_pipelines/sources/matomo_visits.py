"""Visits of Matomo's log into rows: exact UTC out of the site's wall clock, values as sent, nothing dropped unseen.

Pure: what the server answered in, rows and quarantined pieces out. Not here: asking (matomo.py), storing
(warehouse/landing.py), meaning (sql/).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from matokit_pipelines.sources.quarantine import PAYLOAD_LENGTH, Quarantined
from matokit_pipelines.windows import instants_of_wall_clock

# What a dimension may carry, and the column of a row it goes to.
DIMENSION_COLUMNS = {
    "os": "os_raw",
    "architecture": "architecture_raw",
    "commit": "commit_raw",
    "duration": "duration_raw",
    "error_type": "error_type_raw",
    "exit_code": "exit_code_raw",
    "run_id": "run_id_raw",
    "event_id": "sender_event_id_raw",
    "contract": "contract_raw",
}
WALL_BLOCK = 900  # zones change their offset at quarters of an hour only
_PAYLOAD_KEYS = ("type", "pageId", "timestamp", "eventCategory", "eventAction", "eventName", "eventValue")

Visit = Mapping[str, Any]


@dataclass(frozen=True)
class TruncatedVisit:
    """A visit of which the server gives only the first actions. `last_action` in UTC."""

    visit_id: int
    last_action: datetime
    missing: int


@dataclass
class Reading:
    """What a number of visits gave. `rows`: one dict an event, keyed like the columns of raw.matomo_events."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    truncated: list[TruncatedVisit] = field(default_factory=list)

    @property
    def received(self) -> int:
        """Event rows the source gave, readable or not."""
        return len(self.rows) + len(self.quarantined)


def read_visits(visits: Iterable[Any], zone: ZoneInfo, dimensions: Mapping[str, int], into: Reading) -> None:
    """Append what `visits` hold to `into`. `dimensions`: meaning -> Matomo's id of the custom dimension."""
    slots = [(DIMENSION_COLUMNS[meaning], f"dimension{number}") for meaning, number in dimensions.items()]
    for visit in visits:
        if not isinstance(visit, dict) or not isinstance(visit.get("actionDetails"), list):
            into.quarantined.append(Quarantined("not a visit with actions", _payload(visit)))
            continue
        _read_visit(visit, zone, slots, into)


def _read_visit(visit: Visit, zone: ZoneInfo, slots: Sequence[tuple[str, str]], into: Reading) -> None:
    actions = [a for a in visit["actionDetails"] if isinstance(a, dict)]
    for odd in visit["actionDetails"]:
        if not isinstance(odd, dict):
            into.quarantined.append(Quarantined("not an action", _payload(odd)))
    try:
        visit_id = _whole(visit.get("idVisit"), "visit id")
        first, last = _instant(visit, "firstActionTimestamp"), _instant(visit, "lastActionTimestamp")
        missing = _whole(visit.get("truncatedActionsCount") or 0, "count of missing actions")
    except ValueError as error:
        into.quarantined.extend(Quarantined(str(error), _payload(a)) for a in actions if a.get("type") == "event")
        return
    if missing > 0:
        into.truncated.append(TruncatedVisit(visit_id, last, missing))
    times = action_times([a.get("timestamp") for a in actions], zone, first, last)
    about = {
        "visit_id": visit_id,
        "visitor_id": _text(visit.get("visitorId")),
        "visit_first_ts": first,
        "visit_last_ts": last,
    }
    for action, found in zip(actions, times, strict=True):
        if action.get("type") != "event":
            continue
        try:
            into.rows.append(about | _event(action, found, slots))
        except ValueError as error:
            into.quarantined.append(Quarantined(str(error), _payload(action)))


def _event(action: Visit, found: tuple[datetime, bool] | None, slots: Sequence[tuple[str, str]]) -> dict[str, Any]:
    if found is None:
        raise ValueError("no readable time")
    row: dict[str, Any] = {
        "event_id": str(_whole(action.get("pageId"), "event id")),
        "event_ts": found[0],
        "fold_ambiguous": found[1],
        "category": _text(action.get("eventCategory")),
        "action": _text(action.get("eventAction")),
        "name": _text(action.get("eventName")),
        "value": _number(action.get("eventValue")),
    }
    for column, slot in slots:
        row[column] = _text(action.get(slot))
    return row


def action_times(
    stamps: Sequence[Any], zone: ZoneInfo, first: datetime, last: datetime
) -> list[tuple[datetime, bool] | None]:
    """The instant of each action of a visit, and whether it stays ambiguous; None for an unreadable stamp.

    `stamps` are the site's wall clock written as if it were UTC, in true time order. In the repeated hour of autumn
    two instants are possible; `first` and `last` (the visit's true bounds) and the order of the actions decide, and
    where they leave both open the earlier one is taken. The bounds are a tie-break, not a filter: an event inserted
    late may lie before the visit's first action.
    """
    choices = [_choices(stamp, zone) for stamp in stamps]
    if all(len(choice) < 2 for choice in choices):
        return [(choice[0], False) if choice else None for choice in choices]
    fitting = [[c for c in choice if first <= c <= last] or list(choice) for choice in choices]
    earliest = _walk(fitting)
    latest = _walk(fitting, backwards=True)
    return [
        (early, early != late) if early is not None and late is not None else None
        for early, late in zip(earliest, latest, strict=True)
    ]


def _walk(choices: Sequence[Sequence[datetime]], *, backwards: bool = False) -> list[datetime | None]:
    """One instant for each action so that time never runs the wrong way, as near to the start as possible."""
    found: list[datetime | None] = []
    edge: datetime | None = None
    for choice in reversed(choices) if backwards else choices:
        if not choice:
            found.append(None)
            continue
        near = max(choice) if backwards else min(choice)
        far = min(choice) if backwards else max(choice)
        if edge is None:
            picked = near
        else:
            picked = next((c for c in (near, far) if (c <= edge if backwards else c >= edge)), near)
        edge = picked
        found.append(picked)
    return found[::-1] if backwards else found


def _choices(stamp: Any, zone: ZoneInfo) -> tuple[datetime, ...]:
    try:
        seconds = _whole(stamp, "time")
    except ValueError:
        return ()
    block, rest = divmod(seconds, WALL_BLOCK)
    try:
        return tuple(start + timedelta(seconds=rest) for start in block_starts(block, zone))
    except (OverflowError, ValueError):
        return ()


@lru_cache(maxsize=1 << 16)
def block_starts(block: int, zone: ZoneInfo) -> tuple[datetime, ...]:
    return instants_of_wall_clock(block * WALL_BLOCK, zone)


def _instant(visit: Visit, key: str) -> datetime:
    try:
        return datetime.fromtimestamp(_whole(visit.get(key), key), UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"{key} is out of range") from error


def _whole(value: Any, what: str) -> int:
    """An int that may come as text; numbers and strings meet in the same answer."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{what} is missing or not a whole number")
    try:
        number = int(value)
    except ValueError as error:
        raise ValueError(f"{what} is not a whole number") from error
    if abs(number) >= 1 << 63:
        raise ValueError(f"{what} is out of range")
    return number


def _number(value: Any) -> float | None:
    """The event value: None when not sent (no key), which is not 0."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("value is not a number")
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise ValueError("value is not a number") from error
    return math.copysign(0.0, 1.0) if number == 0 else number


def _text(value: Any) -> str | None:
    """Text as received; None when not sent, which is not "". Half a surrogate pair cannot be stored: replaced."""
    if value is None:
        return None
    text = value if isinstance(value, str) else str(value)
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _payload(piece: Any) -> str:
    kept = (
        {key: piece[key] for key in _PAYLOAD_KEYS if key in piece} if isinstance(piece, dict) else type(piece).__name__
    )
    return json.dumps(kept, default=str, sort_keys=True)[:PAYLOAD_LENGTH]
