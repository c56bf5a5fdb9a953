"""When things run by themselves, in the project's zone. Every schedule is on from the start.

Not here: what is due (warehouse/probe.py, editions.py), what runs (jobs.py).
"""

from collections.abc import Sequence

import dagster as dg

from matokit_pipelines.alert_settings import clock_time
from matokit_pipelines.orchestration import alerting, editions
from matokit_pipelines.orchestration.at_work import ASKED_FOR, going_on
from matokit_pipelines.orchestration.days import LOOK_BACK_DAYS, range_tags
from matokit_pipelines.orchestration.housekeeping import delete_old_runs
from matokit_pipelines.orchestration.jobs import BACKFILL, NIGHTLY, REFRESH, REPORTS, housekeeping_job
from matokit_pipelines.orchestration.partitions import Calendar
from matokit_pipelines.orchestration.pool import end_dead_runs
from matokit_pipelines.orchestration.resources import HomeFinder
from matokit_pipelines.settings import Settings
from matokit_pipelines.warehouse.probe import probe
from matokit_pipelines.windows import local_date

AT_NIGHT, AFTER_NIGHT = "10 3 * * *", "30 4 * * *"
# On Mondays until the week is complete, three hours long; on the other days for a page that was made too early.
WEEKLY = ["30,45 7 * * 1", "*/15 8-9 * * 1", "0,15,30 10 * * 1", "30 7 * * 2-7"]
# In the days that may hold the first business day likewise; on the others for a page that was made too early.
MONTHLY = ["*/15 8-10 1-10 * *", "0 11 1-10 * *", "0 8 11-31 * *"]
RENEWED_AFTER = (3, 6)  # hours after the daily report at which its page is made again, when all of its window is known
A_TICK = 10  # old runs deleted: more than come, and a fraction of a second
REASON_TAG = "matokit/reason"


def every(minutes: int) -> str:
    """Cron for every so many minutes, 1 to 60."""
    return "0 * * * *" if minutes == 60 else f"*/{minutes} * * * *"


def schedules(calendar: Calendar, settings: Settings) -> Sequence[dg.ScheduleDefinition]:
    """All schedules."""
    running = dg.DefaultScheduleStatus.RUNNING
    zone = calendar.zone

    @dg.schedule(
        name="refresh_schedule",
        job=REFRESH,
        cron_schedule=every(settings.orchestration.refresh_minutes),
        execution_timezone=zone,
        default_status=running,
        description="Refresh when the sources hold something new or anything else is due; else no run.",
    )
    def refresh_schedule(
        context: dg.ScheduleEvaluationContext, home: dg.ResourceParam[HomeFinder]
    ) -> dg.RunRequest | dg.SkipReason:
        end_dead_runs(context.instance)
        delete_old_runs(context.instance, at_most=A_TICK)  # a day of refreshes would be over 100 MB by night
        if busy := going_on(context.instance, REFRESH.name, NIGHTLY.name, BACKFILL.name, ASKED_FOR):
            return dg.SkipReason(busy)
        used = home.home()
        due = probe(used)
        if not due.is_due:
            alerting.note_complete_to(used, due.complete_to)  # the alert sensor has the rules evaluated up to there
            return dg.SkipReason(due.reason)
        today = local_date(used.clock.now(), used.loaded.settings.project.zone)
        return dg.RunRequest(tags={**range_tags(calendar, today), REASON_TAG: due.reason})

    @dg.schedule(
        name="nightly_schedule",
        job=NIGHTLY,
        cron_schedule=AT_NIGHT,
        execution_timezone=zone,
        default_status=running,
        description="Refresh in any case: the whole look-back is read again and closed days are held against the "
        "sources' own counts.",
    )
    def nightly_schedule(context: dg.ScheduleEvaluationContext, home: dg.ResourceParam[HomeFinder]) -> dg.RunRequest:
        end_dead_runs(context.instance)
        used = home.home()
        today = local_date(used.clock.now(), used.loaded.settings.project.zone)
        return dg.RunRequest(tags={**range_tags(calendar, today, LOOK_BACK_DAYS), REASON_TAG: "It is night."})

    housekeeping_schedule = dg.ScheduleDefinition(
        name="housekeeping_schedule",
        job=housekeeping_job,
        cron_schedule=AFTER_NIGHT,
        execution_timezone=zone,
        default_status=running,
        description="Old runs, readings and files are put away.",
    )
    return [refresh_schedule, nightly_schedule, *report_schedules(calendar, settings), housekeeping_schedule]


def report_schedules(calendar: Calendar, settings: Settings) -> Sequence[dg.ScheduleDefinition]:
    """When each report is asked for."""
    daily_zone = settings.alerts.timezone or calendar.zone
    return [
        _report_schedule(
            "weekly", WEEKLY, calendar.zone,
            "The summary of the last complete week: Monday 07:30, at the latest 10:30 when its data are late; made "
            "again on a later morning when it was made too early.",
        ),
        _report_schedule(
            "daily", daily_crons(settings), daily_zone,
            "The component health report, at its hour whatever the data are complete to; its page is made again when "
            "all of its window is known.",
        ),
        _report_schedule(
            "monthly", MONTHLY, calendar.zone,
            "The compatibility report of the last month: 08:00 on the first business day, at the latest 11:00 when "
            "its data are late; made again on a later morning when it was made too early.",
        ),
    ]  # fmt: skip


def daily_crons(settings: Settings) -> list[str]:
    """The hour of the daily report and those at which its page is renewed."""
    at = clock_time(settings.alerts.daily_at)
    return [f"{at.minute} {(at.hour + later) % 24} * * *" for later in (0, *RENEWED_AFTER)]


def _report_schedule(report: str, crons: list[str], zone: str, description: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{report}_report_schedule",
        job=REPORTS[report],
        cron_schedule=crons,
        execution_timezone=zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )
    def report_schedule(
        context: dg.ScheduleEvaluationContext, home: dg.ResourceParam[HomeFinder]
    ) -> dg.RunRequest | dg.SkipReason:
        if busy := going_on(context.instance, REPORTS[report].name):
            return dg.SkipReason(busy)
        used = home.home()
        now = used.clock.now()
        edition = editions.newest(report, used.loaded.settings, now)
        if reason := editions.why_to_wait(used, edition, now):
            return dg.SkipReason(reason)
        return dg.RunRequest(partition_key=edition.key)

    return report_schedule
