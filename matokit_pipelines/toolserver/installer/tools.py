"""The installer tools as they are published: names, addresses and the descriptions by which a model chooses.

Not here: what they do (the modules beside).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from matokit_pipelines.toolserver.installer.alerts import AlertParameters, Alerts, alerts
from matokit_pipelines.toolserver.installer.commits import CommitParameters, Commits, commit_regressions
from matokit_pipelines.toolserver.installer.components import ComponentHealth, ComponentParameters, component_health
from matokit_pipelines.toolserver.installer.data_status import DataParameters, DataStatus, data_status
from matokit_pipelines.toolserver.installer.durations import DurationParameters, Durations, durations
from matokit_pipelines.toolserver.installer.error_types import ErrorParameters, ErrorTypes, error_types
from matokit_pipelines.toolserver.installer.explaining import Explained, ExplainParameters, explain_alert
from matokit_pipelines.toolserver.installer.latest_report import LatestReport, ReportParameters, latest_report
from matokit_pipelines.toolserver.installer.overall import HealthParameters, InstallerHealth, installer_health
from matokit_pipelines.toolserver.installer.rates import SuccessRate, SuccessRateParameters, success_rate
from matokit_pipelines.toolserver.installer.systems import (
    Architectures,
    Releases,
    SystemParameters,
    architectures,
    releases,
)
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import Parameters
from matokit_pipelines.toolserver.tools import Answer, Tool

P = TypeVar("P", bound=Parameters)


def _tool(
    name: str,
    path: str,
    description: str,
    parameters: type[P],
    result: Any,
    function: Callable[[Kit, P], Answer],
    *,
    feature: str | None = None,
    uses_tables: bool = True,
) -> Tool[P]:
    """`feature`: its name in the cache; None for what the snapshot alone does not decide."""
    return Tool(
        name, f"/tools/{path}", "installer", description, parameters, result, function, feature,
        uses_tables,
    )  # fmt: skip


INSTALLER_TOOLS: tuple[Tool[Any], ...] = (
    _tool(
        "GetInstallerHealth",
        "get-installer-health",
        "Is the installer healthy? One verdict with its reason: success rate against the span before, components in "
        "trouble, open alerts, completeness of the data.",
        HealthParameters,
        InstallerHealth,
        installer_health,
    ),
    _tool(
        "GetInstallerSuccessRate",
        "get-installer-success-rate",
        "How much of the installer's steps succeeds: counts, success rate and interval, in total or by day, component, "
        "architecture, operating system, environment or commit, for any days, filtered by component, architecture or "
        "system.",
        SuccessRateParameters,
        SuccessRate,
        success_rate,
        feature="installerSuccessRate",
    ),
    _tool(
        "GetComponentHealth",
        "get-component-health",
        "Which components of the installer fail, or how one of them does: success rate, change, kinds of error, "
        "architectures, systems, durations, days, and whether it got worse by more than chance.",
        ComponentParameters,
        ComponentHealth,
        component_health,
        feature="installerComponents",
    ),
    _tool(
        "GetArchitectureCompatibility",
        "get-architecture-compatibility",
        "Does the installer work on each processor architecture (arm64, x86_64) as well as on the others? Success rate "
        "of each beside all others, worst component, and whether the gap is more than chance.",
        SystemParameters,
        Architectures,
        architectures,
        feature="installerArchitectures",
    ),
    _tool(
        "GetOsCompatibility",
        "get-os-compatibility",
        "Does the installer work on each release of macOS, Windows and Linux as well as on the others? Success rate of "
        "each beside all others, new releases, and whether the gap is more than chance.",
        SystemParameters,
        Releases,
        releases,
        feature="installerSystems",
    ),
    _tool(
        "GetCommitRegressions",
        "get-commit-regressions",
        "Which commit broke the installer, or a component such as python_install? Each commit of the scripts in its "
        "first 24 hours in production against the days before it, with chance, verdict and compare link.",
        CommitParameters,
        Commits,
        commit_regressions,
        feature="installerCommits",
    ),
    _tool(
        "GetErrorTypes",
        "get-error-types",
        "With which kinds of error the installer's steps fail, for all components or one, and which kinds grew.",
        ErrorParameters,
        ErrorTypes,
        error_types,
        feature="installerErrors",
    ),
    _tool(
        "GetDurations",
        "get-durations",
        "How long the installer's steps take, by component: median, 90th and 95th percentile in seconds.",
        DurationParameters,
        Durations,
        durations,
        feature="installerDurations",
    ),
    _tool(
        "GetAlerts",
        "get-alerts",
        "Which alerts about the installer are open, or were in the last days, each with its reason in a sentence, "
        "since when, and its id for ExplainAlert.",
        AlertParameters,
        Alerts,
        alerts,
        uses_tables=False,
    ),
    _tool(
        "ExplainAlert",
        "explain-alert",
        "Why was I paged? Why an alert fired, the newest unless one is named: its numbers, thresholds, guard, commits "
        "shortly before, who was told, and what to do.",
        ExplainParameters,
        Explained,
        explain_alert,
    ),
    _tool(
        "GetLatestReport",
        "get-latest-report",
        "The newest weekly, daily or monthly report about the installer: its headline, its text or numbers, its link.",
        ReportParameters,
        LatestReport,
        latest_report,
        uses_tables=False,
    ),
    _tool(
        "GetDataStatus",
        "get-data-status",
        "Are the data complete and fresh? By source: how far it is read, windows that do not add up, losses, and what "
        "that means for the numbers; web reports too.",
        DataParameters,
        DataStatus,
        data_status,
    ),
)
