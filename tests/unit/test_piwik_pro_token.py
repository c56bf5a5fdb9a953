"""Tokens: renewed in time, once for all threads, once for a refusal; credentials that are refused are sent once."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import (
    REFUSED,
    AccessRefused,
    AnswerNotUnderstood,
    CredentialsRefused,
    MatokitError,
    SourceError,
    SourceMissing,
    SourceUnavailable,
)
from matokit_pipelines.sources.http import Answer, HttpLimits, HttpSession
from matokit_pipelines.sources.piwik_pro import TRANSIENT_STATUS
from matokit_pipelines.sources.piwik_pro_token import MOST_TOKENS, Credentials, Tokens
from tests.answering import Asked, Server, Told, answering

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECRET = "a-very-secret-secret"
GOOD = Credentials("an-id", SECRET)


class Account:
    """A token endpoint and one thing to ask for: who may, until when, and what was asked."""

    def __init__(self, clock: FixedClock, *, life: int = 1800) -> None:
        self.clock = clock
        self.life = life
        self.secret = SECRET
        self.valid: dict[str, datetime] = {}
        self.renewals = 0
        self.refused = 0
        self.delay = 0
        self.never = ""
        self.instead: Told | None = None
        self.lock = threading.Lock()

    def __call__(self, asked: Asked) -> Told:
        with self.lock:
            return self._token(asked) if asked.path == "/auth/token" else self._thing(asked)

    def _token(self, asked: Asked) -> Told:
        self.renewals += 1
        self.clock.advance(timedelta(seconds=self.delay))
        assert "authorization" not in asked.headers
        assert asked.form["grant_type"] == "client_credentials"
        if self.instead:
            return self.instead
        if (asked.form["client_id"], asked.form["client_secret"]) != ("an-id", self.secret):
            return Told(401, {"error": "invalid_client"})
        text = f"t.{self.renewals}"
        self.valid[text] = self.clock.now() + timedelta(seconds=self.life)
        return Told(200, {"token_type": "Bearer", "expires_in": self.life, "access_token": text})

    def _thing(self, asked: Asked) -> Told:
        token = asked.headers["authorization"].removeprefix("Bearer ")
        if asked.path == self.never or self.valid.get(token, NOW - timedelta(days=9)) <= self.clock.now():
            self.refused += 1
            return Told(401, {"errors": [{"status": "401", "detail": "No valid credentials provided."}]})
        return Told(200, {"ok": True})


@contextmanager
def account(*, life: int = 1800) -> Iterator[tuple[Account, Server, FixedClock]]:
    clock = FixedClock(NOW)
    place = Account(clock, life=life)
    with answering(place) as server:
        yield place, server, clock


def tokens(server: Server, clock: FixedClock, credentials: Credentials = GOOD, name: str = "installers") -> Tokens:
    limits = HttpLimits(attempts=3, budget=10**9)
    session = HttpSession(name, server.url, clock, limits, transient=TRANSIENT_STATUS)
    return Tokens(session, lambda: credentials, clock)


def ask(under: Tokens) -> Answer:
    return under.request("GET", "thing", passing=lambda answer: None)


def test_one_token_serves_until_a_minute_before_its_end() -> None:
    with account() as (place, server, clock):
        under = tokens(server, clock)
        for _ in range(3):
            assert ask(under).status == 200
        clock.advance(timedelta(seconds=1739))
        ask(under)
        assert place.renewals == 1
        clock.advance(timedelta(seconds=1))
        ask(under)
    assert place.renewals == 2
    assert place.refused == 0


@pytest.mark.parametrize("life", [1, 30, 61, 120])
def test_short_lives_do_not_renew_at_each_request(life: int) -> None:
    with account(life=life) as (place, server, clock):
        under = tokens(server, clock)
        for _ in range(5):
            ask(under)
        assert place.renewals == 1
        clock.advance(timedelta(seconds=life))
        ask(under)
    assert place.renewals == 2
    assert place.refused == 0


def test_life_counts_from_the_asking() -> None:
    with account() as (place, server, clock):
        place.valid["slow"] = NOW + timedelta(days=1)
        place.instead = Told(200, {"access_token": "slow", "expires_in": 1800})
        place.delay = 100
        under = tokens(server, clock)
        ask(under)
        clock.advance(timedelta(seconds=1640))
        ask(under)
    assert place.renewals == 2


@pytest.mark.parametrize("expires_in", [None, "1800", True, 0, -1, 10**9, 1e400])
def test_life_that_is_not_told_is_the_usual_one(expires_in: Any) -> None:
    with account() as (place, server, clock):
        place.instead = Told(200, {"access_token": "t", "expires_in": expires_in})
        place.valid["t"] = NOW + timedelta(days=1)
        under = tokens(server, clock)
        ask(under)
        clock.advance(timedelta(seconds=1739))
        ask(under)
        assert place.renewals == 1
        clock.advance(timedelta(seconds=1))
        ask(under)
        assert place.renewals == 2


def test_token_refused_in_the_middle_is_renewed_once_and_the_request_repeated_once() -> None:
    with account() as (place, server, clock):
        under = tokens(server, clock)
        ask(under)
        place.valid.clear()
        assert ask(under).status == 200
    assert server.paths() == ["/auth/token", "/thing", "/thing", "/auth/token", "/thing"]


def test_fresh_token_that_is_refused_ends_it() -> None:
    with account(life=0) as (_, server, clock), pytest.raises(AccessRefused) as told:
        ask(tokens(server, clock))
    assert server.paths() == ["/auth/token", "/thing", "/auth/token", "/thing"]
    is_one_sentence(told.value, server)


def test_token_that_served_another_and_then_ended_is_renewed_once_more() -> None:
    with account() as (place, server, clock):
        under = tokens(server, clock)
        ask(under)
        place.valid.clear()
        meddled: list[Answer] = []

        def meddle(answer: Answer) -> None:
            """Another request takes the new token between refusal and repetition, and that token ends."""
            if answer.status == 401 and not meddled:
                meddled.append(answer)
                assert ask(under).status == 200
                place.valid.clear()

        assert under.request("GET", "thing", passing=meddle).status == 200
    assert server.paths() == ["/auth/token", *["/thing"] * 3, "/auth/token", *["/thing"] * 2, "/auth/token", "/thing"]


def test_one_request_is_not_sent_under_any_number_of_tokens() -> None:
    with account() as (place, server, clock):
        place.never = "/forbidden"
        under = tokens(server, clock)
        with pytest.raises(AccessRefused):
            under.request("GET", "forbidden", passing=lambda answer: ask(under) and None)  # each serves another
    assert server.paths().count("/forbidden") == MOST_TOKENS
    assert place.renewals == MOST_TOKENS + 1


def test_threads_that_meet_a_refusal_renew_once() -> None:
    with account() as (place, server, clock):
        under = tokens(server, clock)
        ask(under)
        place.valid.clear()
        together = threading.Barrier(4)
        statuses: list[int] = []

        def work() -> None:
            together.wait(timeout=5)
            statuses.extend(ask(under).status for _ in range(5))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
    assert statuses == [200] * 20
    assert place.renewals == 2


def test_threads_that_begin_together_ask_for_one_token() -> None:
    with account() as (place, server, clock):
        under = tokens(server, clock)
        threads = [threading.Thread(target=ask, args=(under,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
    assert place.renewals == 1


def test_same_text_twice_is_still_a_renewal() -> None:
    with account() as (place, server, clock):
        place.instead = Told(200, {"access_token": "same", "expires_in": 1800})
        under = tokens(server, clock)
        with pytest.raises(AccessRefused):
            ask(under)
    assert place.renewals == 2


REFUSALS = [
    (Told(400, {"error": "invalid_client"}), CredentialsRefused),
    (Told(400, {"error": "invalid_client", "hint": "Check the `client_id` parameter"}), CredentialsRefused),
    (Told(401, {"error": "invalid_client"}), CredentialsRefused),
    (Told(402, {"code": 402, "message": 'There is no active license for "default" organization'}), AccessRefused),
    (Told(403, b"", "text/html"), AccessRefused),
    (Told(400, {"error": "unsupported_grant_type", "hint": "x"}), SourceError),
    (Told(404, b"<html>no such page</html>", "text/html"), SourceMissing),
    (Told(405, b"", "text/html"), SourceError),
]


def is_one_sentence(error: BaseException, server: Server, *words: str) -> None:
    said = str(error)
    assert isinstance(error, MatokitError)
    assert error.exit_code == REFUSED
    assert "\n" not in said
    assert said.endswith(".")
    assert "<" not in said
    assert server.url.removeprefix("http://") in said
    assert SECRET not in "".join(traceback.format_exception(error))
    assert all(word in said for word in words), said


@pytest.mark.parametrize(("told", "kind"), REFUSALS)
def test_refusal_of_a_token_is_told_and_not_repeated(told: Told, kind: type[MatokitError]) -> None:
    with account() as (place, server, clock):
        place.instead = told
        under = tokens(server, clock, name="my-site.2")
        for _ in range(3):
            with pytest.raises(MatokitError) as error:
                ask(under)
            assert type(error.value) is kind
            is_one_sentence(error.value, server, "my-site.2")
            if kind in (CredentialsRefused, AccessRefused):
                assert "MATOKIT_MY_SITE_2_CLIENT_ID and MATOKIT_MY_SITE_2_CLIENT_SECRET" in str(error.value)
    assert place.renewals == 1, "what was refused is not sent again"


def test_threads_with_refused_credentials_send_them_once() -> None:
    with account() as (place, server, clock):
        place.secret = "another"
        under = tokens(server, clock)
        errors: list[type] = []

        def work() -> None:
            with pytest.raises(CredentialsRefused):
                ask(under)
            errors.append(CredentialsRefused)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
    assert len(errors) == 4
    assert server.paths() == ["/auth/token"]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_token_that_cannot_be_given_now_is_asked_for_again(status: int) -> None:
    with account() as (place, server, clock):
        place.instead = Told(status)
        under = tokens(server, clock)
        with pytest.raises(SourceUnavailable):
            ask(under)
        assert place.renewals == 3
        place.instead = None
        assert ask(under).status == 200, "trouble that passes is not remembered"


@pytest.mark.parametrize(
    "told",
    [
        Told(200, {"token": "x"}),
        Told(200, []),
        Told(200, b"<html></html>", "text/html"),
        Told(200, {"access_token": ""}),
        Told(200, {"access_token": "two\r\nlines"}),
        Told(200, {"access_token": "ø"}),
        Told(200, {"access_token": 7}),
    ],
)
def test_answer_without_a_token_is_told(told: Told) -> None:
    with account() as (place, server, clock):
        place.instead = told
        with pytest.raises(AnswerNotUnderstood) as error:
            ask(tokens(server, clock))
    is_one_sentence(error.value, server, "url")


def test_half_a_token_is_asked_for_again() -> None:
    with account() as (place, server, clock):
        place.instead = Told(200, b'{"access_token": "t.')
        with pytest.raises(SourceUnavailable, match="half a document"):
            ask(tokens(server, clock))
    assert place.renewals == 3


def test_secrets_are_in_no_repr() -> None:
    with account() as (_, server, clock):
        under = tokens(server, clock)
        ask(under)
        assert SECRET not in repr(GOOD) + repr(under) + repr(under.__dict__)
        assert "t.1" not in repr(under.__dict__)


class TokenLife(RuleBasedStateMachine):
    """Whatever happens to time, tokens and credentials: good credentials read, at the least cost."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()

    @initialize(life=st.sampled_from([1, 20, 60, 100, 1800]))
    def begin(self, life: int) -> None:
        self.place, self.server, self.clock = self.stack.enter_context(account(life=life))
        self.mine = GOOD
        session = HttpSession("installers", self.server.url, self.clock, HttpLimits(budget=10**9))
        self.under = Tokens(session, lambda: self.mine, self.clock)
        self.renew_at: datetime | None = None
        self.tried: set[str] = set()

    @rule(seconds=st.sampled_from([0, 1, 10, 59, 61, 1000, 1739, 1800]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    @rule()
    def token_is_revoked(self) -> None:
        self.place.valid.clear()

    @rule(secret=st.sampled_from(["one", "two"]))
    def credentials_are_changed_there(self, secret: str) -> None:
        self.place.secret = secret

    @rule()
    def credentials_are_put_in(self) -> None:
        self.mine = Credentials("an-id", self.place.secret)

    @rule()
    def something_is_asked_for(self) -> None:
        before, asked = self.place.renewals, len(self.server.asked)
        in_time = self.renew_at is not None and self.clock.now() < self.renew_at
        works = in_time and any(until > self.clock.now() for until in self.place.valid.values())
        try:
            assert ask(self.under).status == 200
        except CredentialsRefused:
            assert not works
            assert self.mine.client_secret != self.place.secret or self.mine.client_secret in self.tried
            sent = self.place.renewals - before
            assert sent == (0 if self.mine.client_secret in self.tried else 1)
            self.tried = {self.mine.client_secret}
            return
        assert self.place.renewals - before == (0 if works else 1)
        assert len(self.server.asked) - asked <= 3
        if not works:
            life = self.place.life
            self.renew_at = self.clock.now() + timedelta(seconds=life - min(60, life / 2))

    def teardown(self) -> None:
        self.stack.close()


TestTokenLife = TokenLife.TestCase
TestTokenLife.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
