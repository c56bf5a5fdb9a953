"""One session: what is tried again and how often, within which time, and what a failure says."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from matokit_pipelines.clock import FixedClock, SystemClock
from matokit_pipelines.errors import (
    MatokitError,
    PageTooLarge,
    RequestsSpent,
    SourceBusy,
    SourceError,
    SourceTimedOut,
    SourceUnavailable,
    SourceUnreachable,
)
from matokit_pipelines.sources.http import TRANSIENT_STATUS, Answer, HttpLimits, HttpSession
from tests.answering import Told, answering

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECRET = "0123456789abcdef0123456789abcdef"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n[]"


class Waits(FixedClock):
    """A clock that remembers how long it was asked to sleep."""

    def __init__(self) -> None:
        super().__init__(NOW)
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        super().sleep(seconds)


@contextmanager
def wire(*answers: bytes | Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives raw answers in turn, the last one for ever; and what it was asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(1 << 16))
                answer = answers[min(len(asked), len(answers)) - 1]
                if callable(answer):
                    answer(connection)
                else:
                    connection.sendall(answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)


def ask(url: str, clock: FixedClock | None = None, **limits: float) -> tuple[HttpSession, Answer | MatokitError]:
    """One POST; its answer or what it raised."""
    patience = HttpLimits(**{"attempts": 4, "read_timeout": 2.0, **limits})  # type: ignore[arg-type]
    session = HttpSession("installers", url, clock or FixedClock(NOW), patience)
    try:
        return session, session.post("index.php", {"method": "X.y"}, {"token_auth": SECRET}, lambda answer: None)
    except MatokitError as error:
        return session, error
    finally:
        session.close()


def is_told(error: Answer | MatokitError, *words: str) -> None:
    said = str(error)
    assert isinstance(error, MatokitError)
    assert "\n" not in said
    assert said.endswith(".")
    assert "installers" in said
    assert SECRET not in said
    assert all(word in said for word in words), said


def test_answer_comes_whole_with_the_secret_in_the_body() -> None:
    with wire(GOOD) as (url, asked):
        session, answer = ask(url)
    assert answer == Answer(200, "application/json", b"[]")
    assert session.requests_made == 1
    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert SECRET.encode() not in head
    assert body in (b"", f"token_auth={SECRET}".encode())
    assert b"User-Agent: matokit/" in head


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (b"", ("connection was lost",)),
        (reset, ("connection was lost",)),
        (GOOD.replace(b"Length: 2", b"Length: 99"), ("broke off",)),
        (GOOD.replace(b"Content-Length: 2", b"Content-Encoding: gzip\r\nContent-Length: 2"), ("broke off",)),
        (GOOD.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked").replace(b"[]", b"ff\r\n["), ("broke off",)),
        (GOOD.replace(b"200 OK", b"503 Service Unavailable"), ("503",)),
        (GOOD.replace(b"200 OK", b"429 Too Many Requests"), ("429",)),
        (b"this is no HTTP\r\n\r\n", ("connection was lost",)),
    ],
)
def test_what_passes_is_tried_again_and_then_told(
    broken: bytes | Callable[[socket.socket], None], words: tuple[str, ...]
) -> None:
    with wire(broken, broken, GOOD) as (url, _):
        session, answer = ask(url)
    assert isinstance(answer, Answer)
    assert session.requests_made == 3
    with wire(broken) as (url, _):
        session, error = ask(url)
    assert isinstance(error, SourceUnavailable)
    assert isinstance(error, SourceUnreachable) == (words not in (("503",), ("429",)))
    assert session.requests_made == 4
    is_told(error, "4 times", "127.0.0.1", *words)


def test_waits_grow_with_jitter_and_stay_bounded() -> None:
    clock = Waits()
    with wire(b"") as (url, _):
        ask(url, clock, attempts=12, first_wait=0.5, longest_wait=4.0)
    assert len(clock.slept) == 11
    assert all(0 <= wait <= 4.0 for wait in clock.slept)
    assert all(wait <= 0.5 * 2**number for number, wait in enumerate(clock.slept))
    assert len(set(clock.slept)) > 5


@pytest.mark.parametrize("status", [b"400 Bad Request", b"401 Unauthorized", b"403 Forbidden", b"500 Oops", b"200 OK"])
def test_other_answers_are_the_callers_business(status: bytes) -> None:
    with wire(GOOD.replace(b"200 OK", status)) as (url, _):
        session, answer = ask(url)
    assert isinstance(answer, Answer)
    assert answer.status == int(status.split()[0])
    assert session.requests_made == 1


def test_redirect_is_told_and_not_followed() -> None:
    there = b"HTTP/1.1 301 Moved\r\nLocation: https://new.example.org/\r\nContent-Length: 0\r\n\r\n"
    with wire(there) as (url, asked):
        session, error = ask(url)
    assert type(error) is SourceError
    is_told(error, "https://new.example.org/", "url")
    assert len(asked) == session.requests_made == 1


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://a:b@new.example.org:8443/sso?state=1#x", "on to https://new.example.org:8443/sso;"),
        ("/login?token=1", "on to /login;"),
        ("//new.example.org?a=1", "on to //new.example.org;"),
        ("?a=1", "on to another address;"),
        ("/" + 500 * "a", "on to /" + 199 * "a" + ";"),
    ],
)
def test_of_a_redirect_are_told_host_and_path_only(location: str, told: str) -> None:
    with wire(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()) as (url, _):
        _, error = ask(url)
    assert told in str(error)


def test_silence_is_told_as_a_page_too_large() -> None:
    with wire(lambda connection: time.sleep(0.6)) as (url, _):
        session, error = ask(url, read_timeout=0.2)
    assert type(error) is SourceTimedOut
    assert isinstance(error, PageTooLarge)
    is_told(error, "http.read_timeout")
    assert session.requests_made == 1


def test_answer_that_stops_in_the_middle_is_a_page_too_large() -> None:
    def stall(connection: socket.socket) -> None:
        connection.sendall(GOOD[:-1])
        time.sleep(0.6)

    with wire(stall) as (url, _):
        _, error = ask(url, read_timeout=0.2)
    assert type(error) is SourceTimedOut


def test_budget_ends_everything_and_says_so() -> None:
    clock = Waits()
    with wire(b"") as (url, _):
        session, error = ask(url, clock, attempts=20, first_wait=10, longest_wait=60, budget=30)
    assert type(error) is SourceUnavailable
    is_told(error, "30 s", "kept")
    assert session.requests_made < 20
    assert clock.now() - NOW < timedelta(seconds=30 + 60)


def test_silence_lasts_no_longer_than_the_budget() -> None:
    with wire(lambda connection: time.sleep(1.5)) as (url, _):
        session = HttpSession("installers", url, SystemClock(), HttpLimits(read_timeout=60, budget=0.3))
        began = time.monotonic()
        with pytest.raises(SourceUnavailable) as told:
            session.post("index.php", {}, {}, lambda answer: None)
        assert time.monotonic() - began < 1.2
        session.close()
    is_told(told.value, "used up its time")


def test_host_that_is_none_and_port_that_is_closed() -> None:
    _, nowhere = ask("http://matomo.invalid", attempts=1)
    is_told(nowhere, "matomo.invalid", "no such host")
    with wire(GOOD) as (url, _):
        pass
    _, closed = ask(url, attempts=1)
    is_told(closed, "nothing listens")
    assert type(nowhere) is type(closed) is SourceUnreachable


@pytest.mark.parametrize("url", ["http://", "http://a..b", "http://x:99999", "http://exa mple.org"])
def test_addresses_that_are_none(url: str) -> None:
    _, error = ask(url, attempts=1)
    is_told(error, "url")


def test_missing_authority_file_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    _, error = ask("https://127.0.0.1:1", attempts=1)
    is_told(error, "REQUESTS_CA_BUNDLE")


def test_compressed_answers_are_read() -> None:
    packed = gzip.compress(b'["x"]')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    with wire(head + packed) as (url, _):
        _, answer = ask(url)
    assert isinstance(answer, Answer)
    assert answer.body == b'["x"]'


def cut_inside_gzip() -> bytes:
    """An answer whose length is right and whose compressed bytes end early."""
    packed = gzip.compress(b'["' + bytes(range(32, 34)) * 4000 + b'"]')[:-20]
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed


def test_compressed_answer_that_ends_early_is_asked_for_again() -> None:
    with wire(cut_inside_gzip(), GOOD) as (url, _):
        session, answer = ask(url)
    assert isinstance(answer, Answer)
    assert session.requests_made == 2
    with wire(cut_inside_gzip()) as (url, _):
        _, error = ask(url)
    assert type(error) is SourceUnreachable
    is_told(error, "broke off in the middle")


def test_bytes_are_counted_as_they_came_over_the_wire() -> None:
    packed = gzip.compress(b"x" * 10_000)
    with answering(lambda asked: Told(body=packed, headers={"Content-Encoding": "gzip"})) as server:
        session = HttpSession("installers", server.url, FixedClock(NOW))
        answer = session.request("GET", "x", passing=lambda answer: None)
        session.request("GET", "x", passing=lambda answer: None)
        session.close()
    assert len(answer.body) == 10_000
    assert session.bytes_received == 2 * len(packed)
    assert server.asked[0].headers["accept-encoding"] == "gzip"


def test_request_says_what_it_was_told_to_say() -> None:
    with answering(lambda asked: Told(body=[], headers={"X-Says": "a"})) as server:
        session = HttpSession("installers", server.url, FixedClock(NOW))
        answer = session.request("GET", "api/x", params={"b": "æ &"}, headers={"X-Own": "1"}, passing=lambda _: None)
        session.request("POST", "api/y/", json={"b": ["æ", None]}, passing=lambda _: None)
        session.request("POST", "auth/token", form={"b": "æ &"}, passing=lambda _: None)
        session.close()
    got, posted, form = server.asked
    assert (got.method, got.path, got.query, got.body) == ("GET", "/api/x", {"b": "æ &"}, b"")
    assert got.headers["x-own"] == "1"
    assert "content-type" not in got.headers
    assert (posted.method, posted.path, posted.json) == ("POST", "/api/y/", {"b": ["æ", None]})
    assert posted.headers["content-type"] == "application/json"
    assert form.form == {"b": "æ &"}
    assert answer.headers["x-says"] == "a"


@pytest.mark.parametrize(
    ("retry_after", "seconds"), [({"Retry-After": "37"}, 37), ({}, 60), ({"Retry-After": "7200"}, 900)]
)
def test_too_many_requests_waits_as_told(retry_after: dict[str, str], seconds: float) -> None:
    clock = Waits()
    answers = [Told(429, headers=retry_after), Told(body=[])]
    with answering(lambda asked: answers.pop(0)) as server:
        session, answer = ask(server.url, clock)
    assert isinstance(answer, Answer)
    assert clock.slept == [seconds]
    assert session.requests_made == 2


def test_date_of_retry_after_is_waited_for() -> None:
    clock = Waits()
    answers = [Told(429, headers={"Retry-After": "Fri, 20 Nov 2026 12:02:00 GMT"}), Told(body=[])]
    with answering(lambda asked: answers.pop(0)) as server:
        ask(server.url, clock)
    assert clock.slept == [120]


def test_too_many_requests_ends_after_so_many_tries() -> None:
    clock = Waits()
    with answering(lambda asked: Told(429, headers={"Retry-After": "5"})) as server:
        session, error = ask(server.url, clock)
    assert type(error) is SourceBusy
    assert error.retry_after == 5
    is_told(error, "429", "4 times")
    assert clock.slept == [5, 5, 5]
    assert session.requests_made == 4


def test_wait_beyond_the_budget_is_not_begun() -> None:
    clock = Waits()
    with answering(lambda asked: Told(429, headers={"Retry-After": "120"})) as server:
        session, error = ask(server.url, clock, budget=100)
    assert type(error) is SourceBusy
    assert error.retry_after == 120
    is_told(error, "100 s", "120 s", "kept")
    assert clock.slept == []
    assert session.requests_made == 1


def test_which_statuses_pass_is_the_sessions_choice() -> None:
    for transient, requests in ((TRANSIENT_STATUS, 1), (TRANSIENT_STATUS | {500}, 2)):
        answers = [Told(500), Told(body=[])]
        with answering(lambda asked, answers=answers: answers.pop(0)) as server:  # type: ignore[misc]
            session = HttpSession("installers", server.url, FixedClock(NOW), transient=transient)
            session.request("GET", "x", passing=lambda answer: None)
            session.close()
        assert session.requests_made == requests


def test_requests_of_a_session_can_be_bounded() -> None:
    with answering(lambda asked: Told(503)) as server:
        session, error = ask(server.url, requests=3)
    assert type(error) is RequestsSpent
    is_told(error, "3 requests", "kept", "next pass")
    assert session.requests_made == len(server.asked) == 3


def test_threads_share_a_session_and_lose_no_count() -> None:
    with answering(lambda asked: Told(body=asked.body * 3)) as server:
        session = HttpSession("installers", server.url, FixedClock(NOW), HttpLimits(requests=50))
        found: list[bytes | type] = []

        def work(number: int) -> None:
            for turn in range(15):
                try:
                    sent = f"{number:02}{turn:02}".encode()
                    form = {"is": sent.decode()}
                    body = session.request("POST", "x", form=form, passing=lambda _: None).body
                    assert body == b"is=" + sent + b"is=" + sent + b"is=" + sent
                    found.append(body)
                except MatokitError as error:
                    found.append(type(error))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
        session.close()
    assert session.requests_made == len(server.asked) == 50
    assert found.count(RequestsSpent) == 10
    assert len(found) == 60
    assert session.bytes_received == sum(len(body) for body in found if isinstance(body, bytes))


def test_cookies_are_not_kept() -> None:
    with answering(lambda asked: Told(body=[], headers={"Set-Cookie": "id=1; Path=/"})) as server:
        session = HttpSession("installers", server.url, FixedClock(NOW))
        for _ in range(2):
            session.request("GET", "x", passing=lambda answer: None)
        session.close()
    assert all("cookie" not in asked.headers for asked in server.asked)


def test_log_ins_of_this_machine_do_not_replace_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with answering(lambda asked: Told(body=[])) as server:
        session = HttpSession("installers", server.url, FixedClock(NOW))
        session.request("GET", "x", headers={"Authorization": "Bearer ours"}, passing=lambda answer: None)
        session.request("GET", "x", passing=lambda answer: None)
        session.close()
    assert server.asked[0].headers["authorization"] == "Bearer ours"
    assert "authorization" not in server.asked[1].headers


@pytest.mark.parametrize("told", [Told(200), Told(503), Told(302, headers={"Location": "https://b.example"})])
def test_nothing_secret_is_in_what_is_shown(told: Told) -> None:
    with answering(lambda asked: Told(told.status, {"access_token": SECRET}, headers=told.headers)) as server:
        session = HttpSession("installers", server.url, FixedClock(NOW), HttpLimits(attempts=2))
        headers = {"Authorization": f"Bearer {SECRET}"}
        shown = ""
        try:
            shown += repr(session.request("POST", "x", form={"a": SECRET}, headers=headers, passing=lambda _: None))
        except MatokitError as error:
            shown += "".join(traceback.format_exception(error))
        session.close()
    assert shown
    assert SECRET not in shown + repr(session)


def test_log_in_in_an_address_is_not_shown() -> None:
    for url in (f"http://me:{SECRET}@127.0.0.1:1", f"http://me:{SECRET}@x:99999", f"http://me:{SECRET}@exa mple.org"):
        _, error = ask(url, attempts=1)
        is_told(error)
