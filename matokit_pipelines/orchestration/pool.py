"""The pool of steps that write to the warehouse, and runs that died: marked as failed, their slots given back.

Runs that Dagster's daemon starts share the pool, and the daemon frees the slot of one that dies. A run in this process
(`matokit run`) claims no slot, since without a daemon nobody would free it and every later run would wait for ever; the
warehouse's own lock (warehouse/connection.py) keeps it apart from any other writer, and names who holds it.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster import DagsterInstance
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from filelock import FileLock, Timeout

WAREHOUSE = "warehouse"
LIFE_TAG = "matokit/life"
_EARLIER_TAG = "matokit/pid"  # of versions before this one, of which none runs any more


@contextmanager
def living(instance: DagsterInstance) -> Iterator[dict[str, str]]:
    """The tag of runs in this process while the block runs: it names a file that is locked as long.

    A process that is killed loses its locks, also in a container, where its number and host would tell nothing.
    """
    file = _life(instance, uuid.uuid4().hex)
    file.parent.mkdir(exist_ok=True)
    with FileLock(file):
        try:
            yield {LIFE_TAG: file.stem}
        finally:
            file.unlink(missing_ok=True)


def end_dead_runs(instance: DagsterInstance) -> None:
    """Mark runs as failed whose process was killed, and free the slots of every run that is over.

    A run that Dagster's daemon started has no life of its own; whether it died is for run monitoring to say.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=list(NOT_FINISHED_STATUSES))):
        if _is_dead(instance, run):
            instance.report_run_failed(run, message="The process of this run was killed; the next run goes on from it.")
    storage = instance.event_log_storage
    if storage.supports_global_concurrency_limits:
        for run_id in storage.get_concurrency_run_ids():
            held_by = instance.get_run_by_id(run_id)
            if held_by is None or held_by.is_finished:
                storage.free_concurrency_slots_for_run(run_id)


def _is_dead(instance: DagsterInstance, run: dg.DagsterRun) -> bool:
    name = run.tags.get(LIFE_TAG)
    if name is None:
        return _EARLIER_TAG in run.tags
    file = _life(instance, name)
    if not file.exists():
        return True
    try:
        with FileLock(file, timeout=0):
            file.unlink(missing_ok=True)
    except Timeout:
        return False
    return True


def _life(instance: DagsterInstance, name: str) -> Path:
    return Path(instance.root_directory) / "alive" / f"{name}.lock"
