"""Colours of lines, error types and cells, axes and legends of the dashboards' charts, on top of the house theme.

Not here: which chart shows what (specs.py, charts_days.py).
"""

from __future__ import annotations

from typing import Any

import altair as alt

from matokit_pipelines.reports.comparison import LOW_RATE, SMALL_NUMBER
from matokit_pipelines.reports.theme import BLUE, GREY, ORANGE, PALE

# Told apart by those who see few colours; the first is the house's blue, none is its orange-brown, which is failure.
LINES = [BLUE, "#2b9d93", "#7d57b0", "#b08a14", "#7fb2e5", "#5b6b2f", "#c778a8", "#4c5866", PALE]
DASHES = [[1, 0], [1, 0], [1, 0], [1, 0], [6, 3], [6, 3], [6, 3], [6, 3], [2, 2]]
ERRORS = [ORANGE, "#e3a878", "#7a3509", "#c9b8a8", "#f0cfb2", "#93715a", PALE]
# Steps and not a slope, so that the text in a cell has a contrast that is known; white on the three darkest.
CELL_BOUNDS = [0.6, 0.75, 0.85, 0.9, 0.95, 0.98]
CELL_COLOURS = ["#6e2c07", "#913f0f", "#b4561a", "#e2ad80", "#f1d2b6", "#f9e8da", "#fdf5ee"]
AXIS_RATE: dict[str, Any] = {
    "labelExpr": "format(100 * datum.value, '.0f') + '\u00a0%'",
    "tickCount": 4,
    "domain": False,
    "ticks": False,
}


AXIS_TITLE: dict[str, Any] = {"titleColor": GREY, "titleFontWeight": "normal", "titleFontSize": 12, "titlePadding": 10}


def count_axis(**options: Any) -> Any:
    """An axis of counts, written as everywhere on the pages."""
    words = "replace(format(datum.value, ',.0f'), /,/g, '\u202f')"
    return alt.Axis(labelExpr=words, domain=False, ticks=False, tickCount=4, tickMinStep=1, **options)


def few_or(few: Any, enough: Any) -> Any:
    """One look for marks of fewer than ten events, another for the others."""
    return alt.condition(f"datum.events < {SMALL_NUMBER}", alt.value(few), alt.value(enough))


def threshold(base: Any, shares: Any, axis: Any) -> list[Any]:
    """The thin line at 75 % with its label, once for each panel."""
    y = alt.Y("low:Q", scale=shares, axis=axis)
    once = base.transform_aggregate(rows="count()").transform_calculate(low=str(LOW_RATE)).encode(y=y)
    words = once.mark_text(align="left", baseline="top", dx=3, dy=3, color=ORANGE, fontSize=11)
    return [
        once.mark_rule(color=ORANGE, strokeWidth=1),
        words.encode(x=alt.value(0), text=alt.value("75\u00a0%")),
    ]


def legend(width: int, *, is_line: bool = True) -> Any:
    """A legend on top, in as many columns of `width` pixels as there is room for."""
    return alt.Legend(
        title=None,
        orient="top",
        direction="horizontal",
        columns=alt.ExprRef(f"max(1, floor((room - 20) / {width}))"),
        labelLimit=alt.ExprRef(f"room < 480 ? 230 : {width - 30}"),
        labelFontSize=12,
        symbolType="stroke" if is_line else "square",
        symbolStrokeWidth=3 if is_line else 0,
        offset=10,
    )


def days_axis() -> Any:
    """Days below a chart, each under the middle of it."""
    return alt.Axis(
        labelExpr="datum.value < days[0] || datum.value > days[1] ? '' : utcFormat(datum.value, '%-d %b')",
        tickCount=alt.ExprRef("max(3, floor(room / 90))"),
        grid=False,
        ticks=False,
        labelPadding=8,
        labelFlush=True,
        labelOverlap=True,
        title=None,
    )
