"""The APIs behind one address: which part answers a request, in which envelope a bad token is refused.

Belongs here: paths, verbs, media types, standing of tokens. Does not belong here: answers of the parts, the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matokit_pipelines.simulator.piwik_pro_access import Standing
from matokit_pipelines.simulator.piwik_pro_answers import (
    JSON,
    JSON_API,
    PiwikProError,
    analytics_error,
    management_error,
    text_answer,
)
from matokit_pipelines.simulator.piwik_pro_debugger import Debugger
from matokit_pipelines.simulator.piwik_pro_manage import Manage
from matokit_pipelines.simulator.piwik_pro_query import Reports
from matokit_pipelines.simulator.piwik_pro_raw import Raw
from matokit_pipelines.simulator.piwik_pro_requests import UUID, Endpoint, body_of
from matokit_pipelines.simulator.piwik_pro_store import Snapshot
from matokit_pipelines.simulator.wire import Answer, Request

ANALYTICS = "/api/analytics/v1/"
MANAGE = ANALYTICS + "manage/"
APPS = "/api/apps/v2"
SETTINGS = "/api/tracker/v2/settings/app/"
DEBUGGER = "/api/tracker/v1/debugger"
ENGINE = "/analytics/api/engine/"
_RAW: tuple[Endpoint, ...] = ("events", "sessions", "real-time-events")
_STANDINGS = {"missing": "JWT not found", "expired": "Expired JWT Token", "bad": "access token not authorized"}


def trimmed(path: str) -> str:
    """The path without its final slash: both spellings work, and none is answered with a redirect."""
    return path.rstrip("/") or "/"


def is_analytics(path: str) -> bool:
    """Whether the path is one of the endpoints that answer errors as `errors[]` with details."""
    return path.startswith(ANALYTICS) and not path.startswith(MANAGE)


def unauthorised(path: str, standing: Standing) -> Answer:
    """401 as this path answers it."""
    if is_analytics(path):
        return analytics_error(PiwikProError(401, "No valid credentials provided."))
    return text_answer(401, "") if path == DEBUGGER else management_error(401, _STANDINGS[standing])


@dataclass
class Api:
    """Answers requests with a good token from a snapshot; safe for threads."""

    raw: Raw
    reports: Reports
    manage: Manage
    debugger: Debugger

    def answer(self, request: Request, sees: bool, snapshot: Snapshot, now: int) -> Answer:
        """The answer at `now` (epoch seconds); `sees`: whether the user of the token may see the site."""
        path = trimmed(request.path)
        try:
            if is_analytics(path):
                return self._analytics(path.removeprefix(ANALYTICS), request, sees, snapshot, now)
        except PiwikProError as error:
            return analytics_error(error)
        if request.http != "GET":
            return self._refused_body(request)
        if path == DEBUGGER:
            return self.debugger.answer(request.query, sees, snapshot, now)
        return self._managed(path, request.query, sees)

    def _managed(self, path: str, query: Mapping[str, str], sees: bool) -> Answer:
        if path == MANAGE + "custom-dimensions":
            return self.manage.custom_dimensions(query, sees)
        if path == MANAGE + "custom-dimensions/slots":
            return self.manage.slots(query, sees)
        if path.startswith(MANAGE + "custom-dimensions/"):
            return self.manage.custom_dimension(path.removeprefix(MANAGE + "custom-dimensions/"), query, sees)
        if path == MANAGE + "product-custom-dimensions":
            return self.manage.product_dimensions(query, sees)
        if path == APPS:
            return self.manage.apps(query, sees)
        if path.startswith(APPS + "/"):
            return self.manage.app(path.removeprefix(APPS + "/"), sees)
        if path.startswith(SETTINGS):
            return self.manage.settings(path.removeprefix(SETTINGS), sees)
        if path.startswith(ENGINE) and path.removeprefix(ENGINE) in (
            "dimensions",
            "metrics",
            "dimension-value-groupings",
        ):
            return self.manage.engine(path.removeprefix(ENGINE), query, sees)
        return text_answer(404, "404 page not found")

    def _analytics(self, name: str, request: Request, sees: bool, snapshot: Snapshot, now: int) -> Answer:
        if name not in (*_RAW, "query"):
            raise PiwikProError(404, "Not found.")
        if request.http != "POST":
            raise PiwikProError(405, f'Method "{request.http}" not allowed.')
        media = request.headers.get("content-type", JSON).split(";")[0].strip()
        if media not in (JSON, JSON_API):
            raise PiwikProError(415, f'Unsupported media type "{media}" in request.')
        if self.raw.faults.no_license:
            raise PiwikProError(403, "No valid license found.")
        body = body_of(request.body)
        self._check_site(body.get("website_id"), sees)
        for endpoint in _RAW:
            if name == endpoint:
                return self.raw.answer(endpoint, body, snapshot, now)
        return self.reports.answer(body, snapshot, now)

    def _check_site(self, wanted: Any, sees: bool) -> None:
        if wanted is None:
            raise PiwikProError(400, "This field is required.", "website_id")
        if not isinstance(wanted, str) or not UUID.fullmatch(wanted):
            raise PiwikProError(400, f'"{wanted}" is not a valid UUID.', "website_id")
        if wanted.lower() != self.raw.site.id.lower():
            status = self.raw.assumed.unknown_site
            raise PiwikProError(status, "Not found." if status == 404 else "No access to this site.")
        if not sees:
            raise PiwikProError(403, "No access to this site.")

    @staticmethod
    def _refused_body(request: Request) -> Answer:
        media = request.headers.get("content-type", "").split(";")[0].strip()
        if media == JSON:
            return text_answer(415, f"Content type {JSON} is not supported, use {JSON_API}.")
        return text_answer(405, "405 method not allowed")
