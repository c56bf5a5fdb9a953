"""The queue at work against a tracker on this machine: what callers are told, and what arrives there when."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from matokit_pipelines import state
from matokit_pipelines.clock import Clock, FixedClock, SystemClock
from matokit_pipelines.settings import load
from matokit_pipelines.sources.tracking_hits import Patience
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.sites import Sites
from matokit_pipelines.toolserver.tracking import keeping, rows
from matokit_pipelines.toolserver.tracking.hits import Hit
from matokit_pipelines.toolserver.tracking.queue import Outcome, TrackingQueue
from tests.answering import Asked, Server, Told, answering

TOKEN = "0123456789abcdef" * 2
Answerer = Callable[[Asked], Told]


class Shop:
    """A home with one Matomo, and queues on it."""

    def __init__(self, home: Path, url: str, clock: Clock | None = None) -> None:
        self.loaded = load(environ={"MATOMO_BASE_URL": url, "MATOMO_TOKEN": TOKEN, "MATOKIT_HOME": str(home)}, cwd=home)
        self.clock = clock or SystemClock()
        self.sites = Sites.of(self.loaded)

    def queue(self, *, workers: int = 4, answer_within: float = 5.0, read: float = 5.0) -> TrackingQueue:
        return TrackingQueue(
            self.loaded.home, self.sites, self.clock, workers=workers, answer_within=answer_within,
            patience=Patience(connect=2.0, read=read, budget=read), spare=0.2,
        )  # fmt: skip

    @contextmanager
    def running(self, **more: float) -> Iterator[TrackingQueue]:
        queue = self.queue(**more)  # type: ignore[arg-type]
        queue.start()
        try:
            yield queue
        finally:
            queue.stop()

    def hit(self, name: str, visitor: str | None = None, key: str | None = None, **more: str) -> Hit:
        site = self.sites.find(1)
        form = {"idsite": "1", "e_c": "c", "e_a": "a", "e_n": name, **more}
        return Hit("event", site.id, site.name, site.tracking_url, form, visitor, key=key, asked={"name": name})

    def rows(self, *states: str) -> list[rows.Row]:
        with state.opened(self.loaded.home) as store:
            return keeping.listed(store, states)


def told(outcome: Outcome) -> tuple[str, int | None]:
    return outcome.row.state, outcome.row.status


def names(server: Server) -> list[str]:
    return [asked.form["e_n"] for asked in server.asked]


def always(status: int, **headers: str) -> Answerer:
    return lambda asked: Told(status, headers=headers)


def test_a_hit_goes_through_at_once_with_its_token_in_the_body(tmp_path: Path) -> None:
    with answering(always(204)) as server:
        shop = Shop(tmp_path, server.url)
        with shop.running() as queue:
            assert told(queue.accept(shop.hit("one"))) == ("done", 204)
            assert (queue.depth, queue.oldest_age, queue.dead) == (0, None, 0)
    asked = server.asked[0]
    assert (asked.method, asked.path, asked.query) == ("POST", "/matomo.php", {})
    assert asked.form == {
        "idsite": "1", "rec": "1", "apiv": "1", "send_image": "0", "token_auth": TOKEN, "e_c": "c", "e_a": "a",
        "e_n": "one",
    }  # fmt: skip
    with sqlite3.connect(state.file_of(tmp_path)) as store:
        kept = "\n".join(store.iterdump())
    assert TOKEN not in kept
    assert '"e_n"' not in kept  # what is done keeps nothing of the visit


@pytest.mark.parametrize("status", [503, 500, 502, 429, 408, 425])
def test_what_passes_is_tried_again_while_the_caller_waits(tmp_path: Path, status: int) -> None:
    statuses = [204, status, status]
    with answering(lambda asked: Told(statuses.pop())) as server:
        shop = Shop(tmp_path, server.url)
        with shop.running() as queue:
            assert told(queue.accept(shop.hit("one"))) == ("done", 204)
    assert names(server) == ["one"] * 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_what_is_refused_is_dead_at_once_and_visible(tmp_path: Path, status: int) -> None:
    with answering(always(status)) as server:
        shop = Shop(tmp_path, server.url)
        with shop.running() as queue:
            assert told(queue.accept(shop.hit("one"))) == ("dead", status)
            assert (queue.depth, queue.dead) == (0, 1)
    assert len(server.asked) == 1
    (row,) = shop.rows("dead")
    assert (row.error, row.is_unknown) == (f"it answered {status}", False)


def test_a_matomo_that_asks_to_wait_is_left_alone_and_nobody_waits_for_it(tmp_path: Path) -> None:
    clock = FixedClock(datetime(2026, 11, 20, 10, tzinfo=UTC))
    answers = [Told(429, headers={"Retry-After": "120"})]
    with answering(lambda asked: answers.pop() if answers else Told(204)) as server:
        shop = Shop(tmp_path, server.url, clock)
        with shop.running(answer_within=60.0) as queue:
            assert queue.accept(shop.hit("one")).is_queued
            assert queue.accept(shop.hit("two")).is_queued
            assert (queue.depth, queue.oldest_age) == (2, 0.0)
            assert names(server) == ["one"]
            clock.advance(timedelta(seconds=121))
            assert told(queue.accept(shop.hit("three"))) == ("done", 204)
            wait_until_empty(queue, shop, clock)
    assert sorted(name for name in names(server) if name != "now") == ["one", "one", "three", "two"]


def test_a_late_hit_keeps_its_time(tmp_path: Path) -> None:
    clock = FixedClock(datetime(2026, 11, 20, 10, 0, 0, 123_000, tzinfo=UTC))
    shop = Shop(tmp_path, "http://127.0.0.1:9", clock)
    assert shop.queue(answer_within=0.0).accept(shop.hit("late")).is_queued
    assert shop.queue(answer_within=0.0).accept(shop.hit("told", cdt="2026-11-19T08:00:00.000Z")).is_queued
    clock.advance(timedelta(hours=3))
    with answering(always(204)) as server:
        moved = Shop(tmp_path, server.url, clock)  # its Matomo has another address by now
        with moved.running() as queue:
            assert told(queue.accept(moved.hit("now"))) == ("done", 204)
            wait_until_empty(queue, moved, clock)
    times = {asked.form["e_n"]: asked.form.get("cdt") for asked in server.asked}
    assert times == {"late": "2026-11-20T10:00:00.123Z", "told": "2026-11-19T08:00:00.000Z", "now": None}


def wait_until_empty(queue: TrackingQueue, shop: Shop, clock: FixedClock) -> None:
    """Until nothing waits: each further hit is answered after those that are due for longer."""
    for number in range(1_000):
        if queue.depth == 0:
            return
        clock.advance(timedelta(seconds=1))
        queue.accept(shop.hit("now"))
        assert number < 999


def test_hits_of_a_visitor_never_overtake_each_other_and_others_do_not_wait(tmp_path: Path) -> None:
    go_on, met = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Told:
        if asked.form["e_n"] == "slow 1":
            met.set()
            assert go_on.wait(10)
        return Told(204)

    with answering(answer) as server:
        shop = Shop(tmp_path, server.url)
        with shop.running(read=20.0) as queue:
            outcomes: list[Outcome] = []
            first = threading.Thread(target=lambda: outcomes.append(queue.accept(shop.hit("slow 1", "a"))))
            first.start()
            assert met.wait(10)
            others = TrackingQueue(shop.loaded.home, shop.sites, shop.clock, answer_within=0.0)
            assert others.accept(shop.hit("slow 2", "a")).is_queued
            assert told(queue.accept(shop.hit("quick", "b"))) == ("done", 204)
            assert names(server) == ["slow 1", "quick"]
            go_on.set()
            assert told(queue.accept(shop.hit("slow 3", "a"))) == ("done", 204)
            first.join()
    assert [told(one) for one in outcomes] == [("done", 204)]
    assert names(server) == ["slow 1", "quick", "slow 2", "slow 3"]


def test_the_same_key_again_answers_the_same_and_sends_nothing(tmp_path: Path) -> None:
    with answering(always(204)) as server:
        shop = Shop(tmp_path, server.url)
        with shop.running() as queue:
            first, again = queue.accept(shop.hit("one", key="k")), queue.accept(shop.hit("one", key="k"))
            assert (first.is_new, again.is_new) == (True, False)
            assert again.row == first.row
            with pytest.raises(Problem, match="used for another hit") as caught:
                queue.accept(shop.hit("two", key="k"))
            assert caught.value.status == 400
    assert names(server) == ["one"]


def test_a_key_in_flight_shares_the_one_answer(tmp_path: Path) -> None:
    met, go_on = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Told:
        met.set()
        assert go_on.wait(10)
        return Told(204)

    with answering(answer) as server:
        shop = Shop(tmp_path, server.url)
        with shop.running(read=20.0, answer_within=10.0) as queue:
            outcomes: list[Outcome] = []
            callers = [
                threading.Thread(target=lambda: outcomes.append(queue.accept(shop.hit("one", key="k"))))
                for _ in range(5)
            ]
            for caller in callers:
                caller.start()
            assert met.wait(10)
            go_on.set()
            for caller in callers:
                caller.join()
    assert sorted(outcome.is_new for outcome in outcomes) == [False] * 4 + [True]
    assert {told(outcome) for outcome in outcomes} == {("done", 204)}
    assert names(server) == ["one"]


def test_a_key_ends_with_its_time(tmp_path: Path) -> None:
    clock = FixedClock(datetime(2026, 11, 20, 10, tzinfo=UTC))
    with answering(always(204)) as server:
        shop = Shop(tmp_path, server.url, clock)
        with shop.running() as queue:
            assert queue.accept(shop.hit("one", key="k")).is_new
            clock.advance(timedelta(hours=23, minutes=59))
            assert not queue.accept(shop.hit("one", key="k")).is_new
            clock.advance(timedelta(minutes=2))
            assert queue.accept(shop.hit("one", key="k")).is_new
    assert names(server) == ["one", "one"]


@pytest.mark.parametrize("status", [500, 502, 504])
def test_with_a_key_an_open_outcome_is_the_end(tmp_path: Path, status: int) -> None:
    with answering(always(status)) as server:
        shop = Shop(tmp_path, server.url)
        with shop.running() as queue:
            assert told(queue.accept(shop.hit("one", key="k"))) == ("dead", status)
    (row,) = shop.rows("dead")
    assert row.is_unknown
    assert row.error == f"outcome unknown: it answered {status}"
    assert len(server.asked) == 1


def test_with_a_key_no_answer_in_time_is_the_end_and_without_one_it_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "DOWN", 0.01)
    go_on = threading.Event()

    def answer(asked: Asked) -> Told:
        if len([one for one in server.asked if one.form["e_n"] == asked.form["e_n"]]) == 1:
            go_on.wait(20)
        return Told(204)

    with answering(answer) as server:
        shop = Shop(tmp_path, server.url)
        with shop.running(read=0.3, answer_within=15.0) as queue:
            keyed = queue.accept(shop.hit("keyed", key="k"))
            assert (keyed.row.state, keyed.row.error) == ("dead", "outcome unknown: it did not answer in time")
            assert told(queue.accept(shop.hit("plain"))) == ("done", 204)
            go_on.set()
        assert (names(server).count("keyed"), names(server).count("plain")) == (1, 2)


def test_a_key_survives_a_tracker_that_cannot_be_reached(tmp_path: Path) -> None:
    """Nothing listens there: nothing was sent, so it may be sent again."""
    clock = FixedClock(datetime(2026, 11, 20, 10, tzinfo=UTC))
    with answering(always(204)) as gone:
        url = gone.url
    shop = Shop(tmp_path, url, clock)
    with shop.running(answer_within=4.0) as queue:  # less than it is left alone for
        assert queue.accept(shop.hit("one", key="k")).is_queued
    (row,) = shop.rows()
    assert (row.state, row.is_unknown, row.error) == (
        "pending", False, "nothing listens there (check the url and port)",
    )  # fmt: skip
    clock.advance(timedelta(minutes=1))
    with answering(always(204)) as server:
        moved = Shop(tmp_path, server.url, clock)
        with moved.running() as queue:
            assert told(queue.accept(moved.hit("one", key="k"))) == ("done", 204)
    assert names(server) == ["one"]


def test_it_is_given_up_after_a_day_and_a_person_can_try_it_anew(tmp_path: Path) -> None:
    clock = FixedClock(datetime(2026, 11, 20, 10, tzinfo=UTC))
    with answering(always(503)) as down:
        shop = Shop(tmp_path, down.url, clock)
        assert shop.queue(answer_within=0.0).accept(shop.hit("one", visitor="a")).is_queued
        clock.advance(timedelta(hours=25))
        with shop.running(answer_within=0.0) as queue:
            queue.accept(shop.hit("two", visitor="a"))
            while queue.dead == 0:  # the clock stands: nothing else can end
                threading.Event().wait(0.01)
    (row,) = shop.rows("dead")
    assert row.error == "given up: it answered 503"
    with answering(always(204)) as server:
        moved = Shop(tmp_path, server.url, clock)
        with state.opened(moved.loaded.home) as store:
            assert keeping.retry(store, clock.now()) == [row.id]
        clock.advance(timedelta(hours=1))
        with moved.running() as queue:
            assert told(queue.accept(moved.hit("three", visitor="b"))) == ("done", 204)
            wait_until_empty(queue, moved, clock)
    assert [name for name in names(server) if name in ("one", "two")] in (["one", "two"], ["two", "one"])


def test_two_matomos_with_a_site_of_one_number_are_not_confused(tmp_path: Path) -> None:
    with answering(always(204)) as one, answering(always(204)) as other:
        for name, url in (("docs", one.url), ("store", other.url)):
            with (tmp_path / "matokit.toml").open("a", encoding="utf-8") as file:
                file.write(f'[[sources]]\nname = "{name}"\nkind = "matomo"\nurl = "{url}"\nsite_id = "1"\n'
                           f'start_date = 2026-11-01\n')  # fmt: skip
        environ = {"MATOKIT_HOME": str(tmp_path), "MATOKIT_DOCS_TOKEN": TOKEN, "MATOKIT_STORE_TOKEN": TOKEN[::-1]}
        sites = Sites.of(load(environ=environ, cwd=tmp_path))
        queue = TrackingQueue(tmp_path, sites, SystemClock())
        queue.start()
        try:
            for name in ("store", "docs", "store"):
                site = sites.find(name)
                hit = Hit("event", site.id, site.name, site.tracking_url, {"e_n": name}, asked={})
                assert told(queue.accept(hit)) == ("done", 204)
        finally:
            queue.stop()
    assert (names(one), names(other)) == (["docs"], ["store", "store"])
    assert other.asked[0].form["token_auth"] == TOKEN[::-1]


def test_a_page_in_place_of_an_answer_is_no_success(tmp_path: Path) -> None:
    with answering(lambda asked: Told(200, b"<html>Sign in</html>", kind="text/html")) as server:
        shop = Shop(tmp_path, server.url)
        with shop.running(answer_within=0.3) as queue:
            outcome = queue.accept(shop.hit("one"))
    assert outcome.is_queued
    (row,) = shop.rows()
    assert row.error == "a page came back in place of a tracker's answer; correct the url"


def test_the_end_lets_what_is_sent_come_through(tmp_path: Path) -> None:
    met, go_on = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Told:
        met.set()
        assert go_on.wait(10)
        return Told(204)

    with answering(answer) as server:
        shop = Shop(tmp_path, server.url)
        queue = shop.queue(answer_within=0.0, read=10.0)
        queue.start()
        assert queue.accept(shop.hit("one")).is_queued
        assert met.wait(10)
        stopping = threading.Thread(target=queue.stop)
        stopping.start()
        go_on.set()
        stopping.join(20)
        assert not stopping.is_alive()
    assert [row.state for row in shop.rows()] == ["done"]


def test_a_token_that_lacks_or_was_replaced_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("of yesterday", encoding="utf-8")
    with answering(lambda asked: Told(204 if asked.form["token_auth"] == TOKEN else 403)) as server:
        loaded = load(
            environ={
                "MATOMO_BASE_URL": server.url, "MATOKIT_MATOMO_TOKEN_FILE": str(file), "MATOKIT_HOME": str(tmp_path),
            },
            cwd=tmp_path,
        )  # fmt: skip
        shop = Shop(tmp_path, server.url)
        shop.loaded, shop.sites = loaded, Sites.of(loaded)
        file.write_text("", encoding="utf-8")
        with shop.running(answer_within=0.2) as queue:
            assert queue.accept(shop.hit("one", visitor="a")).is_queued
            (row,) = shop.rows()
            assert "token" in (row.error or "").lower()
            assert server.asked == []
            file.write_text(TOKEN, encoding="utf-8")
        with shop.running(answer_within=10.0) as queue:
            assert told(queue.accept(shop.hit("two", visitor="a"))) == ("done", 204)
    assert names(server) == ["one", "two"]


def test_too_many_that_wait_are_refused_and_not_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matokit_pipelines.toolserver.tracking.queue.MOST_WAITING", 2)
    shop = Shop(tmp_path, "http://127.0.0.1:9")
    queue = shop.queue(answer_within=0.0)
    assert [queue.accept(shop.hit(name)).is_queued for name in ("one", "two")] == [True, True]
    with pytest.raises(Problem, match="Too many hits wait") as caught:
        queue.accept(shop.hit("three"))
    assert (caught.value.status, caught.value.retry_after) == (503, 60.0)
    assert queue.depth == 2


def test_tidying_keeps_keys_for_their_time_and_dead_hits_for_a_quarter(tmp_path: Path) -> None:
    clock = FixedClock(datetime(2026, 11, 1, tzinfo=UTC))
    statuses = [Told(204), Told(400), Told(204)]
    with answering(lambda asked: statuses.pop()) as server:
        shop = Shop(tmp_path, server.url, clock)
        with shop.running() as queue:
            for name, key in (("plain", None), ("refused", None), ("keyed", "k")):
                queue.accept(shop.hit(name, key=key))
    assert shop.queue(answer_within=0.0).accept(shop.hit("waits")).is_queued
    left = []
    for later in (timedelta(minutes=59), timedelta(minutes=2), timedelta(hours=23), timedelta(days=89, hours=1)):
        clock.advance(later)
        with state.opened(tmp_path) as store:
            keeping.tidy(store, clock)
        left.append([row.id for row in reversed(shop.rows())])
    assert left == [[1, 2, 3, 4], [2, 3, 4], [2, 4], [4]]
