"""The tool server when something about it breaks: each fault by itself, asked over real HTTP.

Belongs here: snapshots, the store, the live Matomo, tokens, and requests that are odd. Does not belong here: load
(tests/chaos/test_toolserver_load.py), requests at random (test_toolserver_fuzz.py).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines.settings import Loaded, load
from matokit_pipelines.toolserver.tools import Tool
from tests.served_homes import Full, full_home, point_to, publish_copy
from tests.serving import TOKEN, Served, served

VISITS = "/tools/get-key-numbers"
HEALTH = "/tools/get-health-status"
COMPONENTS = "/tools/get-component-health"
A_MOMENT = 0.1  # seconds of silence after which nothing more is expected
ERROR_KEYS = {"error", "type", "guidance"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Full:
    return full_home(tmp_path_factory.mktemp("full"), days=14, events_per_day=60)


@pytest.fixture
def full(made: Full, tmp_path: Path) -> Full:
    """A home of one's own to break."""
    folder = tmp_path / "own"
    shutil.copytree(made.folder.parent, folder)
    return Full(made.home, {**made.environ, "MATOKIT_HOME": str(folder / "home")})


def loaded_of(full: Full, **environ: str) -> Loaded:
    folder = Path(full.environ["MATOKIT_HOME"]).parent
    return load(folder / "matokit.toml", {**full.environ, **environ}, folder)


def home_of(full: Full) -> Path:
    return Path(full.environ["MATOKIT_HOME"])


def until(what: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something another thread or process does."""
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.02)


def raw(port: int, sent: bytes, *, seconds: float = 5.0, answers: int | None = None) -> bytes:
    """Everything the server says to these bytes until it closes or falls silent: for so long, or for a moment after so
    many whole answers."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=seconds)) as talk:
        talk.settimeout(seconds)
        found = b""
        try:
            talk.sendall(sent)
            while piece := talk.recv(65_536):
                found += piece
                if answers is not None and whole_answers(found) >= answers:
                    talk.settimeout(A_MOMENT)  # none may follow
        except (TimeoutError, ConnectionResetError):
            pass
        return found


def whole_answers(said: bytes) -> int:
    """How many answers with their whole bodies are in what a server said."""
    number = 0
    while True:
        told, end, rest = said.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", told)
        if not end or not length or len(rest) < int(length[1]):
            return number
        number, said = number + 1, rest[int(length[1]) :]


def head(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *lines, "", ""]).encode()


# -- snapshots --------------------------------------------------------------------------------------------------------


def test_no_snapshot_is_a_503_with_guidance_and_not_ready(full: Full) -> None:
    (home_of(full) / "serving" / "CURRENT").unlink()
    with served(loaded_of(full)) as server:
        assert server.client.get("/healthz").status_code == 200
        assert server.client.get("/readyz").status_code == 503
        answer = server.post(COMPONENTS)
        assert answer.status_code == 503
        assert answer.json().keys() >= ERROR_KEYS
        assert int(answer.headers["retry-after"]) >= 1
        assert server.call(HEALTH)["status"] == "unhealthy"


def test_a_snapshot_that_appears_is_taken_into_service(full: Full) -> None:
    current = home_of(full) / "serving" / "CURRENT"
    name = current.read_text().strip()
    current.unlink()
    with served(loaded_of(full)) as server:
        assert server.client.get("/readyz").status_code == 503
        point_to(home_of(full), name)
        until(lambda: server.client.get("/readyz").status_code == 200)
        assert server.call(COMPONENTS)["as_of"]


@pytest.mark.parametrize("damage", ["not a database", "cut off", "missing", "no name"])
def test_a_damaged_newer_snapshot_leaves_the_old_one_in_service(full: Full, damage: str) -> None:
    home = home_of(full)
    serving = home / "serving"
    with served(loaded_of(full)) as server:
        before = server.call(COMPONENTS)
        good = (serving / "CURRENT").read_text().strip()
        bad = serving / "marts-900.duckdb"
        if damage == "not a database":
            bad.write_bytes(os.urandom(40_960))
        elif damage == "cut off":
            bad.write_bytes((serving / good).read_bytes()[:20_000])
        point_to(home, "../elsewhere" if damage == "no name" else bad.name)
        store = server.server.kit.snapshots
        until(lambda: store.trouble is not None)
        assert server.client.get("/readyz").status_code == 200
        assert server.call(COMPONENTS) == before
        health = server.call(HEALTH, {"includeDetails": True})
        assert health["status"] != "healthy"
        assert "matokit_snapshot_trouble 1.0" in server.get("/metrics").text
        publish_copy_of(home, good)
        until(lambda: store.trouble is None)
        assert server.call(COMPONENTS) == before


