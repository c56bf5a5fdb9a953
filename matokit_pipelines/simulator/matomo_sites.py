"""The sites of the simulated Matomo: what is known of each, and which of them a request may see.

Belongs here: rows of SitesManager and Goals.getGoals, checks of idSite. Does not belong here: reports and visits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from matokit_pipelines.simulator.faults import Dice
from matokit_pipelines.simulator.matomo_access import Role
from matokit_pipelines.simulator.matomo_answers import MatomoError
from matokit_pipelines.simulator.matomo_live import Site
from matokit_pipelines.simulator.matomo_log import MatomoLog
from matokit_pipelines.simulator.matomo_reports import Reports
from matokit_pipelines.simulator.matomo_web_log import WebLog
from matokit_pipelines.simulator.matomo_web_reports import WebReports
from matokit_pipelines.simulator.matomo_web_visits import GOALS

_CURRENCIES = {"DKK": "Danish Krone", "EUR": "Euro"}


@dataclass
class Served:
    """A site with its log and reports. created: text in UTC. A web site has goals and sells things."""

    site: Site
    log: MatomoLog
    dice: Dice
    created: str
    main_url: str
    events: Reports = field(init=False)
    traffic: WebReports = field(init=False)

    def __post_init__(self) -> None:
        self.events = Reports(self.log, self.dice, f" of web site {self.site.id}" if self.web else "")
        self.traffic = WebReports(self.log, self.dice, self.site.id)

    @property
    def web(self) -> bool:
        """Whether this is a web site, not one of installer events."""
        return isinstance(self.log, WebLog)

    def row(self, role: Role) -> dict[str, Any]:
        """The site as SitesManager writes it."""
        zone = self.log.zone.key
        row: dict[str, Any] = {
            "idsite": self.site.id,
            "name": self.site.name,
            "main_url": self.main_url,
            "ts_created": self.created,
            "ecommerce": int(self.web),
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
            "currency_name": _CURRENCIES[self.site.currency],
        }
        return row | ({"creator_login": "admin"} if role == "super" else {})

    def goals(self) -> list[dict[str, Any]]:
        """The site's goals; one that is reached by hand has no pattern."""
        made = []
        for goal in GOALS if self.web else ():
            pattern = {"pattern": goal.pattern, "pattern_type": goal.how, "case_sensitive": 0}
            made.append(
                {"idsite": self.site.id, "idgoal": goal.id, "name": goal.name, "description": ""}
                | {"match_attribute": goal.match}
                | (pattern if goal.match != "manually" else {})
                | {"allow_multiple": int(goal.several), "revenue": goal.revenue, "deleted": 0}
                | {"event_value_as_revenue": 0}
            )
        return made


def wanted_sites(params: Mapping[str, str], role: Role, sites: Mapping[int, Served]) -> list[Served]:
    """The sites of idSite, checked against the role, the first one refused being named. Raises MatomoError."""
    if not params.get("idSite"):
        raise MatomoError("Please specify a value for 'idSite'.")
    if params["idSite"] == "all" and role in ("view", "super"):
        return list(sites.values())
    found = []
    for text in params["idSite"].split(","):
        wanted = int(text) if re.fullmatch(r"\s*\d+\s*", text) else 0
        if wanted not in sites or role in ("none", "nobody"):
            if role == "super":
                raise MatomoError(f"An unexpected website was found in the request: website id was set to '{wanted}' .")
            needs = f"'view' access for the website id = {wanted}."
            raise MatomoError(f"You can't access this resource as it requires {needs}", 401)
        found.append(sites[wanted])
    return found
