"""How GetAlerts counts alerts in words."""

from __future__ import annotations

import pytest

from matokit_pipelines.toolserver.installer.alerts import _alerts


@pytest.mark.parametrize(
    ("number", "is_cut", "words"),
    [
        (0, False, "No alert"),
        (0, True, "No alert that fits"),
        (1, False, "1 alert"),
        (1, True, "1 alert that fits"),
        (19, False, "19 alerts"),
        (19, True, "19 alerts that fit"),
    ],
)
def test_verb_and_number_agree(number: int, is_cut: bool, words: str) -> None:
    assert _alerts(number, is_cut) == words
