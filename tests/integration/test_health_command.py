"""`matokit health URL` against a real server in each state, as a deployment would call it."""

from __future__ import annotations

import json
import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from matokit_pipelines.cli import main
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import FINE, INCOMPLETE, REFUSED, USAGE
from matokit_pipelines.settings import Loaded
from tests.health_kits import NOW, publish, settings_of
from tests.serving import TOKEN, Served, served
from tests.upstreams import Reply, Upstream, matomo


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that knows nothing of the server but a token."""
    for name in [name for name in os.environ if name.startswith(("MATOKIT_", "MATOMO_", "OPAL_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("MATOKIT_TOOLSERVER_TOKEN", TOKEN)


def asked(capfd: pytest.CaptureFixture[str], url: str, *words: str) -> tuple[int, str, str]:
    code = main.run(["health", url, *words])
    out, err = capfd.readouterr()
    assert TOKEN not in out + err
    return code, out, err


def test_healthy(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Upstream(matomo()).serving() as upstream:
        loaded = settings_of(tmp_path, upstream.url)
        publish(loaded)
        with served(loaded, FixedClock(NOW)) as server:
            code, out, err = asked(capfd, f"{server.url}/")
            assert code == FINE, err
            lines = [line.split()[:2] for line in out.splitlines()]
            assert lines[:4] == [
                ["pass", "process"],
                ["pass", "ready"],
                ["pass", "matomo-api"],
                ["pass", "reports-cache"],
            ]
            assert out.splitlines()[-1] == f"{server.url} is healthy."
            code, out, _ = asked(capfd, server.url, "--json")
            found = {check["name"]: check for check in json.loads(out)}
            assert code == FINE
            assert found["matomo-api"]["observedUnit"] == "ms"


def test_a_new_server_that_was_asked_much_is_not_rolled_back(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its cache has helped with nothing yet."""
    with Upstream(matomo()).serving() as upstream:
        loaded = settings_of(tmp_path, upstream.url)
        publish(loaded)
        with served(loaded, FixedClock(NOW)) as server:
            for day in range(22):
                server.call(
                    "/tools/get-installer-success-rate", {"fromDate": f"2026-10-{31 - day}", "toDate": "2026-11-20"}
                )
            code, out, err = asked(capfd, server.url)
            assert server.get("/tools/get-health-status").json()["status"] == "unhealthy"
    assert code == INCOMPLETE
    assert "fail  reports-cache      Hit rate: 0.0% (0/22 requests)" in out
    assert "is degraded (reports-cache)" in err


def test_degraded_by_old_data(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Upstream(matomo()).serving() as upstream:
        loaded = settings_of(tmp_path, upstream.url)
        publish(loaded, complete_to=NOW - timedelta(hours=9))
        with served(loaded, FixedClock(NOW)) as server:
            code, out, err = asked(capfd, server.url)
    assert code == INCOMPLETE
    assert "warn  warehouse" in out
    assert "is degraded (warehouse)" in err


def test_unhealthy_without_tables_and_without_matomo(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with served(settings_of(tmp_path, "http://127.0.0.1:9"), FixedClock(NOW)) as server:
        code, out, err = asked(capfd, server.url)
    assert code == REFUSED
    assert "fail  ready" in out
    assert "fail  matomo-api" in out
    assert "is unhealthy (ready, matomo-api, warehouse)" in err


def test_without_a_token_only_the_open_probes_are_asked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MATOKIT_TOOLSERVER_TOKEN")
    loaded = settings_of(tmp_path, "http://127.0.0.1:9")
    publish(loaded)
    with served(loaded, FixedClock(NOW)) as server:
        code, out, _ = asked(capfd, server.url)
    assert code == FINE
    assert "up and ready; with a token more can be told" in out


def test_a_token_that_the_server_does_not_take(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("another-token-0123456789\n", encoding="utf-8")
    monkeypatch.setenv("MATOKIT_TOOLSERVER_TOKEN_CI_FILE", str(tmp_path / "token"))
    loaded = settings_of(tmp_path, "http://127.0.0.1:9")
    publish(loaded)
    with served(loaded, FixedClock(NOW)) as server:
        code, out, err = asked(capfd, server.url, "--token-variable", "MATOKIT_TOOLSERVER_TOKEN_CI")
    assert code == USAGE
    assert "answered 401: Unauthorized" in out
    assert "MATOKIT_TOOLSERVER_TOKEN_CI" in err
    assert "another-token" not in out + err
    code, _, err = asked(capfd, server.url, "--token-variable", "NOWHERE")
    assert (code, "NOWHERE holds no token" in err) == (USAGE, True)


def test_nobody_listens(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = asked(capfd, "http://127.0.0.1:9")
    assert code == REFUSED
    assert out.startswith("fail  process")
    assert "Nothing listens there" in out
    assert "unhealthy (process)" in err


def test_something_else_listens(capfd: pytest.CaptureFixture[str]) -> None:
    with Upstream(lambda method, params: Reply(b"<html>Hello</html>", kind="text/html")).serving() as server:
        code, out, _ = asked(capfd, server.url)
    assert code == REFUSED
    assert "fail  health" in out


def test_waits_until_it_is_ready(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Upstream(matomo()).serving() as upstream:
        loaded = settings_of(tmp_path, upstream.url)
        looked = threading.Event()
        with served(loaded) as server:  # by the machine's clock: the server looks for snapshots meanwhile
            thread = threading.Thread(target=_published_after_a_look, args=(server, loaded, looked))
            thread.start()
            code, out, err = asked(capfd, server.url, "--wait", "30")
            thread.join(20)
    assert looked.is_set()
    assert "pass  ready" in out, err
    assert code == INCOMPLETE  # the tables are of the past


def _published_after_a_look(server: Served, loaded: Loaded, looked: threading.Event) -> None:
    assert server.get("/readyz", token=None).status_code == 503
    looked.set()
    publish(loaded)
