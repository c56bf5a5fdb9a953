"""How a value reads on a page: counts, percentages, points, days and instants in a zone.

Text in, text out; no markup. Not here: which value is shown where.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

NOTHING = "—"
NARROW_SPACE = "\u202f"  # does not break a line
SPACE = "\u00a0"
MINUS = "\u2212"
# Named here because strftime follows the locale of the machine, and the same input must give the same bytes.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def count(value: int) -> str:
    """12345 as `12 345` with narrow spaces."""
    return f"{value:,}".replace(",", NARROW_SPACE).replace("-", MINUS)


def change(value: int) -> str:
    """A difference of counts with its sign: `+20`, `−3`, `±0`."""
    return f"{_sign(value)}{count(abs(value))}"


def percent(value: float) -> str:
    """A share with one decimal. Never rounds to a plain 0 or 100 % what is neither."""
    shown = f"{100 * value:.1f}"
    if value < 1 and shown == "100.0":
        return f">{SPACE}99.9{SPACE}%"
    if value > 0 and shown == "0.0":
        return f"<{SPACE}0.1{SPACE}%"
    return f"{shown}{SPACE}%"


def percent_change(value: float) -> str:
    """A relative change of a count with its sign, whole percent: `+3 %`."""
    whole = int(f"{100 * value:.0f}")
    return f"{_sign(whole)}{count(abs(whole))}{SPACE}%"


def points(value: float) -> str:
    """A difference of shares in percentage points: `−12.1 points`."""
    shown = f"{100 * abs(value):.1f}"
    return f"{_sign(value if float(shown) else 0)}{shown}{SPACE}points"


def day(value: date) -> str:
    """`9 Nov`."""
    return f"{value.day}{SPACE}{_MONTHS[value.month - 1]}"


def day_of_year(value: date) -> str:
    """`9 Nov 2026`."""
    return f"{day(value)}{SPACE}{value.year}"


def month(value: date) -> str:
    """`Nov 2026`."""
    return f"{_MONTHS[value.month - 1]}{SPACE}{value.year}"


def weekday(value: date) -> str:
    """`Mon 9 Nov`."""
    return f"{_DAYS[value.weekday()]}{SPACE}{day(value)}"


def weekday_of_year(value: date) -> str:
    """`Mon 9 Nov 2026`."""
    return f"{weekday(value)}{SPACE}{value.year}"


def instant(value: datetime, zone: ZoneInfo) -> str:
    """`Mon 9 Nov 14:05` in `zone`."""
    local = value.astimezone(zone)
    return f"{weekday(local.date())}{SPACE}{local:%H:%M}"


def instant_of_year(value: datetime, zone: ZoneInfo) -> str:
    """`Mon 9 Nov 2026 14:05` in `zone`."""
    local = value.astimezone(zone)
    return f"{weekday(local.date())}{SPACE}{local.year}{SPACE}{local:%H:%M}"


def clock(value: datetime, zone: ZoneInfo) -> str:
    """`14:05` in `zone`, where the day is said already."""
    return f"{value.astimezone(zone):%H:%M}"


def plain(value: str) -> str:
    """Text that came from outside on one line: control and direction characters become a visible mark."""
    return "".join("\ufffd" if unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") else letter for letter in value)


def in_words(value: object, form: str, zone: ZoneInfo) -> str:
    """`value`, as it stands in a report's JSON, in the named form; a dash for None.

    Days and instants are ISO text there. KeyError for a form that does not exist.
    """
    write = _forms(zone)[form]
    return NOTHING if value is None else write(value)


def _forms(zone: ZoneInfo) -> Mapping[str, Callable[..., str]]:
    return {
        "count": count,
        "change": change,
        "percent": percent,
        "percent_change": percent_change,
        "points": points,
        "percentage_points": lambda value: points(value / 100),
        "text": lambda value: plain(str(value)),
        "day": lambda value: day(date.fromisoformat(value)),
        "day_of_year": lambda value: day_of_year(date.fromisoformat(value)),
        "month": lambda value: month(date.fromisoformat(value)),
        "weekday": lambda value: weekday(date.fromisoformat(value)),
        "weekday_of_year": lambda value: weekday_of_year(date.fromisoformat(value)),
        "clock": lambda value: clock(datetime.fromisoformat(value), zone),
        "instant": lambda value: instant(datetime.fromisoformat(value), zone),
        "instant_of_year": lambda value: instant_of_year(datetime.fromisoformat(value), zone),
    }


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows of cells as lines of text: the first `left` columns to the left, the others to the right."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _sign(value: float) -> str:
    return "+" if value > 0 else MINUS if value < 0 else "±"
