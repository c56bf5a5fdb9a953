"""Why a connection does not work, step by step: is the server reached, is the token good, may it view the site.

Not here: asking (asking.py), health as a whole (checks.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from matokit_pipelines.errors import (
    AccessRefused,
    AnswerNotUnderstood,
    AnswerUnreadable,
    CredentialsRefused,
    LockedOut,
    MatokitError,
    ReportRefused,
    SettingsError,
    SourceBusy,
    SourceMissing,
)
from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.toolserver.health import asking
from matokit_pipelines.toolserver.health.asking import Steps
from matokit_pipelines.toolserver.health.checks import MOST_CONNECTIONS, piwik_pro_said
from matokit_pipelines.toolserver.health.shapes import DiagnosisCheck, DiagnosisError
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.sites import Site
from matokit_pipelines.toolserver.upstream import problem_of

Vendor = Literal["matomo", "piwik-pro"]
IDS = ("base-url", "token-auth", "site-access")
_LABELS: dict[Vendor, tuple[str, str, str]] = {
    "matomo": ("Matomo base URL reachability", "Token authentication", "Site access permissions"),
    "piwik-pro": ("Piwik PRO account reachability", "Piwik PRO credentials", "Piwik PRO site access"),
}
_NAMES: dict[Vendor, str] = {"matomo": "Matomo", "piwik-pro": "Piwik PRO"}


def diagnosed(kit: Kit, site: Site | None) -> list[DiagnosisCheck]:
    """Three steps of Matomo, then three of each Piwik PRO source."""
    found = list(_matomo(kit, site))
    sources = [source for source in kit.loaded.settings.sources if source.kind == "piwik_pro"]
    for number, source in enumerate(sources[:MOST_CONNECTIONS]):
        found += _piwik_pro(kit, source, number)
    return found


def _matomo(kit: Kit, site: Site | None) -> Iterator[DiagnosisCheck]:
    if site is None:
        yield from (_skipped(number, "matomo", "No Matomo is configured.") for number in range(3))
        return
    steps = asking.matomo_steps(kit, site)
    failed = None if steps.error is None else problem_of(steps.error, site=site)
    details: list[dict[str, str | int]] = [
        {"version": steps.version} if steps.version else {},
        {"sites": steps.sites or 0},
        {"idsite": int(site.id), "name": steps.name or ""},
    ]
    yield from _steps(steps, details, failed, "matomo", "")


def _piwik_pro(kit: Kit, source: SourceSettings, number: int) -> Iterator[DiagnosisCheck]:
    steps, _ = asking.piwik_pro_steps(kit, source)
    failed = None
    if steps.error is not None:
        known = problem_of(steps.error)
        failed = Problem(known.category, piwik_pro_said(steps.error, source), _piwik_pro_guidance(steps.error, source))
    details: list[dict[str, str | int]] = [
        {"source": source.name},
        {"sites": steps.sites or 0},
        {"idsite": source.site_id, "name": steps.name or ""},
    ]
    yield from _steps(steps, details, failed, "piwik-pro", "" if number == 0 else f"-{source.name}")


def _steps(
    steps: Steps, details: list[dict[str, str | int]], failed: Problem | None, vendor: Vendor, suffix: str
) -> Iterator[DiagnosisCheck]:
    """The three checks: ok up to the step that failed, skipped behind it."""
    at = 3 if steps.error is None else _failed_step(steps, steps.error)
    reasons = (
        f"{_NAMES[vendor]} base URL could not be reached.",
        f"{_NAMES[vendor]} did not accept the token." if vendor == "matomo" else "The credentials were not accepted.",
    )
    for number in range(3):
        if isinstance(steps.error, SettingsError) and number == 0:
            yield _skipped(0, vendor, "Nothing was asked, since no token is configured.", suffix)
        elif number < at:
            yield _of(number, vendor, suffix, "ok", details=details[number] or None)
        elif number == at and failed is not None:
            yield _of(number, vendor, suffix, "error", error=_error(failed, vendor))
        else:
            yield _skipped(number, vendor, reasons[at] if at < 2 else "", suffix)


def _failed_step(steps: Steps, error: MatokitError) -> int:
    if steps.sites is not None:
        return 1 if isinstance(error, CredentialsRefused | LockedOut) else 2
    says_no = CredentialsRefused | LockedOut | SettingsError | AccessRefused | ReportRefused | SourceBusy
    return 1 if steps.reached or isinstance(error, says_no) else 0


def _error(problem: Problem, vendor: Vendor) -> DiagnosisError:
    kind: Literal["matomo", "piwik-pro", "network", "unknown"] = vendor
    if problem.category == "network":
        kind = "network"
    elif problem.category == "unknown":
        kind = "unknown"
    return DiagnosisError(type=kind, message=problem.message, code=problem.code, guidance=problem.guidance)


def _piwik_pro_guidance(error: MatokitError, source: SourceSettings) -> str:
    variables = " and ".join(source.secret_variables)
    if isinstance(error, CredentialsRefused | SettingsError):
        return f"Put a valid pair (in Piwik PRO: Menu, Profile, API credentials) into {variables}."
    if isinstance(error, AccessRefused):
        return f"Check the licence, and give the user of these credentials the right to view site {source.site_id}."
    if isinstance(error, SourceMissing):
        return f"Correct site_id of source {source.name}, or let the user of the credentials view that site."
    if isinstance(error, AnswerNotUnderstood | AnswerUnreadable):
        return f"{source.url} does not answer as a Piwik PRO account does; correct the url of source {source.name}."
    return ""


def _skipped(number: int, vendor: Vendor, reason: str, suffix: str = "") -> DiagnosisCheck:
    return _of(number, vendor, suffix, "skipped", reason=reason)


def _of(
    number: int,
    vendor: Vendor,
    suffix: str,
    status: Literal["ok", "error", "skipped"],
    *,
    details: dict[str, str | int] | None = None,
    error: DiagnosisError | None = None,
    reason: str | None = None,
) -> DiagnosisCheck:
    prefix = "" if vendor == "matomo" else "piwik-pro-"
    return DiagnosisCheck(
        id=f"{prefix}{IDS[number]}{suffix}", label=_LABELS[vendor][number], status=status, details=details,
        error=error, skippedReason=reason,
    )  # fmt: skip
