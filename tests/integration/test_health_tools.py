"""GetHealthStatus over real parts: a Matomo and a Piwik PRO on loopback, a published snapshot, the cache, the queue."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines import state
from matokit_pipelines.clock import FixedClock, SystemClock
from matokit_pipelines.errors import StateError
from matokit_pipelines.simulator import Assumptions, PiwikProSimulator, generate
from matokit_pipelines.toolserver.health.probes import is_ready
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.live import REFUSED_SECONDS
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.tracking.hits import Hit
from matokit_pipelines.toolserver.tracking.queue import TrackingQueue
from tests.health_kits import NOW, ask, health, kit_of, publish, settings_of
from tests.upstreams import TOKEN, Reply, Upstream, matomo

pytestmark = pytest.mark.slow

ORDER = ["matomo-api", "reports-cache", "tracking-queue", "rate-limit"]


@pytest.fixture
def server() -> Iterator[Upstream]:
    with Upstream(matomo()).serving() as upstream:
        yield upstream


@pytest.fixture
def kit(tmp_path: Path, server: Upstream) -> Iterator[Kit]:
    loaded = settings_of(tmp_path, server.url)
    publish(loaded)
    with kit_of(loaded) as found:
        yield found


def looked_up(kit: Kit, hits: int, misses: int) -> None:
    """Lookups in the cache."""

    async def value() -> Any:
        return b"{}"

    asyncio.run(kit.cache.made_once("popularUrls", "known", 1, value))
    for _ in range(hits):
        assert kit.cache.lookup("popularUrls", "known", 1) is not None
    for number in range(misses):
        assert kit.cache.lookup("popularUrls", f"other {number}", 1) is None


def test_all_is_well(kit: Kit, server: Upstream) -> None:
    value = ask(kit, "GetHealthStatus")
    assert value["status"] == "healthy"
    assert [check["name"] for check in value["checks"]] == [*ORDER, "warehouse"]
    assert value["timestamp"] == value["as_of"] == "2026-11-22T12:00:00.000Z"
    assert {check["status"] for check in value["checks"]} == {"pass"}
    by_name = {check["name"]: check for check in value["checks"]}
    assert by_name["matomo-api"] == {
        "name": "matomo-api", "status": "pass", "componentType": "service", "observedValue": 0, "observedUnit": "ms",
        "time": "2026-11-22T12:00:00.000Z", "output": "API responded in 0ms",
    }  # fmt: skip
    assert by_name["warehouse"]["observedValue"] == 600
    assert "tables" not in by_name["warehouse"]
    assert "observedValue" not in by_name["tracking-queue"]
    assert server.asked == ["API.getMatomoVersion"]
    assert is_ready(kit)


def test_details_add_access_and_tables(kit: Kit) -> None:
    status, checks = health(kit, includeDetails="true", siteId="1")
    assert status == "healthy"
    assert checks["site-access"]["output"] == "Site ID 1 accessible"
    tables = {table["name"]: table for table in checks["warehouse"]["tables"]}
    assert tables["component_daily"]["ageSeconds"] == 600
    assert tables["component_daily"]["expectedSeconds"] == 6 * 3600
    assert tables["component_daily"]["status"] == "pass"


@pytest.mark.parametrize("flag", ["false", False, "FALSE", None, ""])
def test_details_only_when_asked(kit: Kit, flag: object) -> None:
    assert "site-access" not in health(kit, includeDetails=flag)[1]


def test_a_site_that_may_not_be_viewed(kit: Kit) -> None:
    status, checks = health(kit, includeDetails=True, siteId=99)
    assert status == "unhealthy"
    assert checks["site-access"]["status"] == "fail"
    assert checks["matomo-api"]["status"] == "pass"
    assert "site 99" in checks["site-access"]["output"]


def test_a_site_that_cannot_be_one(kit: Kit) -> None:
    with pytest.raises(Problem, match='no site "nonsense"'):
        ask(kit, "GetHealthStatus", siteId="nonsense")


def test_monitors_do_not_hammer(tmp_path: Path, server: Upstream) -> None:
    loaded = settings_of(tmp_path, server.url, "", MATOKIT_INSTALLERS_TOKEN="wrong" * 6)
    publish(loaded)
    clock = FixedClock(NOW)
    with kit_of(loaded, clock) as kit:
        for _ in range(360):  # an hour of a monitor that asks every ten seconds
            status, checks = health(kit, includeDetails=True)
            assert status == "unhealthy"
            clock.advance(timedelta(seconds=10))
        assert "refuses the token" in checks["matomo-api"]["output"]
        assert TOKEN not in str(checks)
        assert len(server.tokens) <= 8  # some twenty failed log-ins an hour lock an address out


def test_a_token_that_became_good_again_is_noticed_in_half_an_hour(tmp_path: Path) -> None:
    known = "another" * 4
    with Upstream(lambda method, params: matomo(token=known)(method, params)).serving() as server:
        loaded = settings_of(tmp_path, server.url)
        publish(loaded)
        clock = FixedClock(NOW)
        with kit_of(loaded, clock) as kit:
            with pytest.raises(Problem):
                kit.live.facts(kit.sites.find(1))
            known = TOKEN
            clock.advance(timedelta(seconds=REFUSED_SECONDS - 10))
            assert health(kit)[0] == "unhealthy"
            clock.advance(timedelta(seconds=30))
            assert health(kit)[0] == "healthy"


def test_a_good_connection_is_asked_four_times_a_minute_at_most(kit: Kit, server: Upstream) -> None:
    clock = kit.clock
    assert isinstance(clock, FixedClock)
    for _ in range(60):
        health(kit)
        clock.advance(timedelta(seconds=1))
    assert len(server.asked) == 4


SECOND = """
[[sources]]
name = "shop"
kind = "matomo"
url = "{url}"
site_id = "2"
"""


@pytest.mark.parametrize(("token", "names"), [(TOKEN, 1), ("another" * 4, 2)])
def test_sources_of_one_matomo_are_checked_once_a_token(
    tmp_path: Path, server: Upstream, token: str, names: int
) -> None:
    loaded = settings_of(tmp_path, server.url, SECOND.format(url=server.url), MATOKIT_SHOP_TOKEN=token)
    with kit_of(loaded) as kit:
        for _ in range(3):
            _, checks = health(kit)
    assert [name for name in checks if name.startswith("matomo-api")] == ["matomo-api", "matomo-api (shop)"][:names]
    if names == 2:
        assert (checks["matomo-api"]["status"], checks["matomo-api (shop)"]["status"]) == ("pass", "fail")
        assert server.tokens.count(token) == 2


def test_matomo_is_down(tmp_path: Path) -> None:
    loaded = settings_of(tmp_path, "http://127.0.0.1:9")
    publish(loaded)
    with kit_of(loaded) as kit:
        status, checks = health(kit)
    assert status == "unhealthy"
    assert "nothing listens there" in checks["matomo-api"]["output"]
    assert "observedValue" not in checks["matomo-api"]


def test_a_slow_matomo_does_not_hold_up_the_answer(tmp_path: Path) -> None:
    over = threading.Event()

    def answer(method: str, params: dict[str, str]) -> Reply:
        over.wait(20)
        return Reply({})

    with Upstream(answer).serving() as server:
        loaded = settings_of(tmp_path, server.url, "[toolserver]\ncall_seconds = 1\n")
        with kit_of(loaded, SystemClock()) as kit:
            began = time.monotonic()
            status, checks = health(kit, includeDetails=True)
            taken = time.monotonic() - began
            over.set()
    assert status == "unhealthy"
    assert "did not answer in time" in checks["matomo-api"]["output"]
    assert taken < 3


@pytest.mark.parametrize(
    ("hits", "misses", "status", "value"),
    [(0, 0, "pass", 0), (0, 10, "pass", 0), (0, 11, "warn", 0), (0, 20, "warn", 0), (1, 20, "fail", 4.76),
     (2, 20, "warn", 9.09), (5, 20, "pass", 20.0), (0, 21, "fail", 0)],
)  # fmt: skip
def test_hit_rate_of_the_cache(kit: Kit, hits: int, misses: int, status: str, value: float) -> None:
    looked_up(kit, hits, misses)
    _, checks = health(kit)
    cache = checks["reports-cache"]
    assert (cache["status"], cache["observedValue"], cache["observedUnit"]) == (status, value, "%")
    share = 100 * hits / (hits + misses) if hits + misses else 0
    assert cache["output"] == f"Hit rate: {share:.1f}% ({hits}/{hits + misses} requests)"


def test_calls_that_fail_are_no_lookups(kit: Kit) -> None:
    async def failing() -> Any:
        raise Problem("network", "Matomo is away.")

    async def some(number: int) -> None:
        assert kit.cache.lookup("popularUrls", number, 1) is None
        calls = [kit.cache.made_once("popularUrls", number, 1, failing) for _ in range(2)]
        assert {type(one) for one in await asyncio.gather(*calls, return_exceptions=True)} == {Problem}
        assert kit.cache.lookup("popularUrls", number, 1) is None

    for number in range(30):
        asyncio.run(some(number))
    assert kit.cache.counts["popularUrls"].failed == 60
    looked_up(kit, 1, 3)
    check = health(kit)[1]["reports-cache"]
    assert (check["status"], check["output"]) == ("pass", "Hit rate: 25.0% (1/4 requests)")


def test_a_cache_that_is_off_passes(tmp_path: Path, server: Upstream) -> None:
    loaded = settings_of(tmp_path, server.url, "[toolserver]\ncache_seconds = 0\n")
    with kit_of(loaded) as kit:
        looked_up(kit, 0, 44)
        check = health(kit)[1]["reports-cache"]
    assert (check["status"], check["output"]) == ("pass", "The cache is off (toolserver.cache_seconds).")


@pytest.mark.parametrize(
    ("headers", "status", "value"),
    [({}, "pass", None), ({"Limit": "100", "Remaining": "50", "Reset": "60"}, "pass", 50),
     ({"Limit": "100", "Remaining": "10", "Reset": "60"}, "warn", 10),
     ({"Limit": "100", "Remaining": "0", "Reset": "60"}, "fail", 0)],
)  # fmt: skip
def test_rate_limit(tmp_path: Path, headers: dict[str, str], status: str, value: int | None) -> None:
    sent = {f"X-RateLimit-{name}": told for name, told in headers.items()}

    def answer(method: str, params: dict[str, str]) -> Reply:
        return replace(matomo()(method, params), headers=sent)

    with Upstream(answer).serving() as server:
        loaded = settings_of(tmp_path, server.url)
        publish(loaded)
        with kit_of(loaded) as kit:
            _, checks = health(kit)
    assert (checks["rate-limit"]["status"], checks["rate-limit"].get("observedValue")) == (status, value)


# -- tables -----------------------------------------------------------------------------------------------------------


def test_nothing_published(tmp_path: Path, server: Upstream) -> None:
    with kit_of(settings_of(tmp_path, server.url)) as kit:
        status, checks = health(kit)
        assert not is_ready(kit)
    assert status == "unhealthy"
    assert checks["warehouse"]["status"] == "fail"
    assert str(tmp_path) not in str(checks)


def test_old_data_degrade(tmp_path: Path, server: Upstream) -> None:
    loaded = settings_of(tmp_path, server.url)
    publish(loaded, complete_to=NOW - timedelta(hours=9))
    with kit_of(loaded) as kit:
        status, checks = health(kit, includeDetails=True)
    assert (status, checks["warehouse"]["status"]) == ("degraded", "warn")
    assert "source installers is complete only to 9 h ago" in checks["warehouse"]["output"]
    assert checks["warehouse"]["observedValue"] == 9 * 3600
    assert {table["status"] for table in checks["warehouse"]["tables"] if not table["name"].startswith("web_")} == {
        "warn"
    }


def test_a_failed_pass_degrades(tmp_path: Path, server: Upstream) -> None:
    loaded = settings_of(tmp_path, server.url)
    publish(loaded, failed="It said no.")
    with kit_of(loaded) as kit:
        _, checks = health(kit)
    assert "the last pass over source installers failed" in checks["warehouse"]["output"]


@pytest.mark.parametrize(
    ("read", "status", "said"),
    [
        (timedelta(minutes=30), "pass", "web reports as of 2026-11-22T11:30Z."),
        (timedelta(hours=5), "warn", "web reports of installers were last read 5 h ago"),
        (None, "warn", "web reports of installers have not been read to the end yet"),
    ],
)
def test_age_of_web_reports(tmp_path: Path, server: Upstream, read: timedelta | None, status: str, said: str) -> None:
    loaded = settings_of(tmp_path, server.url, 'provides = ["installer_events", "web_reports"]\n')
    publish(loaded, web_read_at=NOW - read if read else None)
    with kit_of(loaded) as kit:
        _, checks = health(kit, includeDetails=True)
    check = checks["warehouse"]
    assert check["status"] == status
    assert said in check["output"]
    tables = {table["name"]: table for table in check["tables"]}
    web = tables["web_visits"]
    assert web["status"] == status
    assert web["ageSeconds"] == (read.total_seconds() if read else None)
    assert web["expectedSeconds"] == 135 * 60
    assert tables["component_daily"]["status"] == "pass"


def test_a_home_without_web_reports_does_not_miss_them(kit: Kit) -> None:
    _, checks = health(kit, includeDetails=True)
    tables = checks["warehouse"]["tables"]
    assert {table["status"] for table in tables} == {"pass"}
    assert "component_daily" in {table["name"] for table in tables}


def test_a_damaged_newer_snapshot_degrades_and_the_old_one_stays(tmp_path: Path, server: Upstream) -> None:
    loaded = settings_of(tmp_path, server.url)
    publish(loaded)
    clock = FixedClock(NOW)
    with kit_of(loaded, clock) as kit:
        assert health(kit)[0] == "healthy"
        folder = loaded.home / "serving"
        (folder / "marts-99.duckdb").write_bytes(b"no database")
        (folder / "CURRENT").write_text("marts-99.duckdb\n", encoding="utf-8")
        clock.advance(timedelta(seconds=1))
        kit.snapshots.look()
        status, checks = health(kit)
        assert is_ready(kit)
    assert (status, checks["warehouse"]["status"]) == ("degraded", "warn")
    assert "cannot be put in service" in checks["warehouse"]["output"]


@pytest.mark.parametrize("pointer", ["no snapshot at all", "../elsewhere/marts-7.duckdb", "", None])
def test_why_the_newest_is_not_in_service_is_in_the_log_once(
    tmp_path: Path, server: Upstream, caplog: pytest.LogCaptureFixture, pointer: str | None
) -> None:
    loaded = settings_of(tmp_path, server.url)
    publish(loaded)
    clock = FixedClock(NOW)
    with kit_of(loaded, clock) as kit:
        current = loaded.home / "serving" / "CURRENT"
        was = current.read_text(encoding="utf-8")
        if pointer is None:
            current.unlink()
        else:
            current.write_text(pointer, encoding="utf-8")
        for _ in range(5):
            clock.advance(timedelta(seconds=1))
            checks = health(kit)[1]
        current.write_text(was, encoding="utf-8")
        clock.advance(timedelta(seconds=1))
        assert health(kit)[1]["warehouse"]["status"] == "pass"
    assert "what was published last cannot be put in service" in checks["warehouse"]["output"]
    assert str(tmp_path) not in checks["warehouse"]["output"]
    [said] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert str(loaded.home) in said.getMessage()


# -- the queue --------------------------------------------------------------------------------------------------------


def test_the_queue_as_it_is(tmp_path: Path) -> None:
    def answer(method: str, params: dict[str, str]) -> Reply:
        return Reply(b"", 503, kind="text/plain") if "matomo.php" in method else matomo()(method, params)

    with Upstream(answer).serving() as server:
        loaded = settings_of(tmp_path, server.url)
        publish(loaded)
        clock = FixedClock(NOW)
        with kit_of(loaded, clock) as kit:
            queue = TrackingQueue(loaded.home, kit.sites, clock, answer_within=0.0)
            kit = replace(kit, tracking=queue)
            assert health(kit)[1]["tracking-queue"]["output"] == "Queue processing normally"
            site = kit.sites.find(1)
            form = {"idsite": "1", "url": "https://a.example.org"}
            queue.accept(Hit("pageview", site.id, site.name, site.tracking_url, form, None, None, None, {}))
            clock.advance(timedelta(seconds=90))
            check = health(kit)[1]["tracking-queue"]
            assert (check["status"], check["observedValue"], check["observedUnit"]) == ("pass", 1, "pending")
            assert check["output"] == "1 hit waits, the oldest for 90 s"
            clock.advance(timedelta(minutes=10))
            assert health(kit)[1]["tracking-queue"]["status"] == "warn"
            clock.advance(timedelta(hours=1))
            status, checks = health(kit)
            assert (status, checks["tracking-queue"]["status"]) == ("unhealthy", "fail")


def test_hits_that_cannot_be_kept(tmp_path: Path, server: Upstream) -> None:
    """On a full disk the store can be read, and the queue looks empty."""
    loaded = settings_of(tmp_path, server.url)
    publish(loaded)
    clock = FixedClock(NOW)
    with kit_of(loaded, clock) as kit:
        queue = TrackingQueue(loaded.home, kit.sites, clock, answer_within=0.0)
        kit = replace(kit, tracking=queue)
        site = kit.sites.find(1)
        hit = Hit("pageview", site.id, site.name, site.tracking_url, {"url": "u" * 60_000}, None, None, None, {})
        with state.opened(loaded.home) as connection:
            [pages] = connection.execute("pragma page_count").fetchone()
        with full_at(pages + 2):
            for _ in range(5):
                with pytest.raises(StateError, match="full"):
                    queue.accept(hit)
            clock.advance(timedelta(minutes=5))
            check = health(kit)[1]["tracking-queue"]
            assert check["status"] == "fail"
            assert check["output"].startswith("Hits cannot be kept since 2026-11-22T12:00Z (the disk may be full)")
            assert str(tmp_path) not in check["output"]
        clock.advance(timedelta(minutes=6))
        check = health(kit)[1]["tracking-queue"]
        assert check["status"] == "warn"
        assert "the last hit could not be kept, 11 min ago" in check["output"]
        queue.accept(hit)
        assert health(kit)[1]["tracking-queue"]["status"] == "pass"


@contextmanager
def full_at(pages: int) -> Iterator[None]:
    """SQLite files may not grow beyond so many pages, which it tells as a full disk."""
    connect = sqlite3.connect

    def limited(*args: Any, **more: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **more)
        connection.execute(f"pragma max_page_count = {pages}")
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", limited)
        yield


# -- Piwik PRO --------------------------------------------------------------------------------------------------------

PIWIK_PRO = """
[[sources]]
name = "cloud"
kind = "piwik_pro"
url = "{url}"
site_id = "{site}"
start_date = 2026-11-01
"""


@pytest.fixture
def cloud() -> Iterator[PiwikProSimulator]:
    truth = generate(days=3, events_per_day=5, seed=2, end=NOW)
    with PiwikProSimulator(truth, now=lambda: NOW, assumed=Assumptions(rate_limit=False)) as simulator:
        yield simulator


def with_cloud(folder: Path, server: Upstream, cloud: PiwikProSimulator, secret: str) -> Any:
    more = PIWIK_PRO.format(url=cloud.url, site=cloud.site_id)
    return settings_of(
        folder, server.url, more, MATOKIT_CLOUD_CLIENT_ID=cloud.client_id, MATOKIT_CLOUD_CLIENT_SECRET=secret
    )


def test_piwik_pro_answers(tmp_path: Path, server: Upstream, cloud: PiwikProSimulator) -> None:
    with kit_of(with_cloud(tmp_path, server, cloud, cloud.client_secret)) as kit:
        _, checks = health(kit)
    assert checks["piwik-pro-api"]["status"] == "pass"
    assert checks["piwik-pro-api"]["observedUnit"] == "ms"


def test_piwik_pro_refuses(tmp_path: Path, server: Upstream, cloud: PiwikProSimulator) -> None:
    clock = FixedClock(NOW)
    with kit_of(with_cloud(tmp_path, server, cloud, "wrong"), clock) as kit:
        for _ in range(20):
            _, checks = health(kit)
            clock.advance(timedelta(seconds=60))
    assert checks["piwik-pro-api"]["status"] == "fail"
    assert "refuses the credentials of source cloud" in checks["piwik-pro-api"]["output"]
    assert cloud.client_id not in str(checks)
    assert cloud.requests.total == 1
