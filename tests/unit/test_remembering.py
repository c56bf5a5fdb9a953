"""What probes found is kept for its time, and for no longer because the clock was put back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.toolserver.remembering import Remembered


@pytest.mark.parametrize("back", [timedelta(minutes=5), timedelta(days=1)], ids=str)
def test_what_was_found_is_kept_for_its_time_whatever_the_clock_does(back: timedelta) -> None:
    clock, looks = FixedClock(datetime(2026, 11, 22, 12, tzinfo=UTC)), iter(range(9))
    kept = Remembered(clock)

    def found() -> int:
        return kept.found("probe", lambda: next(looks), lambda value: 60.0)

    assert (found(), found()) == (0, 0)
    clock.advance(-back)
    assert (found(), found()) == (1, 1)
    clock.advance(timedelta(seconds=60))
    assert found() == 2
