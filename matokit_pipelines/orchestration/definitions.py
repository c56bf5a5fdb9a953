"""Everything that exists in the graph, as a list. Nothing is computed here."""

import warnings

import dagster as dg

from matokit_pipelines import settings
from matokit_pipelines.clock import SystemClock
from matokit_pipelines.errors import SettingsError
from matokit_pipelines.orchestration.alert_sensor import alert_sensor
from matokit_pipelines.orchestration.assets.alerts import alert_evaluation
from matokit_pipelines.orchestration.assets.extract import raw_events
from matokit_pipelines.orchestration.assets.models import derived_tables
from matokit_pipelines.orchestration.assets.pages import dashboards, index
from matokit_pipelines.orchestration.assets.reports import report_assets
from matokit_pipelines.orchestration.assets.serving import published_snapshot
from matokit_pipelines.orchestration.assets.web_reports import web_reports
from matokit_pipelines.orchestration.jobs import (
    BACKFILL,
    EVALUATE,
    NIGHTLY,
    REFRESH,
    REPORTS,
    deliver_job,
    housekeeping_job,
)
from matokit_pipelines.orchestration.partitions import Calendar, calendar_of
from matokit_pipelines.orchestration.pool import WAREHOUSE
from matokit_pipelines.orchestration.resources import HomeFinder, HomeResource
from matokit_pipelines.orchestration.schedules import schedules
from matokit_pipelines.orchestration.sensors import SENSORS
from matokit_pipelines.windows import local_date


def build_definitions(home: HomeFinder | None = None, *, pool: str | None = WAREHOUSE) -> dg.Definitions:
    """The graph; `home` replaces the resource that finds the home by itself, `pool` None takes no part in the pool."""
    used, calendar = _settings(home), calendar_for(home)
    with warnings.catch_warnings():
        # of backfill_policy, which Dagster calls beta: nothing that a person who runs a command could act on
        warnings.simplefilter("ignore", dg.BetaWarning)
        assets = [
            raw_events("matomo", calendar, pool),
            raw_events("piwik_pro", calendar, pool),
            web_reports(pool),
            derived_tables(calendar, pool),
            alert_evaluation(pool),
            published_snapshot(calendar, pool),
            dashboards,
            index,
            *report_assets(calendar),
        ]
    return dg.Definitions(
        assets=assets,
        jobs=[REFRESH, NIGHTLY, BACKFILL, EVALUATE, *REPORTS.values(), deliver_job, housekeeping_job],
        schedules=schedules(calendar, used),
        sensors=[alert_sensor, *SENSORS],
        resources={"home": home or HomeResource()},
        executor=dg.in_process_executor,
    )


def calendar_for(home: HomeFinder | None = None) -> Calendar:
    """The days and weeks that the definitions for a home are partitioned by."""
    used = _settings(home)
    return calendar_of(used, local_date(SystemClock().now(), used.project.zone))


def _settings(home: HomeFinder | None) -> settings.Settings:
    """What the graph's zone, days and schedules follow; defaults without readable settings, so that it always loads."""
    try:
        return home.home().loaded.settings if home else settings.load().settings
    except SettingsError:
        return settings.Settings()


defs = build_definitions()
