"""What /metrics tells of a real server that was asked things, and that the monitoring files ask for nothing else."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from matokit_pipelines import __version__
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.toolserver.metrics import Metrics
from matokit_pipelines.warehouse.refresh import Home, build_and_publish
from tests.health_kits import NOW, SOURCE, kit_of, publish, settings_of
from tests.serving import Served, served
from tests.upstreams import Reply, Upstream, matomo

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
_NAME = re.compile(r"\bmatokit_[a-z_]+")
_LATER = {"matokit_tracking_queue_oldest_seconds"}  # there only while a hit waits


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def scraped(server: Served) -> Samples:
    answer = server.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return samples(answer.text)


def test_what_is_told_is_what_happened(tmp_path: Path) -> None:
    with Upstream(matomo()).serving() as upstream:
        loaded = settings_of(tmp_path, upstream.url, "[toolserver]\ntracking = true\n")
        publish(loaded)
        with served(loaded, FixedClock(NOW)) as server:
            for _ in range(3):
                server.call("/tools/get-health-status")
            server.post("/tools/get-health-status", {"siteId": "nonsense"})
            server.post("/tools/get-key-numbers", {"segment": "deviceType==desktop"})
            found = scraped(server)
    assert value(found, "matokit_tool_calls_total", tool="GetHealthStatus", face="opal", status="200") == 3
    assert value(found, "matokit_tool_calls_total", tool="GetHealthStatus", face="opal", status="400") == 1
    assert value(found, "matokit_tool_seconds_count", tool="GetHealthStatus", face="opal") == 4
    assert value(found, "matokit_upstream_calls_total", method="API.getMatomoVersion", outcome="ok") == 1
    assert value(found, "matokit_build_info", version=__version__) == 1
    assert value(found, "matokit_ready") == 1
    assert value(found, "matokit_snapshot_generation") == 1
    assert value(found, "matokit_snapshot_trouble") == 0
    assert value(found, "matokit_data_age_seconds") == 600
    assert value(found, "matokit_event_sources") == 1
    assert value(found, "matokit_tracking_queue_depth") == 0
    assert value(found, "matokit_tracking_queue_dead") == 0
    assert not any(name == "matokit_tracking_queue_oldest_seconds" for name, _ in found)
    features = {dict(labels).get("feature") for name, labels in found if name == "matokit_cache_events_total"}
    assert len(features) == 1  # of the one tool that is cached


def test_metrics_need_a_token(tmp_path: Path) -> None:
    with served(settings_of(tmp_path, "http://127.0.0.1:9"), FixedClock(NOW)) as server:
        assert server.get("/metrics", token=None).status_code == 401


def test_nothing_published_is_no_generation_0(tmp_path: Path) -> None:
    metrics = Metrics(FixedClock(NOW))
    with kit_of(settings_of(tmp_path, "http://127.0.0.1:9")) as kit:
        metrics.watch(kit)
        found = samples(metrics.render().decode())
    assert value(found, "matokit_ready") == 0
    names = {name for name, _ in found}
    assert not names & {"matokit_snapshot_generation", "matokit_data_age_seconds", "matokit_tracking_queue_depth"}


def test_two_servers_count_apart() -> None:
    first, second = Metrics(FixedClock(NOW)), Metrics(FixedClock(NOW))
    first.observe("GetEvents", "mcp", 200, 0.01)
    assert b'tool="GetEvents"' in first.render()
    assert b'tool="GetEvents"' not in second.render()


def test_failed_live_questions_are_told_by_category(tmp_path: Path) -> None:
    with Upstream(lambda method, params: Reply(b"", 500, kind="text/plain")).serving() as upstream:
        loaded = settings_of(tmp_path, upstream.url)
        with served(loaded, FixedClock(NOW)) as server:
            server.call("/tools/get-health-status")
            found = scraped(server)
    assert value(found, "matokit_upstream_calls_total", method="API.getMatomoVersion", outcome="server") == 1


# -- the files for Prometheus and Grafana -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every name that a server tells of."""
    with Upstream(matomo()).serving() as upstream:
        loaded = settings_of(tmp_path_factory.mktemp("home"), upstream.url, "[toolserver]\ntracking = true\n")
        publish(loaded, complete_to=NOW - timedelta(minutes=10))
        with served(loaded, FixedClock(NOW)) as server:
            server.call("/tools/get-health-status")
            server.post("/tools/get-key-numbers", {"segment": "deviceType==desktop"})
            return {name for name, _ in scraped(server)} | _LATER


