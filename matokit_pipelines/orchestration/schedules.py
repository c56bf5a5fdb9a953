"""When things run by themselves, in the project's zone. Every schedule is on from the start.

Not here: what is due (warehouse/probe.py, weekly.py), what runs (jobs.py).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from matokit_pipelines.orchestration import alerting, weekly
from matokit_pipelines.orchestration.at_work import ASKED_FOR, going_on
from matokit_pipelines.orchestration.days import LOOK_BACK_DAYS, range_tags
from matokit_pipelines.orchestration.housekeeping import delete_old_runs
from matokit_pipelines.orchestration.jobs import BACKFILL, NIGHTLY, REFRESH, WEEKLY_REPORT, housekeeping_job
from matokit_pipelines.orchestration.partitions import Calendar
from matokit_pipelines.orchestration.pool import end_dead_runs
from matokit_pipelines.orchestration.resources import HomeFinder
from matokit_pipelines.settings import OrchestrationSettings
from matokit_pipelines.warehouse.probe import probe
from matokit_pipelines.windows import last_complete_week, local_date

AT_NIGHT, AFTER_NIGHT = "10 3 * * *", "30 4 * * *"
# On Mondays until the week is complete, three hours long; on the other days for a page that was made too early.
WEEKLY = ["30,45 7 * * 1", "*/15 8-9 * * 1", "0,15,30 10 * * 1", "30 7 * * 2-7"]
FIRST_TICK = time(7, 30)
A_TICK = 10  # old runs deleted: more than come, and a fraction of a second
REASON_TAG = "matokit/reason"


def every(minutes: int) -> str:
    """Cron for every so many minutes, 1 to 60."""
    return "0 * * * *" if minutes == 60 else f"*/{minutes} * * * *"


def schedules(calendar: Calendar, settings: OrchestrationSettings) -> Sequence[dg.ScheduleDefinition]:
    """All schedules."""
    running = dg.DefaultScheduleStatus.RUNNING
    zone = calendar.zone

    @dg.schedule(
        name="refresh_schedule",
        job=REFRESH,
        cron_schedule=every(settings.refresh_minutes),
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

    @dg.schedule(
        name="weekly_report_schedule",
        job=WEEKLY_REPORT,
        cron_schedule=WEEKLY,
        execution_timezone=zone,
        default_status=running,
        description="The page of the last complete week: Monday 07:30, at the latest 10:30 when its data are late; "
        "made again on a later morning when it was made too early.",
    )
    def weekly_report_schedule(
        context: dg.ScheduleEvaluationContext, home: dg.ResourceParam[HomeFinder]
    ) -> dg.RunRequest | dg.SkipReason:
        if busy := going_on(context.instance, WEEKLY_REPORT.name):
            return dg.SkipReason(busy)
        used = home.home()
        now = used.clock.now()
        monday = last_complete_week(now, used.loaded.settings.project.zone)
        # the wall clock of the first tick, also where that Monday has 23 or 25 hours
        first = datetime.combine(monday + timedelta(days=7), FIRST_TICK, ZoneInfo(zone))
        if reason := weekly.why_to_wait(used, monday, first_tick=first.astimezone(UTC), now=now):
            return dg.SkipReason(reason)
        return dg.RunRequest(partition_key=calendar.key_of_week(monday))

    housekeeping_schedule = dg.ScheduleDefinition(
        name="housekeeping_schedule",
        job=housekeeping_job,
        cron_schedule=AFTER_NIGHT,
        execution_timezone=zone,
        default_status=running,
        description="Old runs, readings and files are put away.",
    )
    return [refresh_schedule, nightly_schedule, weekly_report_schedule, housekeeping_schedule]
