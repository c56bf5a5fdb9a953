"""Filters of a request: groups of conditions on dimensions.

Belongs here: the operators by type, the checks of a filter, and which rows pass. Does not belong here: filters on
metrics (piwik_pro_query).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matokit_pipelines.simulator.piwik_pro_answers import PiwikProError
from matokit_pipelines.simulator.piwik_pro_columns import Column, Kind, Rows
from matokit_pipelines.simulator.piwik_pro_transformations import TO_DIMENSION, transformed

Mask = NDArray[np.bool_]
Check = Callable[[pl.Series], pl.Series]
Find = Callable[[Any, str], Column]

_STRINGS: dict[str, Callable[[pl.Series, Any], pl.Series]] = {
    "eq": lambda values, wanted: values == wanted,
    "neq": lambda values, wanted: values != wanted,
    "starts_with": lambda values, wanted: values.str.starts_with(wanted),
    "ends_with": lambda values, wanted: values.str.ends_with(wanted),
    "matches": lambda values, wanted: values.str.contains(wanted),
    "not_matches": lambda values, wanted: ~values.str.contains(wanted),
}
# Taken out of the raw endpoints in 2020, kept for reports.
_STRINGS_OF_REPORTS = _STRINGS | {
    "contains": lambda values, wanted: values.str.contains(wanted, literal=True),
    "not_contains": lambda values, wanted: ~values.str.contains(wanted, literal=True),
    "icontains": lambda values, wanted: values.str.to_lowercase().str.contains(wanted.lower(), literal=True),
    "not_icontains": lambda values, wanted: ~values.str.to_lowercase().str.contains(wanted.lower(), literal=True),
}
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": lambda values, wanted: values == wanted,
    "neq": lambda values, wanted: values != wanted,
    "gt": lambda values, wanted: values > wanted,
    "gte": lambda values, wanted: values >= wanted,
    "lt": lambda values, wanted: values < wanted,
    "lte": lambda values, wanted: values <= wanted,
}
_ENUMS: dict[str, Callable[[pl.Series, Any], pl.Series]] = {
    "eq": lambda values, wanted: values.cast(pl.String).eq_missing(pl.Series([_text(wanted)], dtype=pl.String)),
    "neq": lambda values, wanted: values.cast(pl.String).ne_missing(pl.Series([_text(wanted)], dtype=pl.String)),
    "empty": lambda values, wanted: values.is_null(),
    "not_empty": lambda values, wanted: values.is_not_null(),
}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def mask(filters: Any, rows: Rows, find: Find, reports: bool) -> Mask:
    """Which rows pass. find(id, parameter) gives a column. Raises PiwikProError (400) for what cannot be."""
    everything = np.ones(len(rows), dtype=np.bool_)
    if filters is None:
        return everything
    return _group(filters, rows, find, reports, "filters")


def _group(group: Any, rows: Rows, find: Find, reports: bool, where: str) -> Mask:
    conditions = group.get("conditions") if isinstance(group, Mapping) else None
    if not isinstance(group, Mapping) or not isinstance(conditions, list):
        raise PiwikProError(400, "A filter needs an operator and a list of conditions.", where)
    if group.get("operator") not in ("and", "or"):
        raise PiwikProError(400, f'"{group.get("operator")}" is not a valid choice.', f"{where}.operator")
    masks = []
    for number, condition in enumerate(conditions):
        place = f"{where}.conditions.{number}"
        nested = isinstance(condition, Mapping) and "conditions" in condition
        masks.append((_group if nested else _condition)(condition, rows, find, reports, place))
    if not masks:
        return np.ones(len(rows), dtype=np.bool_)
    passed: Mask = (np.logical_and if group["operator"] == "and" else np.logical_or).reduce(masks)
    return passed


def _condition(condition: Any, rows: Rows, find: Find, reports: bool, where: str) -> Mask:
    if not isinstance(condition, Mapping) or not isinstance(condition.get("condition"), Mapping):
        raise PiwikProError(400, "A condition needs a column_id and a condition.", where)
    column = find(condition.get("column_id"), f"{where}.column_id")
    change = condition.get("transformation_id")
    kind: Kind = column.kind
    if change is not None:
        if change not in TO_DIMENSION or kind not in TO_DIMENSION[change][0]:
            raise PiwikProError(400, f'Transformation "{change}" is not available.', f"{where}.transformation_id")
        kind = TO_DIMENSION[change][1]
    inner = condition["condition"]
    check = _check(kind, inner.get("operator"), inner.get("value"), reports, f"{where}.condition")
    return transformed(column.values(rows), change).test(check)


def _check(kind: Kind, operator: Any, value: Any, reports: bool, where: str) -> Check:
    if kind in ("int", "float"):
        known: Mapping[str, Callable[[Any, Any], Any]] = COMPARISONS
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    elif kind == "enum":
        known, fits = _ENUMS, value is None or isinstance(value, int | str)
    elif kind in ("datetime", "date"):
        known, fits = COMPARISONS, isinstance(value, str)
    else:
        known, fits = _STRINGS_OF_REPORTS if reports else _STRINGS, isinstance(value, str)
    if operator not in known:
        raise PiwikProError(400, f'Operator "{operator}" is not available for this column.', f"{where}.operator")
    if not fits:
        raise PiwikProError(400, "The value does not fit the type of the column.", f"{where}.value")
    if operator in ("matches", "not_matches"):
        _compiles(value, where)
    passes = known[operator]
    if kind == "id":
        return lambda values: passes(values.cast(pl.String), value)
    return lambda values: passes(values, value)


def _compiles(pattern: str, where: str) -> None:
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.ComputeError as error:
        raise PiwikProError(400, "The value is not a regular expression.", f"{where}.value") from error
