"""Figures that may lack something: part of a period is never told as the whole of it, nor without saying so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.simulator import Faults, MatomoSimulator, generate
from matokit_pipelines.simulator.matomo_web import WebTruth
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.web.doubts import is_old
from matokit_pipelines.warehouse.refresh import Home, build_and_publish, extract
from tests.web_kits import asked, figures, kit_of, settings_at

pytestmark = pytest.mark.slow

END = datetime(2026, 11, 22, 11, tzinfo=UTC)
READ_AT = datetime(2026, 11, 18, 9, 30, tzinfo=UTC)  # in the middle of a day, of a week and of a month
ZONE = "Europe/Copenhagen"
WEB = WebTruth.generate(days=40, visits_per_day=60, seed=3, end=END, zone=ZONE)
VISITS: dict[date, int] = dict(WEB.visits.group_by("day").agg(pl.len()).iter_rows())


@dataclass
class Scene:
    """A simulated Matomo and what ends it, the moment, and the kit of a home that reads no more."""

    simulator: MatomoSimulator
    down: Callable[[], None]
    clock: FixedClock
    home: Home
    kit: Kit


@contextmanager
def scene_of(folder: Path, read_at: datetime, faults: Faults | None = None, settings: str = "") -> Iterator[Scene]:
    clock = FixedClock(read_at)
    events = generate(days=3, events_per_day=10, seed=1, end=END)
    with ExitStack() as matomo:
        simulator = matomo.enter_context(MatomoSimulator(events, now=clock.now, web=WEB, faults=faults or Faults()))
        loaded = settings_at(folder, simulator.url, site="2", token=simulator.token, zone=ZONE, first="2026-10-20")
        toml = folder / "matokit.toml"
        toml.write_text(
            "[http]\nfirst_wait = 0.0\nlongest_wait = 0.0\n" + settings + toml.read_text(), encoding="utf-8"
        )
        home = Home.of(loaded, clock)
        while extract(home)[0].windows:
            pass
        build_and_publish(home)
        with kit_of(loaded, clock) as kit:
            yield Scene(simulator, matomo.close, clock, home, kit)


def asks(scene: Scene, endpoint: str, **arguments: object) -> bool:
    """Whether an answer needs Matomo."""
    before = scene.simulator.requests.total
    asked(scene.kit, endpoint, **arguments)
    return scene.simulator.requests.total > before


def test_part_of_a_period_is_never_the_whole_of_it(tmp_path: Path) -> None:
    with scene_of(tmp_path, READ_AT) as scene:
        partly = asked(scene.kit, "get-key-numbers", date="2026-11-18")
        assert 0 < partly["nb_visits"] < VISITS[date(2026, 11, 18)]
        assert not asks(scene, "get-key-numbers", period="month", date="2026-11")
        scene.clock.advance(timedelta(days=4))
        build_and_publish(scene.home)
        day = asked(scene.kit, "get-key-numbers", date="2026-11-18")
        assert (day["nb_visits"], "note" in day) == (VISITS[date(2026, 11, 18)], False)
        for period in ("week", "month", "range"):
            span = {"period": period, "date": "2026-11-16,2026-11-19" if period == "range" else "2026-11-18"}
            ours, live = (asked(scene.kit, "get-key-numbers", **span, fresh=fresh) for fresh in (False, True))
            assert figures(ours) == figures(live)
            assert figures(asked(scene.kit, "get-goal-conversions", **span)) == figures(
                asked(scene.kit, "get-goal-conversions", **span, fresh=True)
            )
            assert figures(asked(scene.kit, "get-most-popular-urls", **span)) == figures(
                asked(scene.kit, "get-most-popular-urls", **span, fresh=True)
            )
        compared = asked(scene.kit, "get-key-numbers", date="2026-11-19", compare="previous")
        assert compared["previous"]["nb_visits"] == VISITS[date(2026, 11, 18)]
        assert not asks(scene, "get-key-numbers", date="2026-11-14")


def test_without_matomo_an_old_reading_says_what_it_is(tmp_path: Path) -> None:
    with scene_of(tmp_path, READ_AT) as scene:
        partly = asked(scene.kit, "get-key-numbers", date="2026-11-18")["nb_visits"]
        scene.clock.advance(timedelta(days=4))
        scene.down()
        day = asked(scene.kit, "get-key-numbers", date="2026-11-18")
        assert day["nb_visits"] == partly
        assert day["note"].startswith("Only what Matomo had counted by 2026-11-18T09:")
        compared = asked(scene.kit, "get-key-numbers", date="2026-11-17", compare="previous")
        assert "note" not in compared
        rows = asked(scene.kit, "get-key-numbers-historical", date="2026-11-16,2026-11-18")
        assert ["note" in row for row in rows] == [False, False, True]
        for endpoint in ("get-most-popular-urls", "get-goal-conversions", "get-event-categories"):
            for row in asked(scene.kit, endpoint, date="2026-11-18", compare="previous"):
                assert row["note"].startswith("Only what Matomo had counted by 2026-11-18T09:")
        revenue = asked(scene.kit, "get-ecommerce-revenue", date="2026-11-17,2026-11-18")
        assert revenue["note"].startswith("Only")
        assert ["note" in entry for entry in revenue["series"]] == [False, True]
        assert asked(scene.kit, "get-ecommerce-overview", period="week", date="2026-11-18")["note"].startswith("Only")


@pytest.mark.parametrize(
    ("read", "now", "old"),
    [
        ("18 22:30", "18 22:59", False),
        ("18 19:30", "18 22:45", True),  # three hours without a pass
        ("18 22:30", "18 23:30", True),  # the day is over, and its last half hour was not read
        ("18 23:30", "19 01:30", False),
        ("18 23:30", "19 09:00", True),  # passes after it has settled are missing
    ],
)
def test_when_a_reading_is_old(read: str, now: str, old: bool) -> None:
    over = datetime(2026, 11, 18, 23, tzinfo=UTC)
    at, then = (datetime.strptime(f"2026-11-{one} +0000", "%Y-%m-%d %H:%M %z") for one in (read, now))
    assert is_old(at, over, then, timedelta(hours=1)) is old


def test_a_longer_period_names_the_day_that_may_not_be_archived(tmp_path: Path) -> None:
    read_at = datetime(2026, 11, 20, 12, tzinfo=UTC)
    with scene_of(tmp_path, read_at, Faults(archived_after_seconds=30 * 3_600)) as scene:
        states = scene.kit.snapshots.rows("select period_start from web_periods where state = 'unknown'")
        assert {row["period_start"] for row in states} >= {date(2026, 11, 19)}
        across = {"period": "range", "date": "2026-11-15,2026-11-19"}
        for span in (across, {"period": "week", "date": "2026-11-19"}, {"period": "month", "date": "2026-11"}):
            for fresh in (False, True):
                ours = asked(scene.kit, "get-key-numbers", **span, fresh=fresh)
                assert ours["nb_visits"] > 0
                assert "2026-11-19" in ours["note"], span
                rows = asked(scene.kit, "get-most-popular-urls", **span, fresh=fresh)
                assert rows
                assert all("2026-11-19" in row["note"] for row in rows)
        for row in asked(scene.kit, "get-goal-conversions", **across):
            assert "2026-11-19" in row["note"]
        weeks = asked(scene.kit, "get-key-numbers-historical", period="week", date="last2")
        assert ["note" in row for row in weeks] == [False, True]
        assert "note" not in asked(scene.kit, "get-key-numbers", period="range", date="2026-11-10,2026-11-16")
        scene.clock.advance(timedelta(days=2))
        after = {"period": "range", "date": "2026-11-20,2026-11-21", "compare": "previous"}
        assert "2026-11-19" in asked(scene.kit, "get-key-numbers", **after)["previous"]["note"]
        assert "before: Matomo" in asked(scene.kit, "get-ecommerce-revenue", **after)["note"]
        for endpoint in ("get-most-popular-urls", "get-goal-conversions"):
            for row in asked(scene.kit, endpoint, **after):
                assert row["note"].startswith("Of the span before: Matomo reported no visits for 2026-11-19")


def test_a_comparison_looks_up_the_rows_that_are_shown(tmp_path: Path) -> None:
    """Rows that a period cut away are null in it, and no reason to ask Matomo."""
    with scene_of(tmp_path, READ_AT, settings="[web_reports]\nrows = 20\n") as scene:
        span = {"period": "week", "date": "previous1", "compare": "previous"}
        for endpoint in ("get-most-popular-urls", "get-entry-pages", "get-events"):
            assert not asks(scene, endpoint, **span, limit=5)
            for ours, live in zip(
                asked(scene.kit, endpoint, **span, limit=20),
                asked(scene.kit, endpoint, **span, limit=20, fresh=True),
                strict=True,
            ):
                assert ours["label"] == live["label"]
                if ours["previous"] is None:
                    assert ours["change"] is None
                else:
                    assert (ours["previous"], ours["change"]) == (live["previous"], live["change"])
        rows = asked(scene.kit, "get-most-popular-urls", **span, limit=20)
        assert sum(row["previous"] is not None for row in rows) > 5
        channels = asked(scene.kit, "get-traffic-channels", **span)
        assert all(row["previous"] is not None for row in channels)
