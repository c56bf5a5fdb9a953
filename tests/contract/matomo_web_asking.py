"""Asking the simulated Matomo about its web site, and the truth behind it.

Belongs here: what its contract tests share. Does not belong here: any expectation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import requests

from matokit_pipelines.simulator import MatomoSimulator, Truth, WebTruth, generate

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "matomo"
END = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
ZONE = "Europe/Copenhagen"
WEB = 2


def recording(name: str) -> dict[str, Any]:
    """A recorded request with its answer."""
    found: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text())
    return found


@cache
def web() -> WebTruth:
    """A month of a small download site."""
    return WebTruth.generate(days=30, visits_per_day=90, seed=5, end=END, zone=ZONE)


@cache
def installers() -> Truth:
    """The machines of the site beside it."""
    return generate(days=14, events_per_day=120, seed=5, end=END, zone=ZONE)


class Asking:
    """A running simulator and a client of it."""

    def __init__(self, **more: Any) -> None:
        given: dict[str, Any] = {"now": lambda: END, "web": web(), "version": "5.2.0-b5"} | more
        self.sim = MatomoSimulator(given.pop("events", installers()), **given)

    def __call__(self, method: str, /, site: Any = WEB, **params: Any) -> Any:
        """The JSON answer to a method."""
        asked = {"module": "API", "format": "json", "method": method, "idSite": site, **params}
        return self.send(asked).json()

    def send(self, params: dict[str, Any]) -> requests.Response:
        """The answer to a request with a view token."""
        token = {"token_auth": self.sim.token}
        return requests.post(self.sim.url + "/index.php", params=params, data=token, timeout=30)

    def send_text(self, query: str) -> requests.Response:
        """The answer to a query string used as it is."""
        return requests.post(f"{self.sim.url}/index.php?{query}", data={"token_auth": self.sim.token}, timeout=30)

    def track(self, **params: Any) -> requests.Response:
        """The answer to a hit on the web site, sent as a tracker would."""
        hit = {"idsite": WEB, "rec": 1, "apiv": 1, "send_image": 0, **params}
        return requests.post(self.sim.url + "/matomo.php", data=hit, timeout=10)


@contextmanager
def asking(**more: Any) -> Iterator[Asking]:
    """An `Asking` for the length of a block."""
    made = Asking(**more)
    with made.sim:
        yield made


def days_of(first: str, last: str) -> pl.Expr:
    """Whether a visit's day lies in these, both included."""
    return pl.col("day").is_between(pl.lit(first).str.to_date(), pl.lit(last).str.to_date())
