"""One truth split between services, and the simulated Piwik PRO at size."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.simulator import generate
from tests.contract.piwik_pro_asking import (
    END,
    Asking,
    free,
    truth,
)


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 1))
def test_a_split_gives_each_machine_to_one_side(share: float) -> None:
    first, second = truth().split(share)
    assert first.events.height + second.events.height == truth().events.height
    machines = [set(part.events["machine"].to_list()) for part in (first, second)]
    assert not machines[0] & machines[1]
    every = len(machines[0] | machines[1])
    assert len(machines[0]) / every == pytest.approx(share, abs=0.2)
    assert (first.incidents, first.start, second.end, second.zone) == (
        truth().incidents,
        truth().start,
        truth().end,
        truth().zone,
    )
    again, _ = generate(days=10, events_per_day=120, seed=3, end=END).split(share)
    assert again.events.equals(first.events)


def test_rows_without_a_machine_stay_with_their_visitor() -> None:
    events = truth().events.with_columns(machine=pl.lit(None, dtype=pl.Int64))
    first, second = (part.events for part in replace(truth(), events=events).split(0.6))
    assert first.height
    assert second.height
    assert not set(first["visitor_id"].to_list()) & set(second["visitor_id"].to_list())
    with pytest.raises(ValueError, match="share"):
        truth().split(1.1)


@pytest.mark.slow
def test_a_large_site_answers_with_its_largest_page() -> None:
    big = generate(days=50, events_per_day=8_000, seed=1, end=END, incidents=False)
    with Asking(big, assumed=free()) as ask:
        answer = ask.post("events", date_from="2026-10-01", date_to="2026-11-22", limit=100_000)
        assert answer.json()["meta"]["count"] > 350_000
        assert len(answer.json()["data"]) == 100_000
        day = ask.post("events", date_from="2026-11-18", date_to="2026-11-18", limit=100_000)
        assert len(day.json()["data"]) == day.json()["meta"]["count"]
