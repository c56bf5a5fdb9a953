"""One home with everything in it, and the services behind it, for whatever asks the tool server about all of it.

Simulated machines with planted incidents, alerts of their last weeks, every page, and the web reports of a site that
a simulated Matomo still answers live. Everything is fixed: seeds and the clock. Not here: asking (serving.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.settings import Loaded, load
from matokit_pipelines.simulator import MatomoSimulator, WebTruth
from matokit_pipelines.warehouse.refresh import Home, build_and_publish, extract
from tests import page_homes
from tests.page_homes import NOW, SEED, ZONE
from tests.serving import ENVIRON, Served, served
from tests.simulated import small_truth

DAYS = 35
EVENTS_A_DAY = 500.0
WEB_DAYS = 45
MORE = """
[[sources]]
name = "website"
kind = "matomo"
url = "{url}"
site_id = "2"
provides = ["web_reports"]

[web_reports]
first_time_periods = 500

[toolserver]
tracking = true

[http]
first_wait = 0.0
longest_wait = 0.0
"""


@dataclass(frozen=True)
class ServedHome:
    """The home, its settings with tokens, and the Matomo behind it."""

    home: Home
    loaded: Loaded
    matomo: MatomoSimulator


@contextmanager
def full_home(folder: Path) -> Iterator[ServedHome]:
    """Make it; some twenty seconds."""
    clock = FixedClock(NOW)
    page_homes.home_of(folder, page_homes.usual(days=DAYS, events_per_day=EVENTS_A_DAY))
    web = WebTruth.generate(days=WEB_DAYS, visits_per_day=80, seed=SEED, end=NOW, zone=str(ZONE))
    with MatomoSimulator(small_truth(), now=clock.now, web=web) as matomo:
        file = folder / "matokit.toml"
        settings = page_homes.SETTINGS.replace("https://matomo.example.org", matomo.url)
        file.write_text(settings + MORE.format(url=matomo.url), encoding="utf-8")
        tokens = {"MATOKIT_INSTALLERS_TOKEN": matomo.token, "MATOKIT_WEBSITE_TOKEN": matomo.token}
        loaded = load(file, {"MATOKIT_HOME": str(folder), **ENVIRON, **tokens}, folder)
        home = Home.of(loaded, clock)
        for result in extract(home, only="website"):
            assert result.error is None, result.error
        build_and_publish(home)
        page_homes.evaluated(home, days=21)
        page_homes.with_pages(home)
        yield ServedHome(home, loaded, matomo)


@contextmanager
def full_server(folder: Path) -> Iterator[Served]:
    """The home, made and served."""
    with full_home(folder) as made, served(made.loaded, made.home.clock) as server:
        yield server
