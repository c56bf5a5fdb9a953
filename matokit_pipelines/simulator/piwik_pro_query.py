"""The `query` endpoint: metrics by dimensions.

Belongs here: metrics, grouping, order, filters on metrics, sampling and the cache. Does not belong here: what a
dimension holds (piwik_pro_columns) and which rows are in sight (piwik_pro_raw).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from matokit_pipelines.simulator.hashing import spread
from matokit_pipelines.simulator.piwik_pro_answers import PiwikProError, json_answer
from matokit_pipelines.simulator.piwik_pro_columns import Rows
from matokit_pipelines.simulator.piwik_pro_faults import Assumptions
from matokit_pipelines.simulator.piwik_pro_filters import COMPARISONS, mask
from matokit_pipelines.simulator.piwik_pro_raw import Raw
from matokit_pipelines.simulator.piwik_pro_requests import (
    Page,
    Wanted,
    columns_of,
    dimension_of,
    page_of,
    parameter,
    window_of,
)
from matokit_pipelines.simulator.piwik_pro_store import CUSTOM_EVENT, PAGE_VIEW, Snapshot
from matokit_pipelines.simulator.piwik_pro_transformations import TO_DIMENSION, TO_METRIC, transformed
from matokit_pipelines.simulator.wire import Answer

_SAMPLE = 41
_CUSTOM = pl.col("kind") == CUSTOM_EVENT
METRICS: dict[str, tuple[str, pl.Expr]] = {
    "events": ("Events", pl.len()),
    "custom_events": ("Custom events", _CUSTOM.sum()),
    "unique_custom_events": (
        "Unique custom events",
        pl.struct("first", "category", "action", "name").filter(_CUSTOM).n_unique(),
    ),
    "page_views": ("Page views", (pl.col("kind") == PAGE_VIEW).sum()),
    "sessions": ("Sessions", pl.col("first").n_unique()),
    "visitors": ("Visitors", pl.col("visitor").n_unique()),
}


@dataclass
class Reports:
    """Answers queries from snapshots; safe for threads."""

    raw: Raw
    _kept: dict[str, tuple[int, Answer]] = field(default_factory=dict)

    def answer(self, body: Mapping[str, Any], snapshot: Snapshot, now: int) -> Answer:
        """A result, the same one for the time that results are cached. Raises PiwikProError."""
        key, lasts = json.dumps(body, sort_keys=True), self.raw.assumed.query_cache_s
        with self.raw.turn:
            self._kept = {one: (made, kept) for one, (made, kept) in self._kept.items() if 0 <= now - made < lasts}
            if key in self._kept:
                return self._kept[key][1]
        answer = self._answer(body, snapshot, now)
        with self.raw.turn:
            self._kept[key] = (now, answer)
        return answer

    def _answer(self, body: Mapping[str, Any], snapshot: Snapshot, now: int) -> Answer:
        assumed = self.raw.assumed
        asked = self._columns(body)
        page = page_of(body, ("json", "json-kv"), assumed)
        window = window_of(body, self.raw.site.zone, now, False, assumed)
        sampling = _sampling(body, assumed)
        rows = self.raw.rows("events", snapshot, window, now)
        known = self.raw.columns
        rows = rows.at(
            mask(body.get("filters"), rows, lambda one, where: dimension_of(known, one, where, "query"), reports=True)
        )
        first = snapshot.copies["first"].to_numpy()[rows.copy]
        rows = rows.at(spread(first.astype(np.uint64), _SAMPLE) < sampling)
        dimensions = [number for number, one in enumerate(asked) if not _is_metric(one)]
        conditions = _MetricFilters(body.get("metric_filters"), self._column)
        result = _grouped(rows, [*asked, *conditions.columns], sampling)
        result = result.filter(conditions.expression(len(asked)))
        result = result.sort(**_order(body.get("order_by"), len(asked), dimensions), nulls_last=True)
        return _written(result, asked, page, assumed, rows)

    def _columns(self, body: Mapping[str, Any]) -> list[Wanted]:
        columns = columns_of(body)
        if not columns:
            raise PiwikProError(400, "This list may not be empty.", "columns")
        return [
            self._column(one, lambda name, number=number: parameter(number, name, self.raw.assumed))
            for number, one in enumerate(columns)
        ]

    def _column(self, one: Mapping[str, Any], where: Any) -> Wanted:
        wanted, change = one.get("column_id"), one.get("transformation_id")
        if wanted in METRICS:
            if change is not None:
                raise PiwikProError(400, "A metric cannot be transformed.", where("transformation_id"))
            return Wanted(wanted, None, None)
        column = dimension_of(self.raw.columns, wanted, where("column_id"), "query")
        fits = change is None or (
            (change in TO_DIMENSION and column.kind in TO_DIMENSION[change][0])
            or (change in TO_METRIC and column.kind in TO_METRIC[change][0])
        )
        if not fits:
            raise PiwikProError(400, f'Transformation "{change}" is not available.', where("transformation_id"))
        return Wanted(column.id, change, column)


def _is_metric(one: Wanted) -> bool:
    return one.column is None or one.transformation in TO_METRIC


def _sampling(body: Mapping[str, Any], assumed: Assumptions) -> float:
    options = body.get("options") or {}
    wanted = options.get("sampling", assumed.site_sampling) if isinstance(options, Mapping) else None
    if not isinstance(wanted, int | float) or isinstance(wanted, bool) or not 0.01 <= wanted <= 1:
        raise PiwikProError(400, "Sampling lies between 0.01 and 1.", "options.sampling")
    return float(wanted)


def _grouped(rows: Rows, asked: list[Wanted], sampling: float) -> pl.DataFrame:
    """One row a group, columns c0, c1, ... as asked."""
    snapshot = rows.snapshot
    frame = snapshot.events.select("kind", "visitor", "category", "action", "name")[rows.event]
    columns = [pl.Series("first", snapshot.copies["first"].to_numpy()[rows.copy])]
    by, measures = [], []
    for number, one in enumerate(asked):
        name = f"c{number}"
        if one.column is None:
            # A sample stands for the whole: counts are multiplied.
            measures.append((METRICS[one.id][1] / sampling).round().cast(pl.Int64).alias(name))
        elif one.transformation in TO_METRIC:
            columns.append(one.column.values(rows).series().alias(f"of_{name}"))
            measures.append(TO_METRIC[one.transformation][1](pl.col(f"of_{name}")).alias(name))
        else:
            columns.append(transformed(one.column.values(rows), one.transformation).series().alias(name))
            by.append(name)
    frame = frame.with_columns(columns)
    if not by:
        return frame.select(measures)
    grouped = frame.group_by(by).agg(measures)
    return grouped.select(f"c{number}" for number in range(len(asked)))


def _order(wanted: Any, width: int, dimensions: list[int]) -> dict[str, Any]:
    """Arguments for sorting: as asked, else by the first metric, descending; ties by the dimensions."""
    metrics = [number for number in range(width) if number not in dimensions]
    pairs = wanted if wanted is not None else [[number, "desc"] for number in metrics[:1]]
    known = isinstance(pairs, list) and all(
        isinstance(pair, list) and len(pair) == 2 and pair[0] in range(width) and pair[1] in ("asc", "desc")
        for pair in pairs
    )
    if not known:
        raise PiwikProError(400, "Expected pairs of a column's index and asc or desc.", "order_by")
    ties = [number for number in range(width) if number not in [pair[0] for pair in pairs]]
    return {
        "by": [f"c{number}" for number in [*(pair[0] for pair in pairs), *ties]],
        "descending": [*(pair[1] == "desc" for pair in pairs), *(False for _ in ties)],
    }


class _MetricFilters:
    """Conditions on metrics, whether or not those are among the columns."""

    def __init__(self, group: Any, column: Any) -> None:
        self.columns: list[Wanted] = []
        self._joined = "and"
        self._tests: list[tuple[str, float]] = []
        if group is None:
            return
        if not isinstance(group, Mapping) or not isinstance(group.get("conditions"), list):
            raise PiwikProError(400, "A filter needs an operator and a list of conditions.", "metric_filters")
        self._joined = group.get("operator", "and")
        for number, one in enumerate(group["conditions"]):
            where = f"metric_filters.conditions.{number}"
            found = column(one, lambda name, where=where: f"{where}.{name}")
            inner = one.get("condition") or {}
            value = inner.get("value")
            if not _is_metric(found) or inner.get("operator") not in COMPARISONS or not isinstance(value, int | float):
                raise PiwikProError(400, "A condition on a metric compares it with a number.", where)
            self.columns.append(found)
            self._tests.append((inner["operator"], float(value)))

    def expression(self, first: int) -> pl.Expr:
        """Whether a group passes; the columns of the conditions stand from place `first` on."""
        tests = [COMPARISONS[name](pl.col(f"c{first + n}"), value) for n, (name, value) in enumerate(self._tests)]
        if not tests:
            return pl.lit(True)
        return pl.all_horizontal(tests) if self._joined == "and" else pl.any_horizontal(tests)


def _written(result: pl.DataFrame, asked: list[Wanted], page: Page, assumed: Assumptions, rows: Rows) -> Answer:
    part = result.slice(page.offset, page.limit)
    cells = []
    for number, one in enumerate(asked):
        values = part[f"c{number}"].to_list()
        if one.column is not None and one.column.kind == "enum" and one.transformation is None:
            names = one.column.values(rows).labels
            values = [None if value is None else [value, names[value]] for value in values]
        cells.append(values)
    labels = [one.name if page.by_name else one.label for one in asked]
    data: list[Any] = [list(row) for row in zip(*cells, strict=True)]
    if page.format == "json-kv":
        data = [dict(zip(labels, row, strict=True)) for row in data]
    meta: dict[str, Any] = {"columns": labels} if assumed.query_meta_columns else {}
    return json_answer({"data": data, "meta": meta | {"count": result.height}})
