"""The tracking endpoint (`/ppms.php`): events in, singly or in bulk.

Belongs here: what is accepted, refused, or accepted and later broken, excluded or dropped. Does not belong here: how
sessions form (piwik_pro_sessions).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from matokit_pipelines.simulator.piwik_pro_faults import Assumptions
from matokit_pipelines.simulator.piwik_pro_store import (
    BROKEN,
    CUSTOM_EVENT,
    EXCLUDED,
    PAGE_VIEW,
    Site,
    Store,
    stored_value,
    wall_of,
)
from matokit_pipelines.simulator.tracked_time import happened_at
from matokit_pipelines.simulator.wire import Answer, Request

LONGEST_TEXT = 16_384
_ACCEPTED, _REFUSED = Answer(202, "text/plain", b""), Answer(400, "text/plain", b"")
_VISITOR = re.compile(r"[0-9a-fA-F]{16}")


@dataclass
class Tracking:
    """Tracking for one site. `answer` is not safe for threads: its server takes turns."""

    site: Site
    store: Store
    assumed: Assumptions

    def answer(self, request: Request, now: int) -> Answer:
        """202, which promises nothing, or 400 when a request cannot be read; at `now` (epoch seconds)."""
        if request.http == "POST" and b'"requests"' in request.body:
            try:
                wanted = [dict(parse_qsl(one.lstrip("?"), keep_blank_values=True)) for one in _bulk(request.body)]
            except (ValueError, KeyError, TypeError, AttributeError):
                return _REFUSED
        else:
            wanted = [request.params]
        events = [self._event(params, request, now) for params in wanted]
        if not events or not all(_readable(params) for params in wanted):
            return _REFUSED
        for event in events:
            if event is not None:
                self.store.take(event)
        return _ACCEPTED

    def _event(self, params: Mapping[str, str], request: Request, now: int) -> dict[str, Any] | None:
        """The event to store; None for what is accepted and never seen again."""
        if params.get("idsite", "").lower() != self.site.id.lower() or params.get("rec") != "1":
            return None
        ts = happened_at(params.get("cdt"), now)
        custom = bool(params.get("e_c") and params.get("e_a"))
        kind, reason = self._kind(params, request, custom)
        event = {
            "ts": ts,
            "at": now,
            "wall": wall_of(ts, self.site.zone),
            "visitor": _visitor(params, request),
            "url": params.get("url"),
            "kind": kind,
            "reason": reason,
            "odd": 0,
        }
        if custom:
            texts = {"category": "e_c", "action": "e_a", "name": "e_n"}
            event |= {name: (params.get(key) or "")[:LONGEST_TEXT] or None for name, key in texts.items()}
            event["value"] = _number(params.get("e_v"))
        for dimension in self.site.dimensions:
            sent = params.get(f"dimension{dimension.tracking_id}")
            if sent is not None and dimension.active:
                folded = self.assumed.folds and not dimension.case_sensitive
                event[f"dimension{dimension.tracking_id}"] = sent.lower() if folded else sent
        return event

    def _kind(self, params: Mapping[str, str], request: Request, custom: bool) -> tuple[int, str | None]:
        agent = params.get("ua") or request.user_agent
        if self.assumed.exclude_crawlers and re.search(self.assumed.crawler_agents, agent, re.IGNORECASE):
            return EXCLUDED, "User agent is on the crawler list"
        if self.assumed.exclude_unknown_urls and urlsplit(params.get("url", "")).netloc != "installer.example.org":
            return EXCLUDED, "URL is not on the list of the site"
        if self.assumed.odd_value == "broken" and params.get("e_v") and _number(params["e_v"]) is None:
            return BROKEN, "The value of the event is out of range"
        return (CUSTOM_EVENT if custom else PAGE_VIEW), None


def _bulk(body: bytes) -> list[str]:
    return list(json.loads(body)["requests"])


def _readable(params: Mapping[str, str]) -> bool:
    """Whether a request says at all what it is about."""
    return bool(params.get("idsite")) and "rec" in params


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text else math.nan
    except ValueError:
        return None
    return stored_value(number) if math.isfinite(number) else None


def _visitor(params: Mapping[str, str], request: Request) -> str:
    """`cid` before `_id`; without either a fingerprint of address and agent, which many machines may share."""
    for name in ("cid", "_id"):
        if _VISITOR.fullmatch(params.get(name, "")):
            return params[name].lower()
    return hashlib.sha256(f"{request.client}|{request.user_agent}".encode()).hexdigest()[:16]
