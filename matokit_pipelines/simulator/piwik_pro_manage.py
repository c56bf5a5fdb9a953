"""The management endpoints: apps, custom dimensions, tracker settings and the catalogue of columns.

Belongs here: what an account says of its site. Does not belong here: events.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matokit_pipelines.simulator.piwik_pro_access import ORGANISATION
from matokit_pipelines.simulator.piwik_pro_answers import JSON_API, json_answer, management_refusal
from matokit_pipelines.simulator.piwik_pro_columns import Column
from matokit_pipelines.simulator.piwik_pro_faults import Assumptions
from matokit_pipelines.simulator.piwik_pro_query import METRICS
from matokit_pipelines.simulator.piwik_pro_requests import UUID
from matokit_pipelines.simulator.piwik_pro_store import Site
from matokit_pipelines.simulator.wire import Answer

SLOTS = 200
_TYPES = {"enum": "str", "id": "int", "datetime": "datetime", "date": "date"}


@dataclass
class Manage:
    """Answers of the management endpoints; `sees` says whether the user of the token may see the site."""

    site: Site
    columns: Mapping[str, Column]
    assumed: Assumptions

    def apps(self, query: Mapping[str, str], sees: bool) -> Answer:
        """The list of apps: at most `limit` (default 10, greatest 1000) from `offset` on."""
        limits = _limits(query, least=0, greatest=1_000)
        if limits is None:
            return management_refusal(400, "Bad Request")
        offset, limit = limits
        search = (query.get("search") or query.get("search_query") or "").lower()
        there = [self._app(detailed=False)] if sees and search in f"{self.site.name} {self.site.id}".lower() else []
        value = {"meta": {"total": len(there)}, "data": there[offset : offset + limit]}
        return json_answer(value, media=JSON_API)

    def app(self, wanted: str, sees: bool) -> Answer:
        """One app; an app that the user may not see does not exist."""
        if not sees or wanted.lower() != self.site.id.lower():
            return management_refusal(404, "Not Found")
        return json_answer({"data": self._app(detailed=True)}, media=JSON_API)

    def _app(self, detailed: bool) -> dict[str, Any]:
        moment = f"{self.site.created:%Y-%m-%dT%H:%M:%S}+00:00"
        attributes: dict[str, Any] = {"name": self.site.name, "addedAt": moment, "updatedAt": moment}
        if detailed:
            attributes |= {
                "organization": ORGANISATION,
                "appType": "web",
                "urls": ["https://installer.example.org"],
                "timezone": self.site.zone.key,
                "currency": "DKK",
                "excludeUnknownUrls": self.assumed.exclude_unknown_urls,
                "excludedIps": [],
                "excludedUserAgents": [],
                "excludedUrlParams": [],
                "keepUrlFragment": True,
                "eCommerceTracking": True,
                "delay": 500,
                "gdpr": True,
                "gdprUserModeEnabled": False,
                "gdprDataAnonymization": True,
                "privacyUseCookies": True,
                "privacyUseFingerprinting": True,
                "realTimeDashboards": False,
            }
        return {"type": "ppms/app", "id": self.site.id, "attributes": attributes}

    def custom_dimensions(self, query: Mapping[str, str], sees: bool) -> Answer:
        """The custom dimensions of a site: at most `limit` (default 10) from `offset` on."""
        refused = self._refused(query, sees)
        limits = _limits(query, least=1, greatest=100_000)
        if refused or limits is None:
            return refused or management_refusal(400, "Bad Request")
        offset, limit = limits
        made = self._dimensions()
        return json_answer({"meta": {"total": len(made)}, "data": made[offset : offset + limit]}, media=JSON_API)

    def custom_dimension(self, wanted: str, query: Mapping[str, str], sees: bool) -> Answer:
        """One custom dimension by its id."""
        refused = self._refused(query, sees)
        if refused:
            return refused
        found = next((one for one in self._dimensions() if one["id"] == wanted.lower()), None)
        return json_answer({"data": found}, media=JSON_API) if found else management_refusal(404, "Not Found")

    def _dimensions(self) -> list[dict[str, Any]]:
        return [
            {
                "type": "CustomDimension",
                "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.site.id}/{dimension.tracking_id}")),
                "attributes": {
                    "website_id": self.site.id,
                    "name": dimension.name,
                    "active": dimension.active,
                    "case_sensitive": dimension.case_sensitive,
                    "scope": dimension.scope,
                    "slot": dimension.slot,
                    "tracking_id": dimension.tracking_id,
                    "extractions": [],
                },
            }
            for dimension in self.site.dimensions
        ]

    def slots(self, query: Mapping[str, str], sees: bool) -> Answer:
        """How many slots a scope has and uses."""
        refused = self._refused(query, sees)
        if refused:
            return refused
        used = {scope: sum(one.scope == scope for one in self.site.dimensions) for scope in ("event", "session")}
        attributes = {scope: {"available": SLOTS, "used": n, "left": SLOTS - n} for scope, n in used.items()}
        value = {"type": "CustomDimensionStatistics", "id": self.site.id, "attributes": attributes}
        return json_answer({"data": value}, media=JSON_API)

    def product_dimensions(self, query: Mapping[str, str], sees: bool) -> Answer:
        """Custom dimensions of products: a site of installers has none."""
        return self._refused(query, sees) or json_answer({"meta": {"total": 0}, "data": []}, media=JSON_API)

    def settings(self, wanted: str, sees: bool) -> Answer:
        """Tracker settings of the site, or with `global` of the account."""
        if wanted == "global":
            value = {"type": "tracker/settings/app/global", "id": "global", "attributes": self._settings()}
        elif sees and wanted.lower() == self.site.id.lower():
            own = {"updated_at": self._updated(), "urls": ["https://installer.example.org"]}
            own |= {} if self.assumed.settings_inherited else self._settings()
            value = {"type": "tracker/settings/app", "id": self.site.id, "attributes": own}
        else:
            return management_refusal(403, "Forbidden", "not_authenticated")
        return json_answer({"data": value}, media=JSON_API)

    def _updated(self) -> str:
        return f"{self.site.created:%Y-%m-%dT%H:%M:%S}Z"

    def _settings(self) -> dict[str, Any]:
        return {
            "anonymize_visitor_geolocation_level": "none",
            "anonymize_visitor_ip_level": 2,
            "exclude_crawlers": self.assumed.exclude_crawlers,
            "exclude_unknown_urls": self.assumed.exclude_unknown_urls,
            "excluded_ips": [],
            "excluded_user_agents": [],
            "fingerprint_based_on_anonymized_ip": True,
            "keep_url_fragment": True,
            "session_limit_exceeded_action": self.assumed.session_limit_exceeded_action,
            "session_max_duration_seconds": self.assumed.session_max_duration_s,
            "session_max_event_count": self.assumed.session_max_event_count,
            "set_ip_tracking": True,
            "tracking_fingerprint_disabled": False,
            "use_session_hash": True,
            "use_anonymous_session_hash": True,
            "url_query_parameter_to_exclude_from_url": [],
            "updated_at": self._updated(),
        }

    def engine(self, what: str, query: Mapping[str, str], sees: bool) -> Answer:
        """The live catalogue of columns, plain JSON: `dimensions`, `metrics` or `dimension-value-groupings`."""
        refused = self._refused(query, sees)
        if refused:
            return refused
        if what == "dimension-value-groupings":
            return json_answer({"count": 0, "results": []})
        if what == "metrics":
            return json_answer([_definition(id, name, "int", None, False) for id, (name, _) in METRICS.items()])
        found = [column for column in self.columns.values() if column.query]
        return json_answer(
            [
                _definition(one.id, one.name, _TYPES.get(one.kind, one.kind), one.scope, one.nullable)
                for one in found
                if "_custom_dimension_" not in one.id or one.id in {d.column_id for d in self.site.dimensions}
            ]
        )

    def _refused(self, query: Mapping[str, str], sees: bool) -> Answer | None:
        wanted = query.get("website_id", "")
        if not UUID.fullmatch(wanted):
            return management_refusal(400, "Bad Request")
        if wanted.lower() != self.site.id.lower():
            return management_refusal(404, "Not Found")
        return None if sees else management_refusal(403, "Forbidden")


def _definition(id: str, name: str, kind: str, scope: str | None, nullable: bool) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "column_name": name,
        "column_type": kind,
        "column_category": [],
        "column_unit": None,
        "is_internal": False,
        "is_visible": True,
        "scope": scope,
        "is_nullable": nullable,
    }
    return {"column_id": id, "requires_events": scope != "session", "column_meta": meta}


def _limits(query: Mapping[str, str], least: int, greatest: int) -> tuple[int, int] | None:
    """Offset and limit, None when they are no such numbers."""
    try:
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 10))
    except ValueError:
        return None
    return (offset, limit) if offset >= 0 and least <= limit <= greatest else None
