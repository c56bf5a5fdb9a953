"""Events of one category, action and name: counted in the events themselves, where these are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.simulator import MatomoSimulator, generate
from matokit_pipelines.simulator.matomo_web import WebTruth
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.warehouse.refresh import Home, build_and_publish, extract
from tests.web_kits import asked, figures, kit_of, settings_at

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ZONE = "Europe/Copenhagen"
WEB = WebTruth.generate(days=12, visits_per_day=60, seed=5, end=NOW, zone=ZONE)
EVENTS = WEB.hits.filter(pl.col("kind") == "event").with_columns(
    pl.col("ts").dt.convert_time_zone(ZONE).dt.date().alias("day")
)
COMMON = EVENTS.group_by("category", "action", "name").len().sort("len", "name", descending=True).row(0, named=True)
THREE = {key: COMMON[key] for key in ("category", "action", "name")}


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    others = generate(days=3, events_per_day=10, seed=1, end=NOW)
    with MatomoSimulator(others, now=lambda: NOW, web=WEB) as simulator:
        loaded = settings_at(
            tmp_path_factory.mktemp("home"), simulator.url, site="2", token=simulator.token, zone=ZONE,
            provides="installer_events,web_reports", first="2026-11-08",
        )  # fmt: skip
        home = Home.of(loaded, FixedClock(NOW))
        while any(one.windows for one in extract(home) if one.what == "web reports"):
            pass
        build_and_publish(home)
        with kit_of(loaded, NOW) as made:
            yield made


def sent(first: int, last: int) -> pl.DataFrame:
    """The true events of the three names between so many days before today."""
    today = NOW.date()
    chosen = EVENTS.filter(pl.col("day").is_between(today - timedelta(days=first), today - timedelta(days=last)))
    return chosen.filter(*(pl.col(key) == value for key, value in THREE.items()))


def test_all_three_are_counted_in_the_events(kit: Kit) -> None:
    (row,) = asked(kit, "get-events", date="previous5", **THREE)
    assert row["nb_events"] == sent(5, 1).height > 0
    assert {key: row[key] for key in THREE} == THREE
    assert row["label"] == " - ".join(THREE.values())
    shouted = {key: value.upper() for key, value in THREE.items()}
    assert figures(asked(kit, "get-events", date="previous5", **shouted)) == figures([row])
    assert asked(kit, "get-events", date="previous5", **{**THREE, "name": "never sent"}) == []


def test_beside_the_days_before(kit: Kit) -> None:
    (row,) = asked(kit, "get-events", date="yesterday", compare="previous", **THREE)
    assert row["previous"]["nb_events"] == sent(2, 2).height
    assert row["change"]["nb_events"] == sent(1, 1).height - sent(2, 2).height


def test_two_of_them_hold_at_least_as_many(kit: Kit) -> None:
    (all_three,) = asked(kit, "get-events", date="yesterday", **THREE)
    two: dict[str, Any] = {key: value for key, value in THREE.items() if key != "action"}
    (pair,) = asked(kit, "get-events", date="yesterday", **two)
    assert pair["nb_events"] >= all_three["nb_events"]


@pytest.mark.parametrize("more", [{"date": "2026-06-01"}, {"segment": "deviceType==desktop"}])
def test_what_is_not_read_is_refused(kit: Kit, more: dict[str, str]) -> None:
    with pytest.raises(Problem) as refusal:
        asked(kit, "get-events", **THREE, **more)
    assert refusal.value.status == 400
    assert "two of them" in refusal.value.guidance


def test_a_source_without_events_is_refused(kit: Kit) -> None:
    settings = kit.loaded.settings
    source = settings.sources[0].model_copy(update={"provides": ("web_reports",)})
    loaded = replace(kit.loaded, settings=settings.model_copy(update={"sources": (source,)}))
    with pytest.raises(Problem, match="not read here"):
        asked(replace(kit, loaded=loaded), "get-events", date="yesterday", **THREE)


def test_a_home_of_events_alone_needs_no_matomo_to_answer(tmp_path: Path) -> None:
    others = generate(days=3, events_per_day=10, seed=1, end=NOW)
    with MatomoSimulator(others, now=lambda: NOW, web=WEB) as simulator:
        loaded = settings_at(
            tmp_path, simulator.url, site="2", token=simulator.token, zone=ZONE, provides="installer_events",
            first="2026-11-14",
        )  # fmt: skip
        home = Home.of(loaded, FixedClock(NOW))
        extract(home)
        build_and_publish(home)
    with kit_of(loaded, NOW) as kit:
        (row,) = asked(kit, "get-events", date="yesterday", **THREE)
    assert row["nb_events"] == sent(1, 1).height > 0
