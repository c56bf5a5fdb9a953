"""Whether a run of some job is at work or waits to be. Not here: whether its process is still alive (pool.py)."""

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

ASKED_FOR = "__ASSET_JOB"  # Dagster's name for it


def going_on(instance: dg.DagsterInstance, *jobs: str) -> str | None:
    """A sentence on a run of one of the jobs that is queued or running; None when there is none.

    What a person asks for in the web page, a backfill too, runs as ASKED_FOR.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=list(NOT_FINISHED_STATUSES))):
        if run.job_name in jobs:
            return f"Run {run.run_id[:8]} of {run.job_name} is going on."
    return None
