"""The truth of the simulated download site: reproducible, cheap, with what it promises, and stored as it was drawn."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.simulator import WebTruth
from matokit_pipelines.simulator.matomo_web_log import WebLog, web_hits
from tests.contract.matomo_web_asking import END, ZONE, web


def test_the_truth_is_the_same_for_a_seed_and_another_for_another() -> None:
    def made(seed: int) -> WebTruth:
        return WebTruth.generate(days=9, visits_per_day=40, seed=seed, end=END, zone=ZONE)

    assert made(3).hits.equals(made(3).hits)
    assert made(3).visits.equals(made(3).visits)
    assert not made(3).hits.equals(made(4).hits)


@pytest.mark.parametrize(("days", "a_day"), [(6, 10.0), (10, 0.0)])
def test_a_truth_needs_days_and_volume(days: int, a_day: float) -> None:
    with pytest.raises(ValueError, match="at least 7 days"):
        WebTruth.generate(days=days, visits_per_day=a_day, seed=1, end=END)


def test_the_truth_has_its_quiet_night_its_empty_day_and_its_change() -> None:
    truth = web()
    since, until = truth.quiet_night
    inside = truth.visits.filter(pl.col("started").is_between(since, until, closed="left"))
    assert inside.is_empty()
    assert truth.visits.filter(pl.col("day") == truth.empty_day).is_empty()
    assert truth.visits["day"].n_unique() == 30
    news = truth.hits.filter(pl.col("url").str.ends_with("/news/release-3")).join(
        truth.visits.select("visit", "day"), on="visit"
    )
    assert news["day"].min() == truth.changed_on
    by_weekday = truth.visits.group_by(pl.col("day").dt.weekday()).len().sort("day")["len"].to_list()
    assert min(by_weekday[:5]) > max(by_weekday[5:])
    hour = pl.col("started").dt.convert_time_zone(ZONE).dt.hour()
    assert truth.visits.filter(hour < 6).height < truth.visits.height / 15
    days = truth.hits.sort("ts").group_by("visit").agg(pl.col("ts").first(), pl.col("ts").last().alias("end"))
    local = [pl.col(name).dt.convert_time_zone(ZONE).dt.date() for name in ("ts", "end")]
    assert days.filter(local[0] != local[1]).is_empty()


def test_a_truth_of_two_months_costs_less_than_a_second_and_a_half() -> None:
    began = time.process_time()
    truth = WebTruth.generate(days=60, visits_per_day=300, seed=7, end=END, zone=ZONE)
    assert time.process_time() - began < 1.5
    assert 60 * 300 * 0.85 < truth.visits.height < 60 * 300 * 1.15


@given(
    days=st.integers(7, 40),
    a_day=st.sampled_from([0.1, 2.0, 40.0]),
    seed=st.integers(0, 10_000),
    end=st.integers(0, 800 * 86_400).map(lambda seconds: END - timedelta(seconds=seconds)),
    zone=st.sampled_from(["UTC", "Europe/Copenhagen", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]),
    error_pages=st.sampled_from([0, 1, 60]),
)
@settings(max_examples=40, deadline=None)
def test_a_server_stores_every_truth_as_it_was_drawn(
    days: int, a_day: float, seed: int, end: datetime, zone: str, error_pages: int
) -> None:
    truth = WebTruth.generate(days=days, visits_per_day=a_day, seed=seed, end=end, zone=zone, error_pages=error_pages)
    log = WebLog(web_hits(truth), zone)
    log.advance(int(truth.end.timestamp()))
    assert [visit.visitor for visit in log.visits] == truth.visits["visitor"].to_list()
    of = {name: truth.hits.filter(pl.col("kind").is_in(kinds)) for name, kinds in _KINDS.items()}
    assert sum(len(visit.actions) for visit in log.visits) == of["actions"].height
    assert sum(len(visit.conversions) for visit in log.visits) == of["conversions"].height
    assert sum(visit.duration for visit in log.visits) == truth.hits["seconds"].sum()
    local = truth.hits.join(truth.visits.select("visit", "day"), on="visit")
    assert local.filter(pl.col("ts").dt.convert_time_zone(zone).dt.date() != pl.col("day")).is_empty()
    assert local.filter(pl.col("day") == truth.empty_day).is_empty()
    assert truth.hits.filter(pl.col("ts") >= truth.end).is_empty()


_KINDS = {"actions": ["page", "event"], "conversions": ["goal", "order", "cart"]}
