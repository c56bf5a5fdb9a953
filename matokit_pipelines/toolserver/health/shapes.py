"""What the health tools answer: checks of the server's health, checks of a connection. Not here: making them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Verdict = Literal["pass", "warn", "fail"]
Component = Literal["service", "cache", "queue", "datastore"]


class TableAge(BaseModel):
    """One table of the snapshot in service."""

    name: str = Field(description="Name of the table.")
    rows: int = Field(description="Rows in it.")
    as_of: str | None = Field(description="Up to when it tells, ISO 8601 UTC; null where that is not known.")
    ageSeconds: int | None = Field(description="Seconds since then; null where that is not known.")
    expectedSeconds: int = Field(description="Seconds that it may be old before it counts as late.")
    status: Verdict = Field(description='"warn" when it is older than that, or its age is not known.')


class HealthCheck(BaseModel):
    """One check. Optional keys are left out where there is nothing to say."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        description="What was checked: matomo-api, reports-cache, tracking-queue, rate-limit, site-access, "
        "piwik-pro-api, warehouse; a second connection of a kind has its name in brackets behind it."
    )
    status: Verdict = Field(description="pass, warn or fail.")
    componentType: Component = Field(description="Kind of the component.")
    observedValue: int | float | None = Field(None, description="What was measured, in observedUnit.")
    observedUnit: Literal["ms", "%", "pending", "requests", "seconds"] | None = Field(
        None, description="Unit of observedValue."
    )
    time: str = Field(description="When it was checked, ISO 8601 UTC with milliseconds.")
    output: str = Field(description="The finding in a sentence.")
    tables: list[TableAge] | None = Field(None, description="Of warehouse with includeDetails: each table's age.")

    def as_json(self) -> dict[str, Any]:
        """Without the keys that say nothing."""
        return self.model_dump(exclude_none=True) | (
            {"tables": [table.model_dump() for table in self.tables]} if self.tables is not None else {}
        )


class HealthStatus(BaseModel):
    """The answer of GetHealthStatus."""

    status: Literal["healthy", "degraded", "unhealthy"] = Field(
        description="unhealthy: a check fails; degraded: one warns; else healthy."
    )
    timestamp: str = Field(description="When this was said, ISO 8601 UTC with milliseconds.")
    as_of: str = Field(description="The same moment: health is of now, though probes are repeated every 15 s at most.")
    checks: list[HealthCheck] = Field(description="Every check.")


class DiagnosisError(BaseModel):
    """What is wrong, and what to do."""

    type: Literal["matomo", "piwik-pro", "network", "unknown"] = Field(description="Where it went wrong.")
    message: str = Field(description="What went wrong, in a sentence.")
    code: int | None = Field(None, description="The server's number of the error, if it gives one.")
    guidance: str = Field(description="What to do, in a sentence.")


class DiagnosisCheck(BaseModel):
    """One step. A failed step skips those behind it."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(
        description="base-url, token-auth, site-access; the same with piwik-pro- in front for each Piwik PRO source."
    )
    label: str = Field(description="The same in words.")
    status: Literal["ok", "error", "skipped"] = Field(description="ok, error or skipped.")
    details: dict[str, str | int] | None = Field(
        None, description="When ok: version; sites (how many the token may view); idsite and name."
    )
    error: DiagnosisError | None = Field(None, description="When status is error.")
    skippedReason: str | None = Field(None, description="When status is skipped.")


class Diagnosis(BaseModel):
    """The answer of DiagnoseMatomo."""

    as_of: str = Field(description="When the servers were asked, ISO 8601 UTC.")
    checks: list[DiagnosisCheck] = Field(description="The steps in their order.")


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds: 2026-11-21T23:08:32.440Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