def publish_copy_of(home: Path, good: str) -> None:
    point_to(home, good)
    publish_copy(home)


def test_a_file_that_rots_in_service_is_told_as_such_and_replaced(full: Full) -> None:
    home = home_of(full)
    serving = home / "serving"
    good = (serving / "CURRENT").read_text().strip()
    kept = serving.parent / "kept.duckdb"
    shutil.copyfile(serving / good, kept)
    with served(loaded_of(full, MATOKIT_TOOLSERVER_CACHE_SECONDS="0")) as server:
        until(lambda: server.client.get("/readyz").status_code == 200)
        with (serving / good).open("r+b") as file:  # the same file, all but its first blocks
            file.seek(12_288)
            file.write(b"\xa5" * (kept.stat().st_size - 12_288))
        broken = server.post(COMPONENTS)
        assert broken.status_code == 503, broken.text
        assert "build" in broken.json()["guidance"] or "matokit build" in broken.json()["error"]
        assert str(home) not in broken.text
        shutil.copyfile(kept, serving / "marts-901.duckdb")
        point_to(home, "marts-901.duckdb")
        until(lambda: server.post(COMPONENTS).status_code == 200)


def test_a_swap_changes_the_generation_and_ends_cached_answers(full: Full) -> None:
    with served(loaded_of(full)) as server:
        server.call(COMPONENTS)
        server.call(COMPONENTS)
        hits = server.server.kit.cache.counts["installerComponents"].hits
        assert hits == 1
        generation = publish_copy(home_of(full))
        until(lambda: server.server.kit.snapshots.generation == generation)
        server.call(COMPONENTS)
        assert server.server.kit.cache.counts["installerComponents"].hits == hits


# -- calls at once ----------------------------------------------------------------------------------------------------


def test_every_tool_answers_with_a_single_reader(full: Full) -> None:
    """A tool that wanted a second reader while it holds one would wait for itself."""
    with served(loaded_of(full, MATOKIT_TOOLSERVER_CALLS_AT_ONCE="1", MATOKIT_TOOLSERVER_CALL_SECONDS="10")) as server:
        for tool in server.client.get("/discovery").json()["functions"]:
            answer = server.post(tool["endpoint"])
            assert answer.status_code in (200, 400), f"{tool['name']}: {answer.text}"


class Held:
    """Tools whose work waits for us."""

    def __init__(self, server: Served, endpoint: str) -> None:
        tool: Tool[Any] = server.server._tools[endpoint]
        self.going, self.release, self.calls = threading.Semaphore(0), threading.Event(), 0
        inner, lock = tool.function, threading.Lock()

        def function(kit: Any, parameters: Any) -> Any:
            with lock:
                self.calls += 1
            self.going.release()
            assert self.release.wait(30)
            return inner(kit, parameters)

        object.__setattr__(tool, "function", function)
        self._tool, self._inner = tool, inner

    def undo(self) -> None:
        object.__setattr__(self._tool, "function", self._inner)


@pytest.fixture
def holding() -> Iterator[Callable[[Served, str], Held]]:
    held: list[Held] = []

    def hold(server: Served, endpoint: str) -> Held:
        held.append(Held(server, endpoint))
        return held[-1]

    yield hold
    for one in held:
        one.release.set()
        one.undo()


def test_the_same_question_at_once_is_worked_out_once(full: Full, holding: Callable[[Served, str], Held]) -> None:
    with served(loaded_of(full)) as server, ThreadPoolExecutor(12) as pool:
        held = holding(server, COMPONENTS)
        answers = [pool.submit(server.call, COMPONENTS) for _ in range(12)]
        assert held.going.acquire(timeout=10)
        until(lambda: server.server.kit.cache.counts["installerComponents"].shared == 11)
        held.release.set()
        found = [answer.result(20) for answer in answers]
        assert all(one == found[0] for one in found)
        assert held.calls == 1


