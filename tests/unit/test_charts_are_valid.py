"""Every chart of every page, held against the schema of Vega-Lite, which writing a page does not do for its time.

Not here: what a chart shows (the tests of each page), how it looks (test_golden_pages.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import pytest
from altair.utils.schemapi import SchemaValidationError, debug_mode

from matokit_pipelines.reports import theme
from matokit_pipelines.reports.dashboards.specs import drawings
from tests.page_homes import home_of, usual, with_pages

ORIGINAL: Any = alt.TopLevelMixin.to_dict


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Charts hold themselves against the schema when they become documents; those that did."""
    found: list[dict[str, Any]] = []

    def strictly(chart: Any, **how: Any) -> Any:
        if not (how.get("context") or {}).get("top_level", True):  # a part of a chart is no document by itself
            return ORIGINAL(chart, **how)
        document = ORIGINAL(chart, **{**how, "validate": True})
        found.append(document)
        return document

    monkeypatch.setattr(alt.TopLevelMixin, "to_dict", strictly)
    return found


def test_every_chart_of_every_page_is_valid(held: list[dict[str, Any]], tmp_path: Path) -> None:
    drawings.cache_clear()  # those of the dashboards are made once a process
    with_pages(home_of(tmp_path, usual(40, 25)))
    assert len(drawings()) > 5
    assert len(held) > len(drawings()) + 5
    assert all("$schema" in document for document in held)


def test_one_that_is_not_is_found(held: list[dict[str, Any]]) -> None:
    with debug_mode(False):  # as if Altair had not noticed when it was made
        chart = alt.Chart(alt.NamedData("rows")).mark_bar(cornerRadiusEnd="much")
        with pytest.raises(SchemaValidationError):
            theme.spec(chart, 12)
    assert not held
