"""Figures and rows of Matomo in the published shape: known fields first and of one type, then all that was sent.

Numbers may arrive as text and labels as numbers; rates are published as "45%". 0 and absent never meet: what is no
number is left out. Not here: sums over periods (aggregating.py), which fields a report has (reports.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Raw = Mapping[str, Any]
Number = int | float
RATES = frozenset({"bounce_rate", "exit_rate", "conversion_rate"})
TEXTS = frozenset({"label", "url", "category", "action", "name"})


def number(value: Any) -> Number | None:
    """The number in a value of Matomo; None when it is none. A whole number comes as int."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdigit():
            return int(text)
        try:
            value = float(text)
        except ValueError:
            return None
    if not isinstance(value, float) or not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def rate(value: Any) -> str | None:
    """A rate as text, "45%": as sent, or from a number, which is a share up to 1 and per cent above."""
    if isinstance(value, str) and value.strip().endswith("%"):
        return value.strip()
    found = number(value)
    if found is None:
        return None
    return f"{round(found * 100 if abs(found) <= 1 else found, 2):g}%"


def share(part: Any, whole: Any, digits: int = 0) -> str | None:
    """part / whole as Matomo writes it, halves up: "37%". None without a whole."""
    quotient = ratio(part, whole, digits + 2)
    return None if quotient is None else f"{rounded(quotient * 100, digits):g}%"


def ratio(part: Any, whole: Any, digits: int | None = None) -> Number | None:
    """part / whole, rounded halves up where digits are given; None when either is unknown or the whole is 0."""
    above, below = number(part), number(whole)
    if above is None or not below:
        return None
    return number(above / below) if digits is None else rounded(above / below, digits)


def rounded(value: float, digits: int) -> Number:
    """Rounded as Matomo does: halves away from zero."""
    scale = 10**digits
    found = math.floor(abs(value) * scale + 0.5 + 1e-9) / scale
    return number(math.copysign(found, value)) or 0


def text(value: Any) -> str | None:
    """A text of Matomo, which may have come as a number."""
    if isinstance(value, bool) or value is None:
        return None
    return value if isinstance(value, str) else str(number(value) if isinstance(value, float) else value)


def key_numbers(raw: Raw, known: Sequence[str]) -> dict[str, Any]:
    """Figures with their known fields first; NaN, empty and false values are left out, pass-through ones too."""
    shaped = shape(raw, known)
    return {key: value for key, value in shaped.items() if not _says_nothing(value)}


def shape(raw: Raw, known: Sequence[str], currency: str | None = None) -> dict[str, Any]:
    """One row or one set of figures. `currency` goes beside every revenue."""
    shaped: dict[str, Any] = {}
    for key in known:
        if key in raw and (value := typed(key, raw[key])) is not None:
            shaped[key] = value
            if key == "revenue" and currency:
                shaped["currency"] = currency
    for key, value in raw.items():
        if key not in shaped and key not in known:
            shaped[key] = value
            if key == "revenue" and currency:
                shaped["currency"] = currency
    return shaped


def typed(key: str, value: Any) -> Any:
    """The value of a known field in its published type; None when it has none. An average of events may be a text."""
    if key in RATES:
        return rate(value)
    if key in TEXTS:
        return text(value)
    found = number(value)
    return value if found is None and key == "avg_event_value" and isinstance(value, str) and value else found


def stamp(moment: datetime | None) -> str | None:
    """A moment as published: 2026-11-22T07:10:00Z."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _says_nothing(value: Any) -> bool:
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and value.strip().lower() in ("", "nan"))
