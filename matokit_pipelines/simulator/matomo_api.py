"""The Reporting API: a request in, an answer out, no socket.

Belongs here: dispatch, checks of parameters and access, the small methods. Does not belong here: Live
(matomo_live), reports (matomo_reports, matomo_web_reports), sites (matomo_sites), tracking (matomo_tracking) and the
wire (matomo_server).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
from matokit_pipelines.simulator.matomo_log import MatomoLog, Visit
from matokit_pipelines.simulator.matomo_reports import EVENTS
from matokit_pipelines.simulator.matomo_sites import Served, wanted_sites
from matokit_pipelines.simulator.matomo_web_live import web_rows
from matokit_pipelines.simulator.matomo_web_reports import METHODS
from matokit_pipelines.simulator.wire import Answer, Request

_FORMATS = "console, csv, html, json, original, rss, tsv, xml"
_DIMENSIONS = ("os", "arch", "commit")
_DISABLED = (
    "Visits log is deactivated globally. A user with super user access can enable this feature in the general settings."
)
_MEMORY = "Allowed memory size of 134217728 bytes exhausted (tried to allocate 2097152 bytes)"


@dataclass
class MatomoApi:
    """The Reporting API over the log of a site of installer events, and maybe of a web site (site, log, address).

    `answer` is not safe for threads: its server takes turns.
    """

    site: Site
    log: MatomoLog
    access: Access
    dice: Dice
    version: str
    created: str
    web: tuple[Site, MatomoLog, str] | None = None
    sites: dict[int, Served] = field(init=False)
    _full_page: tuple[str, list[dict[str, Any]]] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        first = Served(self.site, self.log, self.dice, self.created, "https://installer.example.org")
        self.sites = {self.site.id: first}
        if self.web is not None:
            site, log, address = self.web
            self.sites[site.id] = Served(site, log, self.dice, self.created, address)

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
            "SitesManager.getSitesIdWithAdminAccess": lambda p, role, now: list(self.sites) if role == "super" else [],
            "SitesManager.getSitesWithAtLeastViewAccess": self._sites,
            "UsersManager.hasSuperUserAccess": lambda p, role, now: {"value": role == "super"},
            "CustomDimensions.getConfiguredCustomDimensions": self._custom_dimensions,
            "Live.getLastVisitsDetails": self._live,
            "Live.getMostRecentVisitsDateTime": self._newest,
            "Goals.getGoals": self._goals,
            **{method: self._report(method) for method in ("VisitsSummary.get", *EVENTS, *METHODS)},
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

    def _one_site(self, params: Mapping[str, str], role: Role) -> Served:
        return wanted_sites(params, role, self.sites)[0]

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
        return self._one_site(params, role).row(role)

    def _sites_seen(self, params: Mapping[str, str], role: Role, now: int) -> Any:
        return list(self.sites) if role in ("view", "super") else []

    def _sites(self, params: Mapping[str, str], role: Role, now: int) -> Any:
        return [one.row(role) for one in self.sites.values()] if role in ("view", "super") else []

    def _goals(self, params: Mapping[str, str], role: Role, now: int) -> Any:
        return self._one_site(params, role).goals()

    def _custom_dimensions(self, params: Mapping[str, str], role: Role, now: int) -> Any:
        one = self._one_site(params, role)
        return [
            {
                "idcustomdimension": str(number),
                "idsite": str(one.site.id),
                "name": name,
                "index": str(number),
                "scope": "action",
                "active": True,
                "extractions": [],
                "case_sensitive": True,
            }
            for number, name in enumerate(() if one.web else _DIMENSIONS, 1)
        ]

    def _live(self, params: Mapping[str, str], role: Role, now: int) -> Any:
        one = self._one_site(params, role)
        if self.dice.faults.visits_log_disabled:
            self.dice.struck["visits_log_disabled"] += 1
            raise MatomoError(_DISABLED)
        visits = select(one.log, params, now, self.version)
        most = self.dice.faults.memory_visits
        if most is not None and len(visits) > most:
            self.dice.struck["memory"] += 1
            raise MatomoError(_MEMORY, 500)
        return self._maybe_again(self._visit_rows(one, visits, params), params)

    def _visit_rows(self, one: Served, visits: list[Visit], params: Mapping[str, str]) -> list[dict[str, Any]]:
        return (web_rows if one.web else rows)(visits, one.log, one.site, params)

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
        log = self._one_site(params, role).log
        last, _ = log.order()
        return {"value": f"{datetime.fromtimestamp(int(last[-1]), UTC):%Y-%m-%d %H:%M:%S}" if len(last) else ""}

    def _report(self, method: str) -> Callable[[Mapping[str, str], Role, int], Any]:
        def of_site(one: Served, params: Mapping[str, str], now: int) -> Any:
            if method == "VisitsSummary.get":
                return one.events.visits(params, now)
            if method in EVENTS:
                return one.events.events(method, params, now)
            return one.traffic.answer(method, params, now)

        def report(params: Mapping[str, str], role: Role, now: int) -> Any:
            self._need(params, "idSite", "period", "date")
            found = wanted_sites(params, role, self.sites)
            if params["idSite"] != "all" and len(found) == 1:
                return of_site(found[0], params, now)
            made = {str(one.site.id): of_site(one, params, now) for one in found}
            # Beside other sites an empty one is a list where the others are figures.
            return {key: [] if _is_empty(value) else value for key, value in made.items()} if len(made) > 1 else made

        return report


def _is_empty(value: Any) -> bool:
    return isinstance(value, dict) and value.get("nb_visits", 1) == 0


def _other_format(form: str) -> Answer:
    if form in _FORMATS.split(", "):
        text = f"Error: this server answers JSON only, not '{form}'."
    else:
        text = f"Error: Renderer format '{form}' not valid. Try any of the following instead: {_FORMATS}."
    return Answer(200, "text/plain; charset=utf-8", text.encode())
