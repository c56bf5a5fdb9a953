"""Whether GetDataStatus says Yes only where all is whole and fresh: installer events, web reports, the days before.

Not here: holes in windows (test_installer_tools.py), which Matomo can be reached (test_health_tools.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines.clock import Clock, FixedClock
from matokit_pipelines.simulator import Faults, MatomoSimulator, WebTruth
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.warehouse.refresh import Home, build_and_publish, extract
from tests import page_homes, served_homes, web_kits
from tests.installer_tools import NOW, ask, kit_of, runs
from tests.simulated import small_truth
from tests.web_replay import web_home

pytestmark = pytest.mark.slow

ZONE = str(page_homes.ZONE)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """Installer events, recorded from 2026-10-25 on."""
    folder = tmp_path_factory.mktemp("recorded")
    page_homes.home_of(folder, runs())
    with kit_of(folder) as kit:
        yield kit


@contextmanager
def of_web(
    folder: Path, clock: Clock, *, is_read: bool = True, faults: Faults | None = None, settings: str = ""
) -> Iterator[Home]:
    """A home with the web reports of one site, and nothing else; the Matomo is gone then."""
    web = WebTruth.generate(days=20, visits_per_day=30, seed=5, end=NOW, zone=ZONE)
    with MatomoSimulator(small_truth(), now=clock.now, web=web, faults=faults or Faults()) as matomo:
        home = web_home(folder, matomo.url, now=clock, token=matomo.token, zone=ZONE, settings=settings)
        for result in extract(home) if is_read else ():
            assert result.error is None, result.error
        build_and_publish(home)
        yield home


def asked(home: Home, now: datetime, **arguments: Any) -> dict[str, Any]:
    with web_kits.kit_of(home.loaded, now) as kit:
        return ask(kit, "GetDataStatus", **arguments)


def test_days_before_records_began_are_not_whole(recorded: Kit) -> None:
    answer = ask(recorded, "GetDataStatus", days=90)
    assert (answer["state"], answer["data_complete"]) == ("incomplete", False)
    assert answer["data_complete"] == ask(recorded, "GetInstallerSuccessRate", days=90)["data_complete"]
    assert answer["sources"][0]["state"] == "incomplete"
    assert answer["summary"] == (
        "No: the data are fresh, complete to 2026-11-22 07:00 UTC, but are not whole from 2026-08-24 to 2026-11-21. "
        "Records are whole only from 2026-10-24 22:13 UTC on."
    )


@pytest.mark.parametrize(
    ("days", "said", "lost"),
    [
        (30, "From 2026-09-23 to 2026-10-22: nothing is recorded.", None),
        (20, "From 2026-10-13 to 2026-11-01: records are whole only from 2026-10-24 22:13 UTC on.", 0),
        (7, "From 2026-11-08 to 2026-11-14: no known hole.", 0),
    ],
)
def test_the_span_before_is_whole_only_where_it_was_recorded(
    recorded: Kit, days: int, said: str, lost: int | None
) -> None:
    answer = ask(recorded, "GetDataStatus", days=days, compare="previous")
    assert answer["summary"].endswith(said)
    assert answer["data_complete"] == ("no known hole" in said)
    assert answer["sources"][0]["previous_windows_incomplete"] == lost
    assert answer["sources"][0]["previous_events_cut_off"] == lost


def test_a_home_of_web_reports_alone_can_be_asked(tmp_path: Path) -> None:
    with of_web(tmp_path, FixedClock(NOW)) as home:
        answer = asked(home, NOW, days=10)
    assert (answer["state"], answer["data_complete"], answer["sources"]) == ("complete", True, [])
    assert (answer["first_day"], answer["last_day"]) == ("2026-11-12", "2026-11-21")
    [row] = answer["web_reports"]
    assert (row["state"], row["final_days"] + row["provisional_days"], row["unknown_days"]) == ("complete", 10, 0)
    assert answer["summary"].startswith(
        "Yes: the web reports are read and no day is unknown from 2026-11-12 to 2026-11-21. Web reports: "
    )
    later = asked(home, NOW + timedelta(days=4), days=10, compare="previous")
    assert (later["state"], later["data_complete"]) == ("stale", False)
    assert later["summary"].startswith("No: the web reports are old. Web reports of shop were last read 4 days ago.")


def test_web_reports_that_were_never_read_are_unknown(tmp_path: Path) -> None:
    with of_web(tmp_path, FixedClock(NOW), is_read=False) as home:
        answer = asked(home, NOW)
        with web_kits.kit_of(home.loaded, NOW) as kit, pytest.raises(Problem):
            ask(kit, "GetInstallerSuccessRate")
    assert (answer["state"], answer["data_complete"]) == ("unknown", False)
    assert answer["summary"] == (
        "How far web reports reach is not known: none were read to the end yet. Web reports of shop have not been read "
        "to the end yet."
    )


def test_days_that_matomo_has_not_counted_are_no_yes(tmp_path: Path) -> None:
    with of_web(tmp_path, FixedClock(NOW), faults=Faults(archived_after_seconds=30 * 3600)) as home:
        answer = asked(home, NOW, days=10)
    assert answer["web_reports"][0]["unknown_days"]
    assert (answer["state"], answer["data_complete"]) == ("incomplete", False)
    assert answer["summary"].startswith("No: the web reports are not whole from 2026-11-12 to 2026-11-21. ")


def test_old_web_reports_beside_fresh_events_are_no_yes(tmp_path: Path) -> None:
    home = served_homes.full_home(tmp_path, now=NOW, days=12, events_per_day=40)
    now = NOW + timedelta(hours=5)
    fresh, old = asked(home.home, NOW, days=5), asked(home.home, now, days=5)
    whole = "complete to 2026-11-22 07:00 UTC and have no known hole from 2026-11-17 to 2026-11-21"
    assert (fresh["state"], fresh["data_complete"]) == ("complete", True)
    assert fresh["summary"].startswith(f"Yes: the data are {whole}. Web reports: ")
    assert (old["state"], old["data_complete"], old["sources"][0]["state"]) == ("stale", False, "complete")
    assert old["summary"].startswith(
        f"No: installer events are {whole}, web reports not. Web reports of website were last read 5 h ago."
    )


def test_a_first_reading_that_goes_on_is_not_whole(tmp_path: Path) -> None:
    clock = FixedClock(NOW)
    with of_web(tmp_path, clock, settings="[web_reports]\nfirst_time_periods = 8") as home:
        answer = asked(home, NOW, days=10)
    [row] = answer["web_reports"]
    assert (row["state"], row["unknown_days"], row["read_at"]) == ("incomplete", 0, "2026-11-22T07:10:00Z")
    assert row["final_days"] + row["provisional_days"] + row["unread_days"] == 10
    assert row["unread_days"] > 1
    assert answer["summary"].startswith(
        "No: the web reports are not whole from 2026-11-12 to 2026-11-21. Of shop, "
        f"{row['unread_days']} days of web reports are still to be read. "
    )
