"""A Matomo that does not answer: one question waits for it, the others are answered from the tables at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.settings import load
from matokit_pipelines.toolserver.health.checks import matomo_api
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.metrics import Metrics
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.warehouse.refresh import Home, build_and_publish, extract
from tests.replay import TOKEN, Replay
from tests.web_kits import asked, figures, kit_of, settings_at
from tests.web_replay import web_replay

READ_AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
OLD = {"date": "2026-11-20"}  # read before it was over, and not again
LIVE_ONLY = {"date": "2026-11-12", "segment": "deviceType==desktop"}
KEY_NUMBERS = "get-key-numbers"


class RunningClock:
    """Runs as time does, from a moment of the past, and can be put on or back."""

    def __init__(self, at: datetime) -> None:
        self._at, self._began = at, time.monotonic()

    def now(self) -> datetime:
        return self._at + timedelta(seconds=time.monotonic() - self._began)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def advance(self, by: timedelta) -> None:
        self._at += by


@dataclass
class Shop:
    """A shop whose tables are two days old, and its Matomo, which hangs unless `speaks` is set."""

    kit: Kit
    clock: RunningClock
    server: Replay
    speaks: threading.Event = field(default_factory=threading.Event)

    def heard(self) -> int:
        return len([method for method in self.server.methods() if method != "API.getMatomoVersion"])


@contextmanager
def shop_in(folder: Path) -> Iterator[Shop]:
    server, clock = web_replay(), RunningClock(READ_AT + timedelta(days=2))
    with server.serving():
        loaded = settings_at(folder, server.url, site="2", first="2026-11-09")
        home = Home.of(loaded, FixedClock(READ_AT))
        assert extract(home)[0].error is None
        build_and_publish(home)
        environ = {"MATOKIT_SHOP_TOKEN": TOKEN, "MATOKIT_HOME": str(folder)}
        quick = load(environ={**environ, "MATOKIT_TOOLSERVER_CALL_SECONDS": "0.5"}, cwd=folder)
        with kit_of(quick, clock) as kit:
            shop = Shop(kit, clock, server)
            answers = server.instead

            def instead(method: str, params: dict[str, str]) -> Any:
                if method == "API.getMatomoVersion":
                    return 200, "application/json", b'{"value": "5.2.0"}'
                shop.speaks.wait(20)
                return answers(method, params)

            server.instead = instead
            server.asked.clear()
            try:
                yield shop
            finally:
                shop.speaks.set()


def test_of_ten_questions_one_waits(tmp_path: Path) -> None:
    with shop_in(tmp_path) as shop:
        answers = [asked(shop.kit, KEY_NUMBERS, **OLD) for _ in range(10)]
        assert shop.heard() == 1
        assert "Only what Matomo had counted by 2026-11-20" in answers[0]["note"]
        assert all(one == answers[0] for one in answers), "the same note, at once"


def test_what_only_matomo_can_answer_fails_at_once_as_it_did(tmp_path: Path) -> None:
    with shop_in(tmp_path) as shop:
        problems = []
        for _ in range(5):
            with pytest.raises(Problem) as caught:
                asked(shop.kit, KEY_NUMBERS, **LIVE_ONLY)
            problems.append(caught.value)
        assert shop.heard() == 1
        first, *others = problems
        assert (first.category, first.status) == ("network", 504)
        assert first.retry_after == pytest.approx(60, abs=2)
        for one in others:
            assert (one.category, one.status, one.message) == (first.category, first.status, first.message)
            assert one.guidance == first.guidance
            assert one.retry_after
            assert one.retry_after <= 60


def test_after_a_minute_one_question_tries_and_the_others_do_not_wait(tmp_path: Path) -> None:
    with shop_in(tmp_path) as shop, ThreadPoolExecutor(6) as pool:
        asked(shop.kit, KEY_NUMBERS, **OLD)
        shop.clock.advance(timedelta(seconds=61))
        noted = list(pool.map(lambda _: asked(shop.kit, KEY_NUMBERS, **OLD), range(6)))
        assert shop.heard() == 2
        assert all("Only what" in one["note"] for one in noted)
        asked(shop.kit, KEY_NUMBERS, **OLD)
        assert shop.heard() == 2, "the minute began anew"


def test_a_matomo_that_answers_again_is_asked_again(tmp_path: Path) -> None:
    with shop_in(tmp_path) as shop:
        asked(shop.kit, KEY_NUMBERS, **OLD)
        shop.speaks.set()
        assert "Only what" in asked(shop.kit, KEY_NUMBERS, **OLD)["note"]
        shop.clock.advance(timedelta(seconds=61))
        before = shop.heard()
        fresh = [figures(asked(shop.kit, KEY_NUMBERS, **OLD)) for _ in range(2)]
        assert "note" not in fresh[0]
        assert fresh[0] == fresh[1]
        assert shop.heard() >= before + 2


def test_it_is_told_in_health_and_metrics(tmp_path: Path) -> None:
    with shop_in(tmp_path) as shop:
        site = shop.kit.sites.find(2)
        metrics = Metrics(shop.clock)
        metrics.watch(shop.kit)
        asked(shop.kit, KEY_NUMBERS, **OLD)
        shop.speaks.set()
        check = matomo_api(shop.kit, site, 0)
        assert check.status == "warn"
        assert "tools answer without it" in check.output
        line = next(one for one in metrics.render().decode().splitlines() if one.startswith("matokit_upstream_left"))
        assert 50 < float(line.split()[-1]) <= 60
        shop.clock.advance(timedelta(seconds=61))
        assert matomo_api(shop.kit, site, 0).status == "pass"
