"""Transformations of dimensions into dimensions, and of dimensions into metrics.

Belongs here: what each does and to which types. Does not belong here: where a request may use it.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from matokit_pipelines.simulator.piwik_pro_columns import Kind, Values

TIMES: tuple[Kind, ...] = ("datetime", "date")
TEXTS: tuple[Kind, ...] = ("str",)
Change = Callable[[pl.Series], pl.Series]


def _moments(texts: pl.Series) -> pl.Series:
    return texts.str.slice(0, 19).str.to_datetime("%Y-%m-%dT%H:%M:%S")


def _days(texts: pl.Series) -> pl.Series:
    return texts.str.slice(0, 10).str.to_date("%Y-%m-%d")


def _to_start_of(every: str) -> Change:
    return lambda texts: _moments(texts).dt.truncate(every).dt.strftime("%Y-%m-%dT%H:%M:%S")


def _to_start_day_of(every: str) -> Change:
    return lambda texts: _days(texts).dt.truncate(every).dt.strftime("%Y-%m-%d")


# What goes in, what comes out, how.
TO_DIMENSION: dict[str, tuple[tuple[Kind, ...], Kind, Change]] = {
    "to_date": (TIMES, "date", lambda texts: texts.str.slice(0, 10)),
    "to_start_of_minute": (("datetime",), "datetime", _to_start_of("1m")),
    "to_start_of_five_minutes": (("datetime",), "datetime", _to_start_of("5m")),
    "to_start_of_ten_minutes": (("datetime",), "datetime", _to_start_of("10m")),
    "to_start_of_hour": (("datetime",), "datetime", _to_start_of("1h")),
    "to_start_of_week": (TIMES, "date", _to_start_day_of("1w")),
    "to_start_of_month": (TIMES, "date", _to_start_day_of("1mo")),
    "to_start_of_quarter": (TIMES, "date", _to_start_day_of("1q")),
    "to_start_of_year": (TIMES, "date", _to_start_day_of("1y")),
    "to_hour_of_day": (("datetime",), "int", lambda texts: _moments(texts).dt.hour().cast(pl.Int64)),
    "to_day_of_week": (TIMES, "int", lambda texts: _days(texts).dt.weekday().cast(pl.Int64)),
    "to_month_number": (TIMES, "int", lambda texts: _days(texts).dt.month().cast(pl.Int64)),
    "lower": (TEXTS, "str", lambda texts: texts.str.to_lowercase()),
    "to_path": (TEXTS, "str", lambda texts: texts.str.extract(r"^[a-z]+://[^/?#]*([^?#]*)", 1).fill_null("")),
    "to_domain": (TEXTS, "str", lambda texts: texts.str.extract(r"^[a-z]+://([^/?#:]*)", 1).fill_null("")),
    "strip_qs": (TEXTS, "str", lambda texts: texts.str.replace(r"\?[^#]*", "")),
}
NUMBERS: tuple[Kind, ...] = ("int", "float")
TO_METRIC: dict[str, tuple[tuple[Kind, ...], Callable[[pl.Expr], pl.Expr]]] = {
    "unique_count": (("str", "int", "enum", "hex", "date"), lambda value: value.drop_nulls().n_unique()),
    "min": (NUMBERS, lambda value: value.min()),
    "max": (NUMBERS, lambda value: value.max()),
    "average": (NUMBERS, lambda value: value.mean()),
    "median": (NUMBERS, lambda value: value.median()),
    "sum": (NUMBERS, lambda value: value.sum()),
}


def transformed(values: Values, transformation: str | None) -> Values:
    """The column after a transformation into a dimension, or as it is."""
    if transformation is None:
        return values
    _, kind, change = TO_DIMENSION[transformation]
    return values.mapped(change, kind)
