"""Every number of every widget beside the same number in plain Python, from events sent over HTTP to both services.

Belongs here: landing, building, publishing, and comparing cell by cell. Does not belong here: what a number means
(tests/plain_numbers.py, tests/plain_marts.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.reports.dashboards.widgets import WINDOWS, load_widgets, numbers
from matokit_pipelines.settings import load
from matokit_pipelines.simulator import Incident, MatomoSimulator, PiwikProSimulator, Truth, generate
from matokit_pipelines.warehouse import refresh
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.snapshots import Snapshot, open_current
from tests import plain_marts, plain_numbers
from tests.comparing import assert_rows, assert_rows_by_key
from tests.plain_truth import Site, events_of

pytestmark = pytest.mark.slow

ZONE = "Europe/Copenhagen"
WIDGETS = load_widgets()
SHOWN = [(name, part) for name, widget in WIDGETS.items() for part in ("", *widget.parts)]
# what is compared of each mart; the rest of it is spread over more than plain Python follows
MARTS = {
    "success_rate_daily": "",
    "architecture_daily": "",
    "os_daily": "",
    "os_first_seen": "",
    "component_daily": "",
    "component_weekly": "where architecture = 'all' and events > 0",
    "component_window": "",
    "component_architecture": "",
    "component_commit": "",
    "commit_performance": "",
    "commit_regression": "",
    "commit_daily": "",
    "commit_leader_changes": "",
    "environment_daily": "",
    "error_daily": "",
    "error_window": "",
    "duration_window": "",
    "system_daily": "",
    "machine_share": "",
    "segment_daily": "",
    "system_window": "",
    "system_monthly": "",
    "error_system_window": "",
    "commit_system_daily": "",
    "os_window": "",
    "os_weekly": "",
}
HOURS_LATER = 5  # so that both services show everything that was sent
# the hour that Europe repeats lies in the first, the one that it leaves out in the second, none in the third
HISTORIES = {
    "autumn": (3, datetime(2026, 10, 27, 12, tzinfo=UTC)),
    "spring": (5, datetime(2026, 4, 2, 9, 30, tzinfo=UTC)),
    "plain": (11, datetime(2026, 11, 22, 7, tzinfo=UTC)),
}
SETTINGS = """
[project]
timezone = "{zone}"

[[sources]]
name = "installers"
kind = "piwik_pro"
url = "{installers.url}"
site_id = "{installers.site_id}"
start_date = {start}

[[sources]]
name = "lab"
kind = "matomo"
url = "{lab.url}"
site_id = "1"
start_date = {start}
"""


@dataclass(frozen=True)
class Told:
    """What was sent, and what the product shows of it."""

    site: Site
    incidents: list[Incident]
    snapshot: Snapshot


@pytest.fixture(
    scope="module",
    params=["autumn", pytest.param("spring", marks=pytest.mark.slow), pytest.param("plain", marks=pytest.mark.slow)],
)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    seed, end = HISTORIES[request.param]
    truth = generate(days=45, events_per_day=150, seed=seed, end=end, zone=ZONE)
    home, sent = landed(truth, tmp_path_factory.mktemp(request.param))
    refresh.build_and_publish(home)
    start = truth.start.astimezone(ZoneInfo(ZONE)).date()
    with open_current(home.loaded.home) as snapshot:
        watermark = snapshot.manifest.watermark
        assert watermark is not None
        assert watermark > end
        last = watermark.astimezone(ZoneInfo(ZONE)).date() - timedelta(days=1)
        yield Told(Site(events_of(sent), start, last, watermark), truth.incidents, snapshot)


def landed(truth: Truth, folder: Path) -> tuple[Home, dict[str, Truth]]:
    """A home that has read everything: seven of ten machines from a Piwik PRO, the others from a Matomo."""
    clock = FixedClock(truth.end + timedelta(hours=HOURS_LATER))
    ours, theirs = truth.split(0.7)
    with PiwikProSimulator(ours, now=clock.now) as installers, MatomoSimulator(theirs, now=clock.now) as lab:
        start = truth.start.astimezone(ZoneInfo(ZONE)).date()
        text = SETTINGS.format(zone=ZONE, start=start, installers=installers, lab=lab)
        (folder / "matokit.toml").write_text(text, encoding="utf-8")
        environ = {
            "MATOKIT_INSTALLERS_CLIENT_ID": installers.client_id,
            "MATOKIT_INSTALLERS_CLIENT_SECRET": installers.client_secret,
            "MATOKIT_LAB_TOKEN": lab.token,
        }
        home = Home.of(load(environ=environ, cwd=folder), clock)
        for result in refresh.extract(home):
            assert result.error is None
    return home, {"installers": ours, "lab": theirs}


@pytest.mark.parametrize("days", WINDOWS)
@pytest.mark.parametrize(("name", "part"), SHOWN, ids=[f"{name}.{part}".rstrip(".") for name, part in SHOWN])
def test_every_cell_is_what_plain_python_counts(told: Told, name: str, part: str, days: int) -> None:
    widget = WIDGETS[name]
    told_apart = ("production", "ci") if widget.has_environment else ("production",)
    for environment in told_apart:
        found = numbers(told.snapshot, widget, days, environment=environment, part=part)
        count = getattr(plain_numbers, f"{name}_{part}".rstrip("_"))
        assert_rows(found, count(told.site, days, environment), f"{name} {environment}")


def test_what_was_planted_is_on_the_page(told: Told) -> None:
    planted = {incident.kind: incident for incident in told.incidents}
    commits = {row["commit_sha"]: row for row in numbers(told.snapshot, WIDGETS["commit_table"]).to_dicts()}
    assert commits[planted["commit"].subject]["is_regression"]
    back = planted["rollback"]
    changes = numbers(told.snapshot, WIDGETS["version_rollback"], part="changes").to_dicts()
    [change] = [row for row in changes if row["is_rollback"]]
    assert (change["from_commit"], change["to_commit"]) == (back.expectation["from"], back.expectation["to"])
    assert change["event_date"].isoformat() in back.expectation["days"]
    worst = numbers(told.snapshot, WIDGETS["problematic_components"], 30).row(0, named=True)
    assert worst["component"] == planted["component"].subject
    systems = {row["os_release"]: row for row in numbers(told.snapshot, WIDGETS["os_versions"]).to_dicts()}
    new = planted["new_os"]
    assert [systems[new.subject]["first_date"].isoformat()] == new.expectation["days"]


@pytest.mark.parametrize("name", MARTS)
def test_marts_under_the_widgets_count_the_same(told: Told, name: str) -> None:
    assert_rows_by_key(told.snapshot, name, getattr(plain_marts, name)(told.site), MARTS[name])