def test_a_full_queue_is_a_503_that_says_when_to_come_again(full: Full, holding: Callable[[Served, str], Held]) -> None:
    settings = {"MATOKIT_TOOLSERVER_CALLS_AT_ONCE": "2", "MATOKIT_TOOLSERVER_CALLS_WAITING": "1"}
    with served(loaded_of(full, **settings)) as server, ThreadPoolExecutor(3) as pool:
        held = holding(server, COMPONENTS)
        waiting = [pool.submit(server.post, COMPONENTS, {"limit": n + 1}) for n in range(3)]
        for _ in range(2):
            assert held.going.acquire(timeout=10)
        until(lambda: server.server._caller._pending == 3)
        refused = server.post(COMPONENTS, {"limit": 9})
        assert refused.status_code == 503
        assert refused.json()["type"] == "rate-limit"
        assert int(refused.headers["retry-after"]) >= 1
        assert server.client.get("/healthz").status_code == 200
        held.release.set()
        assert [one.result(20).status_code for one in waiting] == [200, 200, 200]
        assert server.post(COMPONENTS, {"limit": 9}).status_code == 200


def test_a_call_that_takes_too_long_is_a_504_in_time(full: Full, holding: Callable[[Served, str], Held]) -> None:
    with served(loaded_of(full, MATOKIT_TOOLSERVER_CALL_SECONDS="0.5")) as server:
        held = holding(server, COMPONENTS)
        began = time.monotonic()
        answer = server.post(COMPONENTS)
        assert 0.4 < time.monotonic() - began < 5
        assert answer.status_code == 504
        assert answer.json().keys() >= ERROR_KEYS
        held.release.set()
        until(lambda: server.server._caller._pending == 0)
        assert server.post(COMPONENTS).status_code == 200


def test_a_caller_that_hangs_up_leaves_the_answer_to_the_others(
    full: Full, holding: Callable[[Served, str], Held]
) -> None:
    body = b'{"parameters": {}}'
    request = head("POST", COMPONENTS, f"authorization: Bearer {TOKEN}", f"content-length: {len(body)}") + body
    with served(loaded_of(full)) as server, ThreadPoolExecutor(1) as pool:
        held = holding(server, COMPONENTS)
        first = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        first.sendall(request)
        assert held.going.acquire(timeout=10)
        second = pool.submit(server.call, COMPONENTS)
        until(lambda: server.server.kit.cache.counts["installerComponents"].shared == 1)
        first.close()
        held.release.set()
        assert second.result(20)["as_of"]
        assert held.calls == 1


# -- the live Matomo --------------------------------------------------------------------------------------------------


def test_a_slow_matomo_is_a_504_within_the_time_of_a_call(full: Full) -> None:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=64)) as silent:
        folder = home_of(full).parent
        file = folder / "matokit.toml"
        port = silent.getsockname()[1]
        file.write_text(file.read_text().replace("http://127.0.0.1:9", f"http://127.0.0.1:{port}"))
        with served(loaded_of(full, MATOKIT_TOOLSERVER_CALL_SECONDS="1")) as server:
            began = time.monotonic()
            answer = server.post(VISITS, {"fresh": True})
            assert answer.status_code == 504, answer.text
            assert time.monotonic() - began < 4
            assert answer.json().keys() >= ERROR_KEYS
            assert server.post(COMPONENTS).status_code == 200, "tables answer beside it"


def test_nobody_at_matomos_address_is_a_502_and_the_tables_still_answer(full: Full) -> None:
    with served(loaded_of(full)) as server:
        answer = server.post(VISITS, {"fresh": True})
        assert answer.status_code == 502, answer.text
        assert answer.json()["type"] == "network"
        assert server.call(VISITS)["as_of"]


# -- the store --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["missing", "locked", "damaged"])
def test_a_store_that_does_not_answer_fails_alone(full: Full, fault: str) -> None:
    store = home_of(full) / "state.sqlite"
    holder = None
    if fault == "missing":
        for file in store.parent.glob("state.sqlite*"):
            file.unlink()
    elif fault == "damaged":
        for file in store.parent.glob("state.sqlite-*"):
            file.unlink()
        store.write_bytes(b"\x00garbage" * 2_000)
    else:
        import sqlite3

        holder = sqlite3.connect(store)
        holder.execute("pragma locking_mode = exclusive")
        holder.execute("begin exclusive")
    try:
        with served(loaded_of(full, MATOKIT_TOOLSERVER_CALL_SECONDS="3")) as server:
            alerts = server.post("/tools/get-alerts")
            if fault == "missing":
                assert alerts.status_code == 200, alerts.text
            else:
                assert alerts.status_code in (502, 503, 504), alerts.text
                assert alerts.json().keys() >= ERROR_KEYS
                assert str(home_of(full)) not in alerts.text
            assert server.post(COMPONENTS).status_code == 200
            assert server.client.get("/readyz").status_code == 200
    finally:
        if holder is not None:
            holder.close()


