"""Matomo's row of all others among the rows of a live answer, whatever it is called."""

from __future__ import annotations

from typing import Any

import pytest

from matokit_pipelines.toolserver.web.lists import has_others

PAGE = {"label": "/a", "nb_hits": 9, "url": "https://shop.example.org/a"}
KIND = {"label": "Desktop", "nb_visits": 9, "segment": "deviceType==desktop"}
OTHERS = {"label": "Others", "nb_hits": 50}
ANDRE = {"label": "Andre", "nb_hits": 50}


@pytest.mark.parametrize(
    ("rows", "there"),
    [
        ([], False),
        ([PAGE], False),
        ([PAGE, OTHERS], True),
        ([OTHERS], True),
        ([PAGE, ANDRE], True),
        ([KIND, ANDRE], True),
        ([KIND, ANDRE, KIND], False),
        ([ANDRE], False),
        ([ANDRE, ANDRE], False),
        ([PAGE, {**PAGE, "label": "Others"}], False),
        ([KIND, {**KIND, "label": "Others"}], False),
        ([PAGE, {"label": "play - Others", "Events_EventName": "Others"}], True),
    ],
)
def test_it_is_known_by_its_place_and_by_having_nothing_to_drill_down_with(
    rows: list[dict[str, Any]], there: bool
) -> None:
    assert has_others(rows) is there
