"""Every page and every chart of a message as they were: what is said, how it is built, what is drawn.

Compared without times of making, versions and style; charts by pixels. `tests/golden.py` says how they are made anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import vl_convert

from matokit_pipelines.delivery.messages import Message
from tests import golden
from tests.page_homes import ALERTS, PAGES, Site, home_of, open_alerts, usual, with_pages

pytestmark = pytest.mark.slow

REPORTS = ("weekly", "daily", "monthly")
OF_A_TEXT = 12  # pixels that a text takes at the least: a digit at one and a half times the size of a screen


@dataclass
class Drawn:
    """A site, and each chart that was drawn as a PNG while it was made: specification, picture and scale."""

    site: Site
    charts: list[tuple[str, bytes, dict[str, Any]]] = field(default_factory=list)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    home = home_of(tmp_path_factory.mktemp("golden"), usual(days=75, events_per_day=80))
    open_alerts(home, ALERTS, silent="x86*")
    charts: list[tuple[str, bytes, dict[str, Any]]] = []
    draw = vl_convert.vegalite_to_png

    def watched(spec: str, **how: Any) -> bytes:
        png: bytes = draw(spec, **how)
        charts.append((spec, png, how))
        return png

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vl_convert, "vegalite_to_png", watched)
        site = with_pages(home)
    return Drawn(site, charts)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_as_it_was(drawn: Drawn, name: str) -> None:
    golden.assert_page(name, drawn.site.pages[name].read_text(encoding="utf-8"))


@pytest.mark.parametrize("report", REPORTS)
def test_the_charts_of_a_message_are_as_they_were(drawn: Drawn, report: str) -> None:
    file = drawn.site.pages[report].with_suffix(".message.json")
    for image in Message.from_json(file.read_text(encoding="utf-8")).images:
        golden.assert_chart(f"{report}-{Path(image.name).stem}", image.png)


def test_every_chart_holds_the_text_that_it_should(drawn: Drawn) -> None:
    assert len(drawn.charts) >= 4
    for spec, png, how in drawn.charts:
        texts, pixels = golden.letters(spec, png, how["scale"], how["vl_version"])
        assert texts >= 3
        assert pixels >= OF_A_TEXT * texts


def test_a_chart_without_letters_would_be_noticed(drawn: Drawn) -> None:
    spec, png, how = drawn.charts[0]
    svg = vl_convert.vegalite_to_svg(spec, vl_version=how["vl_version"], allowed_base_urls=[])
    silent = vl_convert.svg_to_png(golden.LETTERS.sub("", svg), scale=how["scale"])
    assert golden.letters(spec, silent, how["scale"], how["vl_version"])[1] == 0
    share = golden.differing(golden.picture(png), golden.picture(silent)) / (
        golden.picture(png).width * golden.picture(png).height
    )
    assert share > golden.ALLOWED