# -- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_file_renewed_while_running(full: Full, tmp_path: Path) -> None:
    file = tmp_path / "token"
    old, new = "old-token-0123456789abcdef", "new-token-0123456789abcdef"
    file.write_text(old)
    environ = {key: value for key, value in full.environ.items() if key != "MATOKIT_TOOLSERVER_TOKEN"}
    folder = home_of(full).parent
    loaded = load(folder / "matokit.toml", {**environ, "MATOKIT_TOOLSERVER_TOKEN_FILE": str(file)}, folder)

    with served(loaded) as running:

        def status(token: str) -> int:
            return running.post(COMPONENTS, headers={"authorization": f"Bearer {token}"}).status_code

        assert (status(old), status(new)) == (200, 401)
        file.write_text("short")  # a fault leaves the old one
        time.sleep(1.1)  # files are looked at once a second
        assert status(old) == 200
        file.write_text(new)
        until(lambda: status(new) == 200)
        assert status(old) == 401


# -- requests ---------------------------------------------------------------------------------------------------------

BEARER = f"authorization: Bearer {TOKEN}"
ODD: dict[str, tuple[bytes, int]] = {
    "no token": (head("POST", VISITS, "content-length: 0"), 401),
    "another token": (head("POST", VISITS, "authorization: Bearer nonsense", "content-length: 0"), 401),
    "another scheme": (head("POST", VISITS, f"authorization: Basic {TOKEN}", "content-length: 0"), 401),
    "another host": (b"POST " + VISITS.encode() + b" HTTP/1.1\r\nhost: evil.example\r\ncontent-length: 0\r\n\r\n", 421),
    "no host": (b"POST " + VISITS.encode() + b" HTTP/1.1\r\ncontent-length: 0\r\n\r\n", 421),
    "another origin": (head("POST", VISITS, BEARER, "origin: https://evil.example", "content-length: 0"), 403),
    "nothing there": (head("POST", "/tools/none", BEARER, "content-length: 0"), 404),
    "doubled slash": (head("POST", "/" + VISITS, BEARER, "content-length: 0"), 404),
    "trailing slash": (head("POST", VISITS + "/", BEARER, "content-length: 0"), 404),
    "another case": (head("POST", VISITS.upper(), BEARER, "content-length: 0"), 404),
    "by GET": (head("GET", VISITS, BEARER), 405),
    "by OPTIONS": (head("OPTIONS", VISITS, BEARER), 405),
    "discovery by POST": (head("POST", "/discovery", "content-length: 0"), 405),
    "a stream of MCP": (head("GET", "/mcp", BEARER, "accept: text/event-stream"), 405),
    "not JSON": (head("POST", VISITS, BEARER, "content-length: 3") + b"{a}", 400),
    "a list": (head("POST", VISITS, BEARER, "content-length: 2") + b"[]", 400),
    "a wrong argument": (head("POST", VISITS, BEARER, "content-length: 16") + b'{"period":"era"}', 400),
    "told too long": (head("POST", VISITS, BEARER, "content-length: 10000000"), 413),
    "found too long": (
        head("POST", VISITS, BEARER, "transfer-encoding: chunked") + b"20000\r\n" + b" " * 131_072 + b"\r\n0\r\n\r\n",
        413,
    ),
    "two hosts": (head("POST", VISITS, BEARER, "host: localhost", "content-length: 0"), 400),
    "two tokens": (head("POST", VISITS, "authorization: Bearer nonsense", BEARER, "content-length: 0"), 400),
    "another transfer coding": (head("POST", VISITS, BEARER, "transfer-encoding: xchunked") + b"2\r\n{}\r\n", 400),
    "packed": (head("POST", VISITS, BEARER, "transfer-encoding: gzip, chunked") + b"2\r\n{}\r\n0\r\n\r\n", 501),
    "chunks without CR": (head("POST", VISITS, BEARER, "transfer-encoding: chunked") + b"2\n{}\n0\n\n", 400),
    "a long head in one piece": (head("GET", "/healthz", "x: " + "a" * 70_000), 431),
    "no HTTP": (b"\x16\x03\x01 hello\r\n\r\n", 400),
    "no number for a length": (head("POST", VISITS, BEARER, "content-length: abc"), 400),
    "a head without end": (head("GET", "/healthz")[:-2] + b"x: " + b"a" * 700_000, 431),
}


