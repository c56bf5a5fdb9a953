"""Live questions to a Matomo on loopback: bounded, polite after refusals, and never with a token in sight."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from matokit_pipelines.clock import FixedClock, SystemClock
from matokit_pipelines.errors import CredentialsRefused
from matokit_pipelines.settings import Loaded, load
from matokit_pipelines.sources.http import Answer
from matokit_pipelines.sources.matomo_reports import Question
from matokit_pipelines.sources.rate_memory import RateMemory, state_in
from matokit_pipelines.toolserver.live import REFUSED_SECONDS, LiveConnections
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.sites import Sites
from tests.upstreams import TOKEN, Reply, Upstream, matomo

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
VISITS = Question("VisitsSummary.get", {"period": "day", "date": "2026-11-20"})
Heard = list[tuple[str, str]]


@pytest.fixture
def server() -> Iterator[Upstream]:
    with Upstream(matomo()).serving() as upstream:
        yield upstream


def loaded_of(folder: Path, url: str, token: str = TOKEN, settings: str = "") -> Loaded:
    (folder / "matokit.toml").write_text(f"[toolserver]\n{settings}\n", encoding="utf-8")
    (folder / "token").write_text(token, encoding="utf-8")
    environ = {"MATOMO_BASE_URL": url, "MATOKIT_MATOMO_TOKEN_FILE": str(folder / "token")}
    return load(folder / "matokit.toml", environ, folder)


class Asking:
    """Live connections to one upstream, and what the hook heard."""

    def __init__(self, folder: Path, url: str, *, settings: str = "call_seconds = 5", token: str = TOKEN) -> None:
        self.clock = FixedClock(NOW)
        self.loaded = loaded_of(folder, url, token, settings)
        self.heard: Heard = []
        self.live = LiveConnections(
            self.loaded, self.clock, hook=lambda method, outcome, seconds: self.heard.append((method, outcome))
        )
        self.sites = Sites.of(self.loaded)

    def visits(self, site: int = 1) -> object:
        return self.live.ask(self.sites.find(site), [VISITS])[0]

    def refused(self, site: int = 1) -> Problem:
        with pytest.raises(Problem) as caught:
            self.visits(site)
        return caught.value


def test_one_question_with_the_token_in_the_body(tmp_path: Path, server: Upstream) -> None:
    asking = Asking(tmp_path, server.url)
    assert asking.visits() == {"nb_visits": 7}
    assert asking.heard == [("VisitsSummary.get", "ok")]
    assert server.tokens == [TOKEN]
    assert TOKEN not in "".join(server.addresses)
    asking.live.close()


def test_several_questions_travel_together(tmp_path: Path) -> None:
    good, bad = {"nb_visits": 3}, {"result": "error", "message": "The period 'hour' is not supported."}

    def answer(method: str, params: dict[str, str]) -> Reply:
        return Reply([good, bad]) if method == "API.getBulkRequest" else matomo()(method, params)

    with Upstream(answer).serving() as server:
        asking = Asking(tmp_path, server.url)
        site = asking.sites.find(1)
        first, second = asking.live.ask_each(site, [VISITS, VISITS])
        assert first == good
        assert isinstance(second, Problem)
        assert "Correct period" in second.guidance
        with pytest.raises(Problem, match="not supported"):
            asking.live.ask(site, [VISITS, VISITS])
        assert asking.live.ask_each(site, []) == []


def test_a_missing_right_within_a_bulk_is_known_whatever_the_language(tmp_path: Path) -> None:
    def answer(method: str, params: dict[str, str]) -> Reply:
        if method == "API.getBulkRequest":
            return Reply([{"result": "error", "message": "Vous ne pouvez pas y aller"}] * 2)
        return matomo((2,))(method, params)

    with Upstream(answer).serving() as server:
        asking = Asking(tmp_path, server.url)
        with pytest.raises(Problem) as caught:
            asking.live.ask_each(asking.sites.find(1), [VISITS, VISITS])
        assert (caught.value.category, caught.value.status) == ("permission", 403)


def test_goals_and_facts(tmp_path: Path) -> None:
    def answer(method: str, params: dict[str, str]) -> Reply:
        return Reply([{"idgoal": 1, "name": "Download"}]) if method == "Goals.getGoals" else matomo()(method, params)

    with Upstream(answer).serving() as server:
        asking = Asking(tmp_path, server.url)
        site = asking.sites.find(None)
        assert asking.live.goals(site)[0]["name"] == "Download"
        assert asking.live.facts(site)["timezone"] == "Europe/Copenhagen"


def test_a_site_that_may_not_be_viewed_is_no_failed_log_in(tmp_path: Path, server: Upstream) -> None:
    asking = Asking(tmp_path, server.url)
    problem = asking.refused(site=9)
    assert (problem.category, problem.status) == ("permission", 403)
    assert "site 9" in problem.message
    assert asking.visits() == {"nb_visits": 7}  # the token stays in use


def test_a_refused_token_is_not_sent_again_until_it_changes_or_time_passes(tmp_path: Path, server: Upstream) -> None:
    asking = Asking(tmp_path, server.url, token="wrong" * 6)
    problem = asking.refused()
    assert (problem.category, problem.status) == ("auth", 502)
    assert "MATOKIT_MATOMO_TOKEN" in problem.guidance
    asked = len(server.asked)
    assert asked == 2  # the question, and the one call that tells a bad token from a missing right
    for _ in range(30):
        assert asking.refused().category == "auth"
    assert len(server.asked) == asked
    asking.clock.advance(timedelta(seconds=REFUSED_SECONDS + 1))
    asking.refused()
    assert len(server.asked) == 2 * asked
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    assert asking.visits() == {"nb_visits": 7}


@pytest.mark.parametrize("back", [timedelta(minutes=5), timedelta(hours=2), timedelta(days=1)], ids=str)
def test_a_clock_that_is_put_back_refuses_for_no_longer(tmp_path: Path, server: Upstream, back: timedelta) -> None:
    asking = Asking(tmp_path, server.url, token="wrong" * 6)
    asking.refused()
    asking.clock.advance(-back)
    for _ in range(2):
        asking.refused()
        assert len(server.asked) == 2
        asking.clock.advance(timedelta(seconds=REFUSED_SECONDS / 2))
    asking.clock.advance(timedelta(seconds=1))
    asking.refused()
    assert len(server.asked) == 4


def at_once(asking: Asking, callers: int) -> list[str]:
    """Outcomes of calls that begin together."""
    start = threading.Barrier(callers)

    def call(_: int) -> str:
        start.wait(10)
        try:
            asking.visits()
        except Problem as problem:
            return problem.category
        return "ok"

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(call, range(callers)))


def test_many_callers_under_a_bad_token_fail_two_log_ins(tmp_path: Path, server: Upstream) -> None:
    asking = Asking(tmp_path, server.url, token="wrong" * 6, settings="calls_at_once = 64")
    assert at_once(asking, 32) == ["auth"] * 32
    assert len(server.asked) == 2


def test_many_callers_under_a_token_that_is_revoked(tmp_path: Path) -> None:
    good, begun = threading.Event(), threading.Barrier(8)
    good.set()

    def answer(method: str, params: dict[str, str]) -> Reply:
        if not good.is_set() and method == "VisitsSummary.get":
            begun.wait(10)  # all are on their way before the first is refused
        return matomo(token=TOKEN if good.is_set() else "another")(method, params)

    with Upstream(answer).serving() as server:
        asking = Asking(tmp_path, server.url, settings="calls_at_once = 16")
        asking.visits()
        good.clear()
        assert at_once(asking, 8) == ["auth"] * 8
        assert len(server.asked) == 1 + 8 + 1  # one more finds out for all of them
        assert asking.refused().category == "auth"
        assert len(server.asked) == 10


def test_good_calls_run_side_by_side_once_the_token_is_proven(tmp_path: Path) -> None:
    together = threading.Barrier(4)
    first = threading.Event()

    def answer(method: str, params: dict[str, str]) -> Reply:
        if first.is_set():
            together.wait(10)
        first.set()
        return Reply({"nb_visits": 1})

    with Upstream(answer).serving() as server:
        asking = Asking(tmp_path, server.url)
        asking.visits()
        assert at_once(asking, 4) == ["ok"] * 4


def test_a_slow_first_answer_does_not_hold_up_the_others(tmp_path: Path) -> None:
    slow = threading.Event()
    second = threading.Event()

    def answer(method: str, params: dict[str, str]) -> Reply:
        if slow.is_set():
            second.set()
        slow.set()
        assert second.wait(20)
        return Reply({"nb_visits": 1})

    with Upstream(answer).serving() as server:
        asking = Asking(tmp_path, server.url, settings="call_seconds = 20")
        assert at_once(asking, 2) == ["ok"] * 2


def test_a_lock_out_is_left_alone(tmp_path: Path) -> None:
    locked = {"result": "error", "message": "Too many failed logins. Please wait and try logging in again later."}
    with Upstream(lambda method, params: Reply(locked, 500)).serving() as server:
        asking = Asking(tmp_path, server.url)
        for _ in range(5):
            assert asking.refused().retry_after == 3600
        assert len(server.asked) == 1


def test_a_limit_is_waited_out_within_the_budget(tmp_path: Path) -> None:
    answers = [Reply({}, 429, {"Retry-After": "3"}), Reply({"nb_visits": 1})]
    with Upstream(lambda method, params: answers.pop(0)).serving() as server:
        asking = Asking(tmp_path, server.url)
        assert asking.visits() == {"nb_visits": 1}
        assert asking.clock.now() == NOW + timedelta(seconds=3)


def test_a_limit_beyond_the_budget_is_told_at_once(tmp_path: Path) -> None:
    with Upstream(lambda method, params: Reply({}, 429, {"Retry-After": "120"})).serving() as server:
        asking = Asking(tmp_path, server.url)
        problem = asking.refused()
        assert (problem.category, problem.status, problem.retry_after) == ("rate-limit", 503, 120)
        asking.clock.advance(timedelta(seconds=20))
        assert asking.refused().retry_after == 100
        assert len(server.asked) == 1
        assert asking.heard == [("VisitsSummary.get", "rate-limit")] * 2


@pytest.mark.parametrize("family", ["X-Matomo-Rate-Limit", "X-RateLimit", "RateLimit"])
def test_a_used_up_limit_makes_the_next_call_wait(tmp_path: Path, family: str) -> None:
    headers = {f"{family}-Limit": "60", f"{family}-Remaining": "0", f"{family}-Reset": "4"}
    with Upstream(lambda method, params: Reply({"nb_visits": 1}, headers=headers)).serving() as server:
        asking = Asking(tmp_path, server.url)
        asking.visits()
        state, paused = asking.live.rate(asking.sites.find(1).connection)
        assert (state.limit, state.remaining, paused) == (60, 0, 4)
        asking.visits()
        assert asking.clock.now() == NOW + timedelta(seconds=4)


def test_a_limit_told_in_words(tmp_path: Path) -> None:
    words = {"result": "error", "message": "Rate limit exceeded."}
    with Upstream(lambda method, params: Reply(words)).serving() as server:
        asking = Asking(tmp_path, server.url)
        assert asking.refused().category == "rate-limit"
        assert asking.refused().retry_after == 60
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("reply", "category", "status"),
    [
        (Reply(b"<html>Log in</html>", kind="text/html"), "parse", 502),
        (Reply(b"<html>Oops</html>", 500, kind="text/html"), "server", 502),
        (Reply(b"<html>Closed</html>", 503, kind="text/html"), "server", 502),
        (Reply(b"nothing here", 404, kind="text/plain"), "client", 400),
        (Reply(b"no", 403, kind="text/plain"), "permission", 403),
        (Reply(b"", 302, {"Location": "https://login.example.org"}), "network", 502),
        (Reply({"result": "error", "message": "Segment 'bad' is not a supported segment."}), "client", 400),
        (Reply({"result": "error", "message": "The report could not be generated."}), "client", 400),
        (Reply({"result": "error", "message": "Allowed memory size of 1 bytes exhausted"}, 500), "server", 502),
    ],
)
def test_failures_by_category(tmp_path: Path, reply: Reply, category: str, status: int) -> None:
    with Upstream(lambda method, params: reply).serving() as server:
        asking = Asking(tmp_path, server.url)
        problem = asking.refused()
    assert (problem.category, problem.status) == (category, status)
    assert problem.guidance
    assert asking.heard == [("VisitsSummary.get", category)]
    assert TOKEN not in str(problem.body())


def test_nobody_listens(tmp_path: Path) -> None:
    problem = Asking(tmp_path, "http://127.0.0.1:9").refused()
    assert (problem.category, problem.status) == ("network", 502)


def test_an_answer_that_does_not_come_in_time(tmp_path: Path) -> None:
    over = threading.Event()

    def answer(method: str, params: dict[str, str]) -> Reply:
        over.wait(10)
        return Reply({})

    with Upstream(answer).serving() as server:
        loaded = loaded_of(tmp_path, server.url, settings="call_seconds = 0.3")
        live = LiveConnections(loaded, SystemClock())
        with pytest.raises(Problem) as caught:
            live.ask(Sites.of(loaded).find(1), [VISITS])
        over.set()
    assert (caught.value.category, caught.value.status) == ("network", 504)


@pytest.mark.parametrize("is_told_before", [True, False])
def test_a_wait_that_the_server_asked_for_is_not_its_silence(tmp_path: Path, is_told_before: bool) -> None:
    hangs, over = threading.Event(), threading.Event()
    limits = {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}

    def answer(method: str, params: dict[str, str]) -> Reply:
        if hangs.is_set():
            over.wait(10)
            return Reply({})
        hangs.set()
        return Reply({"nb_visits": 7}, headers=limits) if is_told_before else Reply({}, 429, {"Retry-After": "1"})

    with Upstream(answer).serving() as server:
        loaded = loaded_of(tmp_path, server.url, settings="call_seconds = 1.6")
        live, site = LiveConnections(loaded, SystemClock()), Sites.of(loaded).find(1)
        for day in ("18", "19"):
            question = Question("VisitsSummary.get", {"period": "day", "date": f"2026-11-{day}"})
            hangs.clear()
            if is_told_before:
                assert live.ask(site, [VISITS]) == [{"nb_visits": 7}]
            with pytest.raises(Problem) as caught:
                live.ask(site, [question])
            expected = ("rate-limit", 503, 1.0) if is_told_before else ("network", 504, pytest.approx(60, abs=2))
            assert (caught.value.category, caught.value.status, caught.value.retry_after) == expected
        assert live.left_alone(site.connection) == 0
        over.set()
        assert live.ask(site, [VISITS]) == [{}]
        live.close()


def test_half_of_the_calls_may_be_live(tmp_path: Path) -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()
    go_on.set()

    def answer(method: str, params: dict[str, str]) -> Reply:
        begun.release()
        assert go_on.wait(10)
        return Reply({"nb_visits": 1})

    with Upstream(answer).serving() as server, ThreadPoolExecutor(3) as pool:
        loaded = loaded_of(tmp_path, server.url, settings="calls_at_once = 4")
        live, site = LiveConnections(loaded, SystemClock()), Sites.of(loaded).find(1)
        live.ask(site, [VISITS])
        assert begun.acquire(timeout=10)
        go_on.clear()
        calls = [pool.submit(live.ask, site, [VISITS]) for _ in range(2)]
        assert begun.acquire(timeout=10)
        assert begun.acquire(timeout=10)
        with pytest.raises(Problem) as caught:
            live.ask(site, [VISITS])
        assert (caught.value.category, caught.value.status, caught.value.retry_after) == ("rate-limit", 503, 1.0)
        assert live.probe(site, "API.getMatomoVersion", lambda client: "not counted", 1.0) == "not counted"
        go_on.set()
        assert [call.result(10) for call in calls] == [[{"nb_visits": 1}]] * 2
        assert live.ask(site, [VISITS]) == [{"nb_visits": 1}]


def test_the_token_is_cut_out_of_what_a_server_says(tmp_path: Path) -> None:
    echo = {"result": "error", "message": f"Parameter token_auth={TOKEN} is odd"}
    with Upstream(lambda method, params: Reply(echo)).serving() as server:
        problem = Asking(tmp_path, server.url).refused()
    assert TOKEN not in str(problem.body())
    assert TOKEN not in repr(problem.__cause__)


def test_probes_get_the_sources_own_errors(tmp_path: Path, server: Upstream) -> None:
    asking = Asking(tmp_path, server.url, token="wrong" * 6)
    with pytest.raises(CredentialsRefused):
        asking.live.probe(asking.sites.find(1), "sites", lambda client: client.sites(), 2.0)
    assert asking.heard == [("sites", "auth")]


# -- what headers say -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    ["30", "30.0", str(int(NOW.timestamp()) + 30), str((int(NOW.timestamp()) + 30) * 1000),
     "Sun, 22 Nov 2026 12:00:30 GMT", "2026-11-22T12:00:30Z", "2026-11-22T13:00:30+01:00"],
)  # fmt: skip
def test_every_spelling_of_a_reset(said: str) -> None:
    state = state_in({"x-ratelimit-remaining": "1", "x-ratelimit-reset": said}, NOW)
    assert state.resets_at == NOW + timedelta(seconds=30)


@given(st.dictionaries(st.sampled_from(
    ["x-ratelimit-remaining", "x-ratelimit-reset", "x-ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]
), st.text(max_size=20) | st.integers().map(str) | st.floats().map(str)))  # fmt: skip
def test_any_headers_make_a_bounded_pause(headers: dict[str, str]) -> None:
    clock = FixedClock(NOW)
    memory = RateMemory("any", clock)
    state = state_in(headers, NOW)
    assert state.remaining is None or state.remaining >= 0
    memory.hear(Answer(200, "application/json", b"", CaseInsensitiveDict(headers)))
    assert memory.paused_seconds == 0 or 1 <= memory.paused_seconds <= 3600
    assert (memory.paused_seconds > 0) == (state.remaining == 0)
