"""The recorded web reports of a real Matomo's shop, served on loopback, and homes that read them.

Belongs here: recorded answers by question, alone or in a bulk. Does not belong here: anything made up; the simulator
does that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from matokit_pipelines.clock import Clock, FixedClock
from matokit_pipelines.settings import load
from matokit_pipelines.warehouse.refresh import Home
from tests.replay import TOKEN, Answer, Replay, recording

BULK = "API.getBulkRequest"
NO_VISITS = "VisitsSummary.get.no-data-day"
# what decides which recording answers: the method, then a parameter
ANSWERS: dict[tuple[str, str], str] = {
    ("VisitsSummary.get", ""): "VisitsSummary.get.day",
    ("Actions.get", ""): "Actions.get",
    ("Actions.getPageUrls", ""): "Actions.getPageUrls.flat",
    ("Actions.getEntryPageUrls", ""): "Actions.getEntryPageUrls.flat",
    ("Referrers.getReferrerType", ""): "Referrers.getReferrerType",
    ("Referrers.getAll", ""): "Referrers.getAll",
    ("Referrers.getCampaigns", ""): "Referrers.getCampaigns",
    ("DevicesDetection.getType", ""): "DevicesDetection.getType",
    ("Events.getCategory", ""): "Events.getCategory",
    ("Events.getAction", "eventName"): "Events.getAction.secondaryDimension-eventName.flat",
    ("Events.getCategory", "eventName"): "Events.getCategory.secondaryDimension-eventName.flat",
    ("Events.getCategory", "eventAction"): "Events.getCategory.empty",
    ("Goals.getGoals", ""): "Goals.getGoals",
    ("Goals.get", "1"): "Goals.get.idGoal1",
    ("Goals.get", "2"): "Goals.get.empty",
    ("Goals.get", "ecommerceOrder"): "Goals.get.ecommerceOrder",
    ("Goals.get", "ecommerceAbandonedCart"): "Goals.get.ecommerceAbandonedCart",
    ("SitesManager.getSiteFromId", ""): "SitesManager.getSiteFromId.ecommerce",
    ("Live.getLastVisitsDetails", ""): "Live.getLastVisitsDetails.empty-day",
}
Other = Callable[[str, Mapping[str, str]], Any]


def body_of(method: str, params: Mapping[str, str]) -> Any:
    """The recorded body that answers a question."""
    what = params.get("idGoal", "") or params.get("secondaryDimension", "")
    if "Events" in method or "Goals" in method:
        return recording(ANSWERS[method, what])["body"]
    return recording(ANSWERS[method, ""])["body"]


def web_replay(other: Other = lambda method, params: None) -> Replay:
    """A server of the recorded shop; `other` may give another body for a question (method, parameters), None: not."""

    def one(method: str, params: Mapping[str, str]) -> Any:
        found = other(method, params)
        return body_of(method, params) if found is None else found

    def answer(method: str, params: dict[str, str]) -> Answer | None:
        if method == BULK:
            asked = [dict(parse_qsl(value)) for key, value in params.items() if key.startswith("urls")]
            body: Any = [one(question.pop("method"), question) for question in asked]
        else:
            body = one(method, params)
        return 200, "application/json; charset=utf-8", json.dumps(body).encode()

    return Replay(instead=answer)


def questions(server: Replay) -> list[tuple[str, dict[str, str]]]:
    """Every question that was asked, those of bulks one by one."""
    found: list[tuple[str, dict[str, str]]] = []
    for method, params in server.asked:
        if method == BULK:
            inner = [dict(parse_qsl(value)) for key, value in params.items() if key.startswith("urls")]
            found += [(one.pop("method"), one) for one in inner]
        else:
            found.append((method, params))
    return found


def web_home(
    folder: Path,
    url: str,
    *,
    now: datetime | Clock,
    source: str = 'provides = ["web_reports"]',
    settings: str = "",
    zone: str = "UTC",
    site: str = "2",
    token: str = TOKEN,
    further: Mapping[str, str] | None = None,
) -> Home:
    """A home whose one source `shop` is at `url`; `source` and `settings` are further lines of TOML, `further` of the
    environment."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        settings,
        "[project]",
        f'timezone = "{zone}"',
        "[[sources]]",
        'name = "shop"',
        'kind = "matomo"',
        f'url = "{url}"',
        f'site_id = "{site}"',
        source,
    ]
    (folder / "matokit.toml").write_text("\n".join(lines), encoding="utf-8")
    clock = FixedClock(now) if isinstance(now, datetime) else now
    return Home.of(load(environ={"MATOKIT_SHOP_TOKEN": token, **(further or {})}, cwd=folder), clock, wait_seconds=5.0)
