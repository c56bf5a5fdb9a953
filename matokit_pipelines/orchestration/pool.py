"""The pool of steps that write to the warehouse, and giving its slot back when a run died with it.

Dagster's daemon frees the slot of a run that it sees dying; without a daemon nobody would, and every later run would
wait for ever. Not here: the warehouse's own lock (warehouse/connection.py), which guards against any other process.
"""

import os
import socket

import dagster as dg
from dagster import DagsterInstance
from dagster._core.storage.dagster_run import FINISHED_STATUSES

WAREHOUSE = "warehouse"
PID_TAG, HOST_TAG = "matokit/pid", "matokit/host"


def my_tags() -> dict[str, str]:
    """The tags by which a run in this process is known to be dead when the process is."""
    return {PID_TAG: str(os.getpid()), HOST_TAG: socket.gethostname()}


def end_dead_runs(instance: DagsterInstance) -> None:
    """Mark runs as failed whose process was killed, and free the slots of every run that is over.

    A run that Dagster's daemon started names no process; whether it died is for run monitoring to say.
    """
    going_on = [status for status in dg.DagsterRunStatus if status not in FINISHED_STATUSES]
    for run in instance.get_runs(dg.RunsFilter(statuses=going_on)):
        pid = run.tags.get(PID_TAG)
        if pid and run.tags.get(HOST_TAG) == socket.gethostname() and not _is_alive(int(pid)):
            instance.report_run_failed(run, message="The process of this run was killed; the next run goes on from it.")
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return
    for run_id in storage.get_concurrency_run_ids():
        held_by = instance.get_run_by_id(run_id)
        if held_by is None or held_by.is_finished:
            storage.free_concurrency_slots_for_run(run_id)


def _is_alive(pid: int) -> bool:
    if pid == os.getpid():
        return False  # a number used again: our own run has not begun yet
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
