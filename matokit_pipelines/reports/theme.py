"""How every chart of matokit looks, and drawing it as SVG or PNG: no script, nothing fetched, the same bytes each time.

Colours, fonts and axes are here and nowhere else. Not here: what a chart shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt
import vl_convert

BLUE = "#1f5fa8"
ORANGE = "#b4561a"
INK = "#1d2530"
GREY = "#68727f"
PALE = "#b9c1cb"
LINES = "#e6e9ed"
# The drawing program carries Liberation Sans; the others have its widths or stand in where it is missing.
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
VEGA_LITE = "6.4"


@dataclass(frozen=True)
class Size:
    """How large a chart is drawn, in CSS pixels, and how small its text may be."""

    name: str
    width: int
    text: int
    is_wide: bool


WIDE = Size("wide", 860, 13, True)
NARROW = Size("narrow", 316, 12, False)
MAIL = Size("mail", 592, 13, True)


@dataclass(frozen=True)
class Drawn:
    """One chart as two SVG texts."""

    wide: str
    narrow: str


def spec(chart: Any, text: int) -> dict[str, Any]:
    """An Altair chart in the look of the house as a Vega-Lite document; `text`: size of its letters in CSS pixels.

    Not held against the schema of Vega-Lite, which takes as long as drawing: a test does that for every chart.
    """
    styled = chart.configure(  # at once: each further call would copy the chart with all its rows
        font=FONT,
        background="white",
        padding=4,
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(labelFontSize=text, labelColor=GREY, gridColor=LINES, domainColor=PALE, labelLimit=0),
        text=alt.MarkConfig(fontSize=text),
    )
    found: dict[str, Any] = styled.to_dict(validate=False)
    return found


def svg(chart: Any, name: str, size: Size) -> str:
    """The chart drawn as SVG text, with ids that no other drawing of a page has."""
    drawn = svg_of(spec(chart, size.text), f"{name}-{size.name}")
    # The page says in words what the chart shows; the names that the drawing program gives its parts tell nothing.
    return drawn.replace("<svg ", '<svg aria-hidden="true" ', 1)


def svg_of(document: Mapping[str, Any], name: str) -> str:
    """A Vega-Lite document drawn as SVG text; its ids begin with `name`."""
    drawn: str = vl_convert.vegalite_to_svg(json.dumps(document), vl_version=VEGA_LITE, allowed_base_urls=[])
    # The drawing program counts its ids on from chart to chart; ours depend on the chart alone.
    for place, old in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]*)"', drawn))):
        for before, after in (('id="', '"'), ("url(#", ")"), ('href="#', '"')):
            drawn = drawn.replace(f"{before}{old}{after}", f"{before}{name}-{place}{after}")
    return drawn


def png(chart: Any, size: Size, scale: float = 1.5) -> bytes:
    """The chart drawn as a picture for mails and Slack, on white, `scale` times as many pixels as it is shown in."""
    drawn: bytes = vl_convert.vegalite_to_png(
        json.dumps(spec(chart, size.text)), vl_version=VEGA_LITE, scale=scale, allowed_base_urls=[]
    )
    return drawn
