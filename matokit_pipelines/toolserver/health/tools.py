"""The two tools about the server itself: GetHealthStatus and DiagnoseMatomo. Not here: the checks."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from matokit_pipelines.toolserver.health.checks import all_checks, overall
from matokit_pipelines.toolserver.health.diagnosis import diagnosed
from matokit_pipelines.toolserver.health.shapes import Diagnosis, HealthStatus, stamp
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import Flag, Parameters, SiteId
from matokit_pipelines.toolserver.sites import Site
from matokit_pipelines.toolserver.tools import Answer, Tool


class DiagnoseParameters(Parameters):
    """Which site the steps are about."""

    siteId: SiteId | None = Field(
        None,
        description="Number of the Matomo site (digits), or the name of a configured site; default: the default site.",
        json_schema_extra={"published": "integer"},
    )


class HealthParameters(DiagnoseParameters):
    """What the health checks are asked with."""

    includeDetails: Flag = Field(
        False,
        description="true adds whether the token may view the site, and the age of every table; default: false.",
    )


def get_health_status(kit: Kit, asked: HealthParameters) -> Answer:
    """Every check, and the worst of them."""
    checks = all_checks(kit, _site(kit, asked.siteId), details=asked.includeDetails)
    now = stamp(kit.clock.now())
    value = {
        "status": overall(checks),
        "timestamp": now,
        "checks": [check.as_json() for check in checks],
        "as_of": now,
    }
    return Answer(value)


def diagnose_matomo(kit: Kit, asked: DiagnoseParameters) -> Answer:
    """Each step of each connection."""
    checks: list[dict[str, Any]] = [
        check.model_dump(exclude_none=True) for check in diagnosed(kit, _site(kit, asked.siteId))
    ]
    return Answer({"checks": checks, "as_of": stamp(kit.clock.now())})


def _site(kit: Kit, wanted: str | None) -> Site | None:
    """The site that is meant; None when none is named and no Matomo is configured."""
    return kit.sites.find(wanted) if wanted is not None or kit.sites.default else None


HEALTH_TOOLS: tuple[Tool[Any], ...] = (
    Tool(
        name="DiagnoseMatomo",
        endpoint="/tools/diagnose-matomo",
        group="health",
        description=(
            "Finds out why data cannot be read from Matomo or Piwik PRO, step by step: is the server reached, is the "
            "token accepted, may it view the site. Each failed step says what to do. Use it when another tool answers "
            "with an error about a token, access or the connection. Without siteId it looks at the default site."
        ),
        parameters=DiagnoseParameters,
        result=Diagnosis,
        function=diagnose_matomo,
        uses_tables=False,
    ),
    Tool(
        name="GetHealthStatus",
        endpoint="/tools/get-health-status",
        group="health",
        description=(
            "Says whether this tool server and what it stands on are healthy, degraded or unhealthy: Matomo and Piwik "
            "PRO, the age of the tables, the cache of answers, the queue of tracked hits and rate limits. Answers "
            '"is the data service up?" and "how old are the tables?", not how the installer or the website does.'
        ),
        parameters=HealthParameters,
        result=HealthStatus,
        function=get_health_status,
        uses_tables=False,
        also_get=True,
    ),
)