def expressions(document: Any) -> set[str]:
    """Every expression in a document, however deep."""
    if isinstance(document, dict):
        here = {document["expr"]} if isinstance(document.get("expr"), str) else set()
        return here.union(*map(expressions, document.values()))
    return set().union(*map(expressions, document)) if isinstance(document, list) else set()


def test_the_dashboard_asks_for_what_is_told(told: set[str]) -> None:
    board = json.loads((MONITORING / "grafana-dashboard.json").read_text(encoding="utf-8"))
    wanted = {name for expr in expressions(board) for name in _NAME.findall(expr)}
    assert wanted <= told, wanted - told
    gauges = {name for name in told if not name.endswith(("_bucket", "_sum", "_count", "_created", "_total"))}
    assert gauges <= wanted, gauges - wanted  # nothing is told that no panel shows
    places = [panel["gridPos"] for panel in board["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in board["panels"]}) == len(places)


def test_the_rules_ask_for_what_is_told(told: set[str]) -> None:
    rules = yaml.safe_load((MONITORING / "prometheus-rules.yml").read_text(encoding="utf-8"))
    wanted = {name for expr in expressions(rules) for name in _NAME.findall(expr)}
    assert wanted <= told, wanted - told
    every = [rule for group in rules["groups"] for rule in group["rules"]]
    assert all(rule["alert"].startswith("Matokit") and rule["annotations"]["summary"].endswith(".") for rule in every)


def test_each_rule_is_tried_both_ways() -> None:
    """The file for `promtool test rules` has for every alert a moment at which it fires, and one when it does not."""
    rules = yaml.safe_load((MONITORING / "prometheus-rules.yml").read_text(encoding="utf-8"))
    trials = yaml.safe_load((MONITORING / "prometheus-rules-test.yml").read_text(encoding="utf-8"))
    said = {rule["alert"]: rule["annotations"]["summary"] for group in rules["groups"] for rule in group["rules"]}
    moments = [moment for trial in trials["tests"] for moment in trial["alert_rule_test"]]
    assert {moment["alertname"] for moment in moments if not moment["exp_alerts"]} == set(said)
    assert {moment["alertname"] for moment in moments if moment["exp_alerts"]} == set(said)
    for moment in moments:
        for alert in moment["exp_alerts"]:
            text = said[moment["alertname"]]
            for label, given in alert.get("exp_labels", {}).items():
                text = text.replace(f"{{{{ $labels.{label} }}}}", given)
            assert alert["exp_annotations"]["summary"] == text


def test_a_source_never_read_is_told_though_a_snapshot_serves(tmp_path: Path) -> None:
    """A wrong credential from the first day: an age is not told, so MatokitDataUnknown looks for what is missing."""
    loaded = settings_of(tmp_path, "http://127.0.0.1:9")
    build_and_publish(Home.of(loaded, FixedClock(NOW)))
    with served(loaded, FixedClock(NOW)) as server:
        found = scraped(server)
    assert value(found, "matokit_ready") == 1
    assert value(found, "matokit_event_sources") == 1
    assert not any(name == "matokit_data_age_seconds" for name, _ in found)
    rules = (MONITORING / "prometheus-rules.yml").read_text(encoding="utf-8")
    assert "matokit_ready == 1 unless matokit_data_age_seconds unless matokit_event_sources == 0" in rules


def test_a_home_of_web_reports_only_says_that_no_age_is_to_come(tmp_path: Path) -> None:
    loaded = settings_of(tmp_path, "http://127.0.0.1:9", 'provides = ["web_reports"]\n')
    build_and_publish(Home.of(loaded, FixedClock(NOW)))
    metrics = Metrics(FixedClock(NOW))
    with kit_of(loaded) as kit:
        metrics.watch(kit)
        found = samples(metrics.render().decode())
    assert (value(found, "matokit_ready"), value(found, "matokit_event_sources")) == (1, 0)
    assert not any(name == "matokit_data_age_seconds" for name, _ in found)


def test_a_mirror_is_no_source_of_its_own(tmp_path: Path) -> None:
    mirror = SOURCE.format(url="http://127.0.0.1:8").replace("installers", "copy") + 'mirror_of = "installers"\n'
    metrics = Metrics(FixedClock(NOW))
    with kit_of(settings_of(tmp_path, "http://127.0.0.1:9", mirror, MATOKIT_COPY_TOKEN="0" * 32)) as kit:
        metrics.watch(kit)
        assert value(samples(metrics.render().decode()), "matokit_event_sources") == 1


def test_the_scrape_file_names_the_address_and_the_rules() -> None:
    found = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    [job] = found["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("matokit", "/metrics")
    assert job["authorization"]["credentials_file"]
    assert "credentials" not in job["authorization"]
    assert all((MONITORING / name).is_file() for name in found["rule_files"])
