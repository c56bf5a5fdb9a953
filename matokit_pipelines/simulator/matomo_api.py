"""The Reporting API: a request in, an answer out, no socket.

Belongs here: dispatch, checks of parameters and access, the small methods. Does not belong here: Live
(matomo_live), reports (matomo_reports), tracking (matomo_tracking) and the wire (matomo_server).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from matokit_pipelines.simulator.faults import Dice
from matokit_pipelines.simulator.matomo_access import Access, Role
from matokit_pipelines.simulator.matomo_answers import (
    MatomoError,
    error_answer,
    error_value,
    escaped,
    json_answer,
)
from matokit_pipelines.simulator.matomo_live import Site, limit_of, rows, select
from matokit_pipelines.simulator.matomo_log import MatomoLog
from matokit_pipelines.simulator.matomo_reports import Reports
from matokit_pipelines.simulator.wire import Answer, Request

_FORMATS = "console, csv, html, json, original, rss, tsv, xml"
_DIMENSIONS = ("os", "arch", "commit")
_DISABLED = (
    "Visits log is deactivated globally. A user with super user access can enable this feature in the general settings."
)
_MEMORY = "Allowed memory size of 134217728 bytes exhausted (tried to allocate 2097152 bytes)"


@dataclass
class MatomoApi:
    """One site's Reporting API over a log. `answer` is not safe for threads: its server takes turns."""

    site: Site
    log: MatomoLog
    access: Access
    dice: Dice
    version: str
    created: str
    reports: Reports = field(init=False)
    _full_page: tuple[str, list[dict[str, Any]]] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.reports = Reports(self.log, self.dice)

    def answer(self, request: Request, now: int) -> Answer:
        """The answer to a request for index.php at `now` (epoch seconds)."""
        try:
            role = self.access.role(request, now)
            form = request.params.get("format", "json").lower()
            if form != "json":
                return _other_format(form)
            return json_answer(self._value(request.params, role, now))
        except MatomoError as error:
            return error_answer(error, request)

    def _value(self, params: Mapping[str, str], role: Role, now: int) -> Any:
        method = params.get("method")
        if not method:
            raise MatomoError("The parameter 'method' isn't set in the Request, and a default value wasn't provided.")
        if method.count(".") != 1:
            raise MatomoError("The method name is invalid. Expected 'module.methodName'")
        known = self._methods()
        if method not in known:
            raise self._unknown(method, known)
        return known[method](params, role, now)

    def _methods(self) -> dict[str, Callable[[Mapping[str, str], Role, int], Any]]:
        return {
            "API.getMatomoVersion": self._version,
            "API.getBulkRequest": self._bulk,
            "SitesManager.getSiteFromId": self._site,
            "SitesManager.getSitesIdWithAtLeastViewAccess": self._sites_seen,
            "SitesManager.getSitesIdWithAdminAccess": lambda p, role, now: [self.site.id] if role == "super" else [],
            "SitesManager.getSitesWithAtLeastViewAccess": self._sites,
            "UsersManager.hasSuperUserAccess": lambda p, role, now: {"value": role == "super"},
            "CustomDimensions.getConfiguredCustomDimensions": self._custom_dimensions,
            "Live.getLastVisitsDetails": self._live,
            "Live.getMostRecentVisitsDateTime": self._newest,
            "Events.getCategory": self._events("Events.getCategory"),
            "Events.getName": self._events("Events.getName"),
            "VisitsSummary.get": self._visits,
        }

    def _unknown(self, method: str, known: Mapping[str, Any]) -> MatomoError:
        plugin, name = method.split(".")
        if plugin in {other.split(".")[0] for other in known}:
            module = f"\\Piwik\\Plugins\\{plugin}\\API"
            text = f"The method '{escaped(name)}' does not exist or is not available in the module '{module}'."
            return MatomoError(text, 200 if self.version.startswith("5.0") else 400)
        place = "You can activate the plugin on Settings &gt; Plugins page in Matomo."
        return MatomoError(f"The plugin {escaped(plugin)} is not enabled. {place}")

    def _need(self, params: Mapping[str, str], *names: str) -> None:
        for name in names:
            if not params.get(name):
                raise MatomoError(f"Please specify a value for '{name}'.")

    def _need_site(self, params: Mapping[str, str], role: Role) -> None:
        """Check idSite against the role, the first site refused being named. Raises MatomoError."""
        self._need(params, "idSite")
        if params["idSite"] == "all" and role in ("view", "super"):
            return
        for text in params["idSite"].split(","):
            wanted = int(text) if re.fullmatch(r"\s*\d+\s*", text) else 0
            if wanted != self.site.id or role in ("none", "nobody"):
                if role == "super":
                    raise MatomoError(
                        f"An unexpected website was found in the request: website id was set to '{wanted}' ."
                    )
                needs = f"'view' access for the website id = {wanted}."
                raise MatomoError(f"You can't access this resource as it requires {needs}", 401)

    def _version(self, params: Mapping[str, str], role: Role, now: int) -> Any:
        if role in ("nobody", "none"):
            raise MatomoError(
                "You can't access this resource as it requires view access for at least one website.", 401
            )
        return {"value": self.version}

    def _bulk(self, params: Mapping[str, str], role: Role, now: int) -> Any:
        urls = [value for key, value in params.items() if re.fullmatch(r"urls(\[\d*\])?", key)]
        if not urls:
            raise MatomoError("Please specify a value for 'urls'.")
        answers = []
        for url in urls:
            try:
                answers.append(self._value(dict(parse_qsl(url.lstrip("?"), keep_blank_values=True)), role, now))
            except MatomoError as error:
                # Inside a bulk answer the message is not escaped.
                answers.append(error_value(error.message.replace("&gt;", ">").replace("&quot;", '"')))
        return answers

    def _site(self, params: Mapping[str, str], role: Role, now: int) -> Any:
        self._need_site(params, role)
        return self._site_row(role)

    def _site_row(self, role: Role) -> dict[str, Any]:
        zone = self.log.zone.key
        row: dict[str, Any] = {
            "idsite": self.site.id,
            "name": self.site.name,
            "main_url": "https://installer.example.org",
            "ts_created": self.created,
            "ecommerce": 0,
            "sitesearch": 1,
            "sitesearch_keyword_parameters": "",
            "sitesearch_category_parameters": "",
            "timezone": zone,
            "currency": self.site.currency,
            "exclude_unknown_urls": 0,
            "excluded_ips": "",
            "excluded_parameters": "",
            "excluded_user_agents": "",
            "excluded_referrers": "",
            "group": "",
            "type": "website",
            "keep_url_fragment": 0,
            "timezone_name": zone if "/" not in zone else zone.split("/")[-1].replace("_", " "),
            "currency_name": "Danish Krone",
        }
        return row | ({"creator_login": "admin"} if role == "super" else {})

    def _sites_seen(self, params: Mapping[str, str], role: Role, now: int) -> Any:
        return [self.site.id] if role in ("view", "super") else []

    def _sites(self, params: Mapping[str, str], role: Role, now: int) -> Any:
        return [self._site_row(role)] if role in ("view", "super") else []

    def _custom_dimensions(self, params: Mapping[str, str], role: Role, now: int) -> Any:
        self._need_site(params, role)
        return [
            {
                "idcustomdimension": str(number),
                "idsite": str(self.site.id),
                "name": name,
                "index": str(number),
                "scope": "action",
                "active": True,
                "extractions": [],
                "case_sensitive": True,
            }
            for number, name in enumerate(_DIMENSIONS, 1)
        ]

    def _live(self, params: Mapping[str, str], role: Role, now: int) -> Any:
        self._need_site(params, role)
        if self.dice.faults.visits_log_disabled:
            self.dice.struck["visits_log_disabled"] += 1
            raise MatomoError(_DISABLED)
        visits = select(self.log, params, now, self.version)
        most = self.dice.faults.memory_visits
        if most is not None and len(visits) > most:
            self.dice.struck["memory"] += 1
            raise MatomoError(_MEMORY, 500)
        return self._maybe_again(rows(visits, self.log, self.site, params), params)

    def _maybe_again(self, page: list[dict[str, Any]], params: Mapping[str, str]) -> list[dict[str, Any]]:
        """The page, or by the fault `page_repeats` the full page before it once more."""
        before, limit = self._full_page, limit_of(params)
        # Everything but the place in the log has to be the same, or it would not be the page before.
        place = {"minTimestamp", "filter_offset", "token_auth"}
        asked = repr(sorted((key, value) for key, value in params.items() if key not in place))
        self._full_page = (asked, page) if 0 < limit <= len(page) else None
        if before is not None and before[0] == asked and self.dice.repeats():
            return before[1]
        return page

    def _newest(self, params: Mapping[str, str], role: Role, now: int) -> Any:
        self._need_site(params, role)
        ids = self.log.order()[1]
        if not len(ids):
            return {"value": ""}
        row = rows([self.log.visits[int(ids[-1]) - 1]], self.log, self.site, {"doNotFetchActions": "1"})[0]
        return {"value": row["lastActionDateTime"]}

    def _events(self, method: str) -> Callable[[Mapping[str, str], Role, int], Any]:
        def report(params: Mapping[str, str], role: Role, now: int) -> Any:
            self._need(params, "idSite", "period", "date")
            self._need_site(params, role)
            return self._by_site(params, self.reports.events(method, params, now))

        return report

    def _visits(self, params: Mapping[str, str], role: Role, now: int) -> Any:
        self._need(params, "idSite", "period", "date")
        self._need_site(params, role)
        return self._by_site(params, self.reports.visits(params, now))

    def _by_site(self, params: Mapping[str, str], value: Any) -> Any:
        return {str(self.site.id): value} if params["idSite"] == "all" else value


def _other_format(form: str) -> Answer:
    if form in _FORMATS.split(", "):
        text = f"Error: this server answers JSON only, not '{form}'."
    else:
        text = f"Error: Renderer format '{form}' not valid. Try any of the following instead: {_FORMATS}."
    return Answer(200, "text/plain; charset=utf-8", text.encode())
