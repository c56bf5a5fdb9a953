"""docs/health-monitoring.md says what a server answers: made anew here and held against the file."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines.cli import main
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.settings import Loaded
from matokit_pipelines.simulator import Assumptions, PiwikProSimulator, generate
from tests.health_document import ADDRESS, document
from tests.health_kits import NOW, publish, settings_of
from tests.serving import TOKEN, Served, served
from tests.upstreams import Upstream, matomo

PAGE = Path(__file__).parents[2] / "docs" / "health-monitoring.md"
CLOUD = """
[[sources]]
name = "cloud"
kind = "piwik_pro"
url = "{cloud.url}"
site_id = "{cloud.site_id}"
provides = ["installer_events"]
mirror_of = "installers"
[toolserver]
tracking = true
"""


@pytest.fixture
def cloud() -> Iterator[PiwikProSimulator]:
    truth = generate(days=3, events_per_day=5, seed=2, end=NOW)
    with PiwikProSimulator(truth, now=lambda: NOW, assumed=Assumptions(rate_limit=False)) as simulator:
        yield simulator


def home(folder: Path, upstream: Upstream, cloud: PiwikProSimulator, token: str | None = None) -> Loaded:
    secrets = {"MATOKIT_CLOUD_CLIENT_ID": cloud.client_id, "MATOKIT_CLOUD_CLIENT_SECRET": cloud.client_secret}
    if token:
        secrets["MATOKIT_INSTALLERS_TOKEN"] = token
    return settings_of(folder, upstream.url, CLOUD.format(cloud=cloud), **secrets)


@contextmanager
def asked(loaded: Loaded) -> Iterator[Served]:
    with served(loaded, FixedClock(NOW)) as server:
        yield server


def got(server: Served, query: str = "") -> Any:
    answer = server.get(f"/tools/get-health-status{query}")
    assert answer.status_code == 200
    return answer.json()


def command(capfd: pytest.CaptureFixture[str], server: Served) -> str:
    capfd.readouterr()
    main.run(["health", server.url])
    out, err = capfd.readouterr()
    said = re.sub(r"responded in \d+ms", "responded in 45ms", out + err)
    return said.replace(server.url, ADDRESS)


@pytest.fixture
def seen(
    tmp_path: Path, cloud: PiwikProSimulator, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """What servers in several states answered."""
    for name in [name for name in os.environ if name.startswith(("MATOKIT_", "MATOMO_", "OPAL_"))]:
        if name != "MATOKIT_WRITE_GOLDEN":
            monkeypatch.delenv(name)
    monkeypatch.setenv("MATOKIT_TOOLSERVER_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    with Upstream(matomo()).serving() as upstream, Upstream(matomo(())).serving() as empty:
        good = home(tmp_path / "good", upstream, cloud)
        with asked(good) as server:
            found["not ready"] = server.get("/readyz", token=None).text
            assert server.get("/readyz", token=None).status_code == 503
        publish(good)
        with asked(good) as server:
            for name in ("healthz", "health", "readyz"):
                answer = server.get(f"/{name}", token=None)
                assert answer.status_code == 200
                found[name] = answer.text
            for _ in range(4):
                server.call("/tools/get-key-numbers", {"segment": "deviceType==desktop", "date": "2026-11-20"})
            found["healthy"] = got(server)
            found["details"] = got(server, "?includeDetails=true&siteId=1")
            found["diagnosis"] = server.call("/tools/diagnose-matomo")
            found["metrics"] = server.get("/metrics").text
            found["cache"] = server.get("/cache-statistics").json()
            found["command, healthy"] = command(capfd, server)
        old = home(tmp_path / "old", upstream, cloud)
        publish(old, complete_to=NOW - timedelta(hours=9))
        with asked(old) as server:
            found["degraded"] = got(server)
            found["command, degraded"] = command(capfd, server)
        refused = home(tmp_path / "refused", upstream, cloud, token="refused" * 4)
        publish(refused)
        with asked(refused) as server:
            found["unhealthy"] = got(server)
            found["diagnosis, bad token"] = server.call("/tools/diagnose-matomo")
        with asked(home(tmp_path / "empty", empty, cloud)) as server:
            found["diagnosis, no site"] = server.call("/tools/diagnose-matomo")
    return found


def test_the_page_is_what_servers_answer(seen: dict[str, Any]) -> None:
    """Make it anew with: MATOKIT_WRITE_GOLDEN=1 pytest tests/integration/test_health_document.py."""
    statuses = [seen[name]["status"] for name in ("healthy", "details", "degraded", "unhealthy")]
    assert statuses == ["healthy", "healthy", "degraded", "unhealthy"]
    text = document(seen)
    assert TOKEN not in text
    assert not re.search(r"127\.0\.0\.1:(?!4000)\d", text)
    if os.environ.get("MATOKIT_WRITE_GOLDEN"):
        PAGE.write_text(text, encoding="utf-8")
    known = PAGE.read_text(encoding="utf-8")
    changes = list(difflib.unified_diff(known.splitlines(), text.splitlines(), PAGE.name, "now", lineterm="", n=0))
    assert not changes, "\n".join(changes[:40])