@pytest.fixture(scope="module")
def server(made: Full) -> Iterator[Served]:
    with served(loaded_of(made)) as running:
        yield running


@pytest.mark.parametrize("what", ODD)
def test_every_refusal_has_the_shape_of_an_error(server: Served, what: str) -> None:
    sent, status = ODD[what]
    answer = raw(server.port, sent, answers=1)
    told, _, body = answer.partition(b"\r\n\r\n")
    assert int(told[9:12]) == status, answer
    assert json.loads(body).keys() >= ERROR_KEYS
    assert b"content-type: application/json" in told
    assert b"x-content-type-options: nosniff" in told
    if status == 401:
        assert b"www-authenticate: Bearer" in told
    if status == 405:
        assert b"\r\nallow: " in told


def test_with_error_status_ok_errors_come_with_200(made: Full) -> None:
    with served(loaded_of(made, MATOKIT_TOOLSERVER_ERROR_STATUS="ok")) as running:
        answer = running.post(VISITS, {"period": "era"})
        assert answer.status_code == 200
        assert answer.json()["type"] == "client"
        assert running.client.post(VISITS).status_code == 401, "who is a stranger must know"


def test_head_answers_as_get_without_a_body(server: Served) -> None:
    for path in ("/healthz", "/readyz", "/discovery", "/metrics", "/openapi.json", "/docs"):
        get = server.get(path)
        answer = server.client.head(path, headers={"authorization": f"Bearer {TOKEN}"})
        assert (answer.status_code, answer.content) == (200, b"")
        if path != "/metrics":
            assert answer.headers["content-length"] == get.headers["content-length"]


def test_requests_sent_ahead_are_answered_in_order(server: Served) -> None:
    bodies = [json.dumps({"parameters": {"limit": n}}).encode() for n in (1, 2, 0, 3)]
    sent = b"".join(
        head("POST", "/tools/get-device-types", BEARER, f"x-request-id: n{place}", f"content-length: {len(body)}")
        + body
        for place, body in enumerate(bodies)
    )
    answer = raw(server.port, sent, answers=4)
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"200", b"400", b"200"]
    assert re.findall(rb"x-request-id: (\S+)", answer) == [b"n0", b"n1", b"n2", b"n3"]


def test_too_many_requests_sent_ahead_end_the_connection(server: Served) -> None:
    assert raw(server.port, head("GET", "/healthz") * 5_000, seconds=3.0).count(b"HTTP/1.1 200") <= 100
    assert server.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("fault", ["too many", "no HTTP", "a broken body", "a broken head"])
def test_what_was_asked_before_a_fault_is_answered_before_it_is_told(server: Served, fault: str) -> None:
    good = head("POST", VISITS, BEARER, "content-length: 2") + b"{}"
    broken = {
        "too many": good * 36,
        "no HTTP": b"nonsense\r\n\r\n",
        "a broken body": head("POST", VISITS, BEARER, "transfer-encoding: chunked") + b"z\r\n",
        "a broken head": head("GET", "/healthz", "a b c"),
    }[fault]
    answer = raw(server.port, good * 4 + broken + good, seconds=4.0)
    found = [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", answer)]
    assert found[:4] == [200] * 4
    assert found[-1] == 400
    assert len(found) == 5 if fault != "too many" else set(found[:-1]) == {200}
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2]).keys() >= ERROR_KEYS
    assert b"connection: close" in answer.rpartition(b"HTTP/1.1 400")[2]


def test_an_answer_is_not_followed_by_another_for_the_same_request(server: Served) -> None:
    """It is refused by its head; what then comes in place of its body is nobody's request."""
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=5)) as talk:
        talk.sendall(head("POST", VISITS, "transfer-encoding: chunked"))
        found = talk.recv(65_536)
        talk.sendall(b"zz\r\n")
        while piece := talk.recv(65_536):
            found += piece
    assert re.findall(rb"HTTP/1.1 (\d+)", found) == [b"401"]


def test_a_trailer_is_no_header(server: Served) -> None:
    sent = head("POST", VISITS, "transfer-encoding: chunked") + b"2\r\n{}\r\n0\r\n" + BEARER.encode() + b"\r\n\r\n"
    assert raw(server.port, sent, answers=1)[9:12] == b"401"


