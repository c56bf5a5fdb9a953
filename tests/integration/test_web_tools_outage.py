"""A Matomo that does not answer: two questions wait for it, the others are answered from the tables at once.

One that answers all but a heavy question goes on being asked.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

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
    """A shop whose tables are two days old, and its Matomo, which hangs unless `speaks` is set.

    `hangs`: the only parameters over which it hangs, as a part of their text.
    """

    kit: Kit
    clock: RunningClock
    server: Replay
    speaks: threading.Event = field(default_factory=threading.Event)
    hangs: str = ""

    def heard(self) -> int:
        return len([method for method in self.server.methods() if method != "API.getMatomoVersion"])


@contextmanager
def shop_in(folder: Path, seconds: float = 0.5) -> Iterator[Shop]:
    server, clock = web_replay(), RunningClock(READ_AT + timedelta(days=2))
    with server.serving():
        loaded = settings_at(folder, server.url, site="2", first="2026-11-09")
        home = Home.of(loaded, FixedClock(READ_AT))
        assert extract(home)[0].error is None
        build_and_publish(home)
        environ = {"MATOKIT_SHOP_TOKEN": TOKEN, "MATOKIT_HOME": str(folder)}
        quick = load(environ={**environ, "MATOKIT_TOOLSERVER_CALL_SECONDS": str(seconds)}, cwd=folder)
        with kit_of(quick, clock) as kit:
            shop = Shop(kit, clock, server)
            answers = server.instead

            def instead(method: str, params: dict[str, str]) -> Any:
                if method == "API.getMatomoVersion":
                    return 200, "application/json", b'{"value": "5.2.0"}'
                if shop.hangs in unquote_plus(str(params)):
                    shop.speaks.wait(20)
                return answers(method, params)

            server.instead = instead
            server.asked.clear()
            try:
                yield shop
            finally:
                shop.speaks.set()


def listed(answer: Any) -> list[Any]:
    return answer if isinstance(answer, list) else [answer]


def test_of_ten_questions_that_are_the_same_one_waits(tmp_path: Path) -> None:
    with shop_in(tmp_path) as shop:
        answers = [asked(shop.kit, KEY_NUMBERS, **OLD) for _ in range(10)]
        assert shop.heard() == 1
        said = re.compile(
            "Only what Matomo had counted by 2026-11-20T10:00:00Z; nothing newer now: Matomo did not answer in time. "
            "It is not asked this again before (2026-11-22T10:01:[0-9]{2}Z)."
        )
        until = [said.fullmatch(one["note"]) for one in answers]
        assert all(until)
        assert len({found[1] for found in until if found}) <= 2, "the same moment, but for the rounding"
        assert all(figures({**one, "note": ""}) == figures({**answers[0], "note": ""}) for one in answers)


def test_of_ten_questions_of_all_kinds_two_wait(tmp_path: Path) -> None:
    kinds = (KEY_NUMBERS, "get-top-referrers", "get-device-types", "get-most-popular-urls", "get-entry-pages")
    with shop_in(tmp_path) as shop:
        for endpoint in kinds:
            assert all("Only what" in one["note"] for one in listed(asked(shop.kit, endpoint, **OLD)))
        for day in range(11, 16):
            with pytest.raises(Problem, match="did not answer in time"):
                asked(shop.kit, KEY_NUMBERS, date=f"2026-11-{day}", segment="deviceType==desktop")
        assert shop.heard() == 2


def test_a_heavy_question_silences_nobody_but_itself(tmp_path: Path) -> None:
    with shop_in(tmp_path) as shop:
        shop.hangs = "desktop"
        for _ in range(3):
            with pytest.raises(Problem) as caught:
                asked(shop.kit, KEY_NUMBERS, **LIVE_ONLY)
            assert caught.value.status == 504
            assert caught.value.retry_after == pytest.approx(60, abs=2)
            assert "note" not in asked(shop.kit, KEY_NUMBERS, **OLD)
        assert sum("desktop" in str(params) for _, params in shop.server.asked) == 1
        assert shop.kit.live.left_alone(shop.kit.sites.find(2).connection) == 0


def test_a_heavy_question_among_others_silences_nobody(tmp_path: Path) -> None:
    with shop_in(tmp_path, 2) as shop, ThreadPoolExecutor(2) as pool:
        shop.hangs = "desktop"
        asked(shop.kit, KEY_NUMBERS, **OLD)  # the token is proven
        heavy = [
            pool.submit(asked, shop.kit, KEY_NUMBERS, date=day, segment="deviceType==desktop")
            for day in ("2026-11-12", "2026-11-13")
        ]
        assert "note" not in asked(shop.kit, KEY_NUMBERS, **OLD)
        assert all(isinstance(one.exception(), Problem) for one in heavy)
        assert "note" not in asked(shop.kit, KEY_NUMBERS, **OLD)


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
        assert matomo_api(shop.kit, site, 0).status == "pass", "one may be too heavy a question"
        shop.clock.advance(timedelta(seconds=20))  # what was found is kept for a while
        asked(shop.kit, "get-device-types", **OLD)
        shop.speaks.set()
        check = matomo_api(shop.kit, site, 0)
        assert check.status == "warn"
        assert "tools answer without it" in check.output
        line = next(one for one in metrics.render().decode().splitlines() if one.startswith("matokit_upstream_left"))
        assert 50 < float(line.split()[-1]) <= 60
        shop.clock.advance(timedelta(seconds=61))
        assert matomo_api(shop.kit, site, 0).status == "pass"
