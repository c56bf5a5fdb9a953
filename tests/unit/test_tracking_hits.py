"""Sending one hit, over real sockets: what each end means, and above all whether it may have been counted."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import pytest
import trustme

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.sources.tracking_hits import Ended, Later, Patience, Refused, Taken, address, send_hit
from tests.answering import Asked, Told, answering

CLOCK = FixedClock(datetime(2026, 11, 22, 12, tzinfo=UTC))
TOKEN = "0123456789abcdef" * 2
QUICK = Patience(connect=1.0, read=0.3, budget=0.5)


def send(tracker: str, token: str | None = TOKEN) -> Ended:
    return send_hit(tracker, token, {"idsite": "1", "e_c": "c", "rec": "0"}, CLOCK, QUICK)


@contextmanager
def speaking(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port on which each connection is dealt with by `talk`, then closed."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                talk(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


@pytest.mark.parametrize(
    ("tracker", "path"),
    [("", "/matomo.php"), ("/", "/matomo.php"), ("/piwik", "/piwik/matomo.php"), ("/matomo.php", "/matomo.php"),
     ("/a/piwik.php", "/a/piwik.php"), ("/a/matomo.php/", "/a/matomo.php")],
)  # fmt: skip
def test_the_address_of_a_tracker(tracker: str, path: str) -> None:
    with answering(lambda asked: Told(204)) as server:
        assert send(server.url + tracker) == Taken(204)
    assert server.paths() == [path]
    assert "/".join(address("http://m" + tracker)) == "http://m" + path


def test_what_is_always_sent_wins_and_the_token_is_only_in_the_body() -> None:
    with answering(lambda asked: Told(204)) as server:
        send(server.url)
        send(server.url, token=None)
    first, second = server.asked
    assert first.form == {
        "idsite": "1", "e_c": "c", "rec": "1", "apiv": "1", "send_image": "0", "token_auth": TOKEN,
    }  # fmt: skip
    assert TOKEN not in str(first.headers)
    assert "token_auth" not in second.form


def test_each_hit_has_a_connection_of_its_own() -> None:
    with answering(lambda asked: Told(204)) as server:
        send(server.url)
    assert server.asked[0].headers["connection"] == "close"


@pytest.mark.parametrize(
    ("told", "ended"),
    [
        (Told(204), Taken(204)),
        (Told(200, b"GIF89a", kind="image/gif"), Taken(200)),
        (Told(202, b""), Taken(202)),
        (Told(200, b"", kind="text/html; charset=utf-8"), Taken(200)),
        (Told(200, b"<p>Sign in", kind="text/html; charset=utf-8"),
         Later("a page came back in place of a tracker's answer; correct the url", True, 200)),
        (Told(400), Refused("it answered 400", 400)),
        (Told(401), Refused("it answered 401", 401)),
        (Told(404), Refused("it answered 404", 404)),
        (Told(408), Later("it answered 408", False, 408)),
        (Told(425), Later("it answered 425", False, 425)),
        (Told(429), Later("it answered 429", False, 429)),
        (Told(429, headers={"Retry-After": "7"}), Later("it answered 429", False, 429, 7.0, is_down=True)),
        (Told(503, headers={"Retry-After": "Sun, 22 Nov 2026 12:02:00 GMT"}),
         Later("it answered 503", False, 503, 120.0, is_down=True)),
        (Told(503, headers={"Retry-After": "86400"}), Later("it answered 503", False, 503, 900.0, is_down=True)),
        (Told(500), Later("it answered 500", True, 500)),
        (Told(502), Later("it answered 502", True, 502)),
        (Told(504), Later("it answered 504", True, 504)),
    ],
)  # fmt: skip
def test_what_an_answer_means(told: Told, ended: Ended) -> None:
    with answering(lambda asked: told) as server:
        assert send(server.url) == ended


def later(found: Ended) -> Later:
    assert isinstance(found, Later)
    assert found.is_down
    assert TOKEN not in found.why
    return found


def test_a_redirect_is_not_followed_and_counted_nothing() -> None:
    with answering(lambda asked: Told(302, headers={"Location": "https://elsewhere.example/"})) as server:
        found = later(send(server.url))
    assert (found.is_unknown, "https://elsewhere.example/" in found.why) == (False, True)
    assert len(server.asked) == 1


def test_nothing_listens_there() -> None:
    with speaking(lambda connection: None) as port:
        pass
    found = later(send(f"http://127.0.0.1:{port}"))
    assert (found.is_unknown, found.why) == (False, "nothing listens there (check the url and port)")


def test_there_is_no_such_host() -> None:
    found = later(send("http://no-such-host.invalid"))
    assert not found.is_unknown
    assert found.why.startswith("there is no such host")


def test_no_secure_connection_comes_about() -> None:
    with speaking(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        found = later(send(f"https://127.0.0.1:{port}"))
    assert not found.is_unknown


def test_a_certificate_that_nobody_vouches_for() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    def talk(connection: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(65_536)

    with speaking(talk) as port:
        found = later(send(f"https://127.0.0.1:{port}"))
    assert (found.is_unknown, "does not trust the certificate" in found.why) == (False, True)


def test_an_address_that_is_none() -> None:
    assert not later(send("http://*")).is_unknown


@pytest.mark.parametrize(
    "said", [b"", b"HTT", b"HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\nGIF89a"], ids=["none", "head", "half"]
)
def test_a_connection_lost_after_the_hit_was_sent_leaves_it_open(said: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(said)

    with speaking(talk) as port:
        assert later(send(f"http://127.0.0.1:{port}")).is_unknown


def test_no_answer_in_time_leaves_it_open() -> None:
    over = threading.Event()

    def answer(asked: Asked) -> Told:
        over.wait(10)
        return Told(204)

    with answering(answer) as server:
        found = later(send(server.url))
        over.set()
    assert (found.is_unknown, found.why) == (True, "it did not answer in time")