def test_a_connection_is_kept_for_the_next_request(server: Served) -> None:
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=5)) as talk:
        for _ in range(3):
            talk.sendall(head("GET", "/healthz"))
            assert talk.recv(65_536).startswith(b"HTTP/1.1 200")


def test_a_request_id_is_given_back_when_it_is_a_plain_one(server: Served) -> None:
    given = server.post(VISITS, headers={"x-request-id": "abc-1.2_3"}).headers["x-request-id"]
    other = server.post(VISITS, headers={"x-request-id": "a b<script>"}).headers["x-request-id"]
    assert given == "abc-1.2_3"
    assert re.fullmatch("[0-9a-f]{16}", other)
    assert server.client.get("/nothing").headers["x-request-id"]


def test_without_places_callers_are_told_so_and_probes_are_answered(
    made: Full, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matokit_pipelines.toolserver.protocol import PatientProtocol

    with served(loaded_of(made)) as running:
        monkeypatch.setattr(PatientProtocol, "places", 3)
        idle = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(4)]
        try:
            answer = raw(running.port, head("POST", VISITS, BEARER, "content-length: 0"), answers=1)
            assert answer.startswith(b"HTTP/1.1 503"), answer
            assert b"retry-after: 1" in answer
            assert json.loads(answer.partition(b"\r\n\r\n")[2]).keys() >= ERROR_KEYS
            assert raw(running.port, head("GET", "/healthz", "connection: close"))[:12] == b"HTTP/1.1 200"
        finally:
            for one in idle:
                one.close()
        until(lambda: running.client.get("/discovery").status_code == 200)


@pytest.mark.slow  # it waits out the real limits
@pytest.mark.parametrize("sent", ["nothing", "half a head", "half a body", "an answered head, half a body", "blanks"])
def test_a_client_that_does_not_go_on_is_let_go(server: Served, sent: str) -> None:
    data = {
        "nothing": b"",
        "half a head": b"GET /healthz HTTP/1.1\r\nhost: 127.",
        "half a body": head("POST", VISITS, BEARER, "content-length: 10") + b"{",
        "an answered head, half a body": head("POST", "/healthz", "content-length: 10") + b"{",
        "blanks": head("GET", "/healthz") + b"\r\n",
    }[sent]
    with closing(socket.create_connection(("127.0.0.1", server.port))) as talk:
        talk.sendall(data)
        talk.settimeout(30)
        found = b""
        if sent in ("an answered head, half a body", "blanks"):  # what comes behind an answer ends uvicorn's own timer
            found = talk.recv(65_536)
            talk.sendall(b"\r\n")
        while piece := talk.recv(65_536):
            found += piece
        if sent == "half a body":
            assert found.startswith(b"HTTP/1.1 408")


def test_the_log_of_a_real_server_tells_no_token_body_or_query(full: Full, tmp_path: Path) -> None:
    secret = "secret-of-a-caller-42"
    errors = tmp_path / "stderr"
    folder = home_of(full).parent
    environ = {**os.environ, **full.environ, "MATOKIT_CONFIG": str(folder / "matokit.toml")}
    command = [sys.executable, "-m", "matokit_pipelines.cli.main", "serve", "--port", "0"]
    with errors.open("wb") as file:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=file, text=True)
        try:
            assert process.stdout is not None
            found = re.search(r":(\d+)/discovery", process.stdout.readline())
            assert found, errors.read_text()
            port = int(found[1])
            body = json.dumps({"parameters": {"segment": secret, "siteId": secret}}).encode()
            for sent in (
                head("POST", VISITS, BEARER, f"content-length: {len(body)}", "x-opal-thread-id: thread-7") + body,
                head("POST", f"{VISITS}?q={secret}", f"authorization: Bearer {secret}", "content-length: 0"),
                head("GET", f"/{secret}?token={secret}", BEARER, f"cookie: matokit_pages={secret}"),
                f"GET {secret} nonsense\r\n\r\n".encode(),
            ):
                assert raw(port, sent, answers=1)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
    text = errors.read_text()
    assert secret not in text
    assert TOKEN not in text
    lines = [json.loads(line) for line in text.splitlines()]
    asked = [(line["what"], line["status"], line["caller"]) for line in lines if "status" in line]
    assert asked == [("GetKeyNumbers", 400, "main"), ("GetKeyNumbers", 401, ""), ("", 404, "main")]
    assert lines[0]["thread"] == "thread-7"
