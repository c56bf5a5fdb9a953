"""Asking the simulated Piwik PRO over HTTP, and small logs to feed it with.

Belongs here: what its contract tests share. Does not belong here: any expectation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import requests

from matokit_pipelines.simulator import Assumptions, PiwikProFaults, PiwikProSimulator, Truth, generate

END = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
ZONE = "Europe/Copenhagen"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SENT = {
    "event_ts": pl.Datetime("us", "UTC"),
    **dict.fromkeys(
        ("visitor_id", "category", "action", "name", "dimension1", "dimension2", "dimension3", "url"), pl.String
    ),
    "value": pl.Float64,
}
NAME = ["custom_event_name"]
COLUMNS = (
    "event_type",
    "event_index",
    "custom_event_category",
    "custom_event_action",
    "custom_event_name",
    "custom_event_value",
    "event_custom_dimension_1",
    "event_custom_dimension_2",
    "event_custom_dimension_3",
)
ALWAYS = {"date_from": "2000-01-01", "date_to": "2100-01-01", "limit": 100_000}


@cache
def truth() -> Truth:
    """Ten days of a small site."""
    return generate(days=10, events_per_day=120, seed=3, end=END)


def at(text: str, zone: str = "UTC", fold: int = 0) -> datetime:
    """A moment from `2026-11-20 10:00:00` in a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def log(*events: dict[str, Any]) -> pl.DataFrame:
    """A log of installer events; an event is {"event_ts": ..., and what differs from the usual}."""
    usual = {"visitor_id": "00000000000000aa", "category": "Installer", "action": "Event", "name": "x", "value": 1.0}
    return pl.DataFrame([usual | event for event in events], schema=SENT, orient="row")


class Asking:
    """A simulator together with a client that has a token. As a context manager it stops the simulator."""

    def __init__(
        self,
        events: Truth | pl.DataFrame | None = None,
        *,
        now: datetime = END,
        assumed: Assumptions | None = None,
        zone: str | None = ZONE,
        dimensions: Any = None,
        on_request: Any = None,
        **faults: Any,
    ) -> None:
        self.now = now
        self.sim = PiwikProSimulator(
            truth() if events is None else events,
            now=lambda: self.now,
            zone=zone,
            faults=PiwikProFaults(**faults),
            assumed=assumed,
            dimensions=dimensions,
            on_request=on_request,
        )
        self.session = requests.Session()
        self.bearer: str | None = None
        self.renews = True
        self._born = now

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()
        self.sim.stop()

    def token(self, **sent: Any) -> requests.Response:
        """The answer to a request for a token; sent: what differs from a right one, None leaves out."""
        right = {"grant_type": "client_credentials"}
        right |= {"client_id": self.sim.client_id, "client_secret": self.sim.client_secret}
        body = {key: value for key, value in (right | sent).items() if value is not None}
        return self.session.post(self.sim.url + "/auth/token", json=body, timeout=10)

    def log_in(self, **sent: Any) -> None:
        """Get a token and use it from now on."""
        self.bearer = self.token(**sent).json()["access_token"]
        self._born = self.now

    def headers(self, **more: str) -> dict[str, str]:
        """Headers with the token, a new one when the old one has had its time."""
        if self.bearer is None or (self.renews and abs(self.now - self._born) >= timedelta(seconds=1_800)):
            self.log_in()
        return {"Authorization": f"Bearer {self.bearer}", **more}

    def post(self, endpoint: str, *, columns: Sequence[Any] | None = COLUMNS, **body: Any) -> requests.Response:
        """The answer to a body; columns by id or as objects; website_id may be overridden, None leaves out."""
        sent: dict[str, Any] = {"website_id": self.sim.site_id} | body
        if columns is not None:
            sent["columns"] = [{"column_id": one} if isinstance(one, str) else one for one in columns]
        sent = {key: value for key, value in sent.items() if value is not None}
        url = f"{self.sim.url}/api/analytics/v1/{endpoint}/"
        return self.session.post(url, json=sent, headers=self.headers(), timeout=20)

    def get(self, path: str, **query: Any) -> requests.Response:
        """The answer to a GET."""
        return self.session.get(self.sim.url + path, params=query, headers=self.headers(), timeout=10)

    def rows(self, endpoint: str = "events", **body: Any) -> list[dict[str, Any]]:
        """The rows of an answer as objects, of all time unless a window is given."""
        window = {} if {"date_from", "relative_date"} & set(body) else dict(ALWAYS)
        answer = self.post(endpoint, **(window | body))
        assert answer.status_code == 200, answer.text
        value = answer.json()
        return [dict(zip(value["meta"]["columns"], row, strict=True)) for row in value["data"]]

    def count(self, endpoint: str = "events", **body: Any) -> int:
        """meta.count of an answer."""
        return int(self.post(endpoint, **(ALWAYS | {"limit": 1} | body)).json()["meta"]["count"])

    def names(self, **body: Any) -> list[str]:
        """Names of the events in an answer, sorted."""
        return sorted(row["custom_event_name"] for row in self.rows(columns=["custom_event_name"], **body))


def only(column: str, operator: str, value: Any, **more: Any) -> dict[str, Any]:
    """A condition of a filter."""
    return {"column_id": column, "condition": {"operator": operator, "value": value}, **more}


def both(*conditions: Any, operator: str = "and") -> dict[str, Any]:
    """A group of a filter."""
    return {"operator": operator, "conditions": list(conditions)}


def free(**more: Any) -> Assumptions:
    """Assumptions without a rate limit."""
    return Assumptions(rate_limit=False, **more)


def minutes(*names: str, start: datetime = NOON, step: float = 1, **more: Any) -> pl.DataFrame:
    """One event every `step` minutes, called as given."""
    return log(*({"event_ts": start + timedelta(minutes=n * step), "name": t, **more} for n, t in enumerate(names)))


def track(ask: Asking, *, agent: str = "curl/8.7.1", **params: Any) -> requests.Response:
    """Send one event; params: what differs from a usual one, None leaves out."""
    sent = {"idsite": ask.sim.site_id, "rec": "1", "e_c": "Installer", "e_a": "Event", "e_n": "x", "e_v": "1"} | params
    sent = {key: value for key, value in sent.items() if value is not None}
    return requests.get(ask.sim.url + "/ppms.php", params=sent, headers={"User-Agent": agent}, timeout=5)


def lines(ask: Asking, **query: Any) -> list[dict[str, Any]]:
    """What the debugger lists."""
    answer = ask.get("/api/tracker/v1/debugger", app_id=ask.sim.site_id, **query)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


EMPTY = log().clear()
FILTERED = log(
    {"event_ts": NOON, "name": "python_install", "value": 1.0},
    {"event_ts": NOON, "name": "Python_Verify", "value": 0.0},
    {"event_ts": NOON, "name": "vscode", "value": 73.5},
    {"event_ts": NOON, "name": "odd", "value": None},
)
