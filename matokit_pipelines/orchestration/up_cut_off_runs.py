"""Runs whose process ended together with the code server that had started it: marked as failed, slots given back.

`matokit up` runs this file before it starts a code server, when no run of an earlier one can be alive: a code server
reports a run that dies under it by itself, and nobody reports those that die with it. Runs of `matokit run` name their
own process and are judged by that (pool.end_dead_runs). Not here: runs that wait to be started, which stay so.
"""

import sys
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import GRPC_INFO_TAG

from matokit_pipelines.errors import MatokitError
from matokit_pipelines.orchestration import in_process, pool

BEGUN = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def end_cut_off_runs(instance: dg.DagsterInstance) -> int:
    """How many runs of an earlier code server were marked as failed."""
    cut_off = [run for run in instance.get_runs(dg.RunsFilter(statuses=BEGUN)) if GRPC_INFO_TAG in run.tags]
    for run in cut_off:
        instance.report_run_failed(run, message="This run ended with the code server; the next run goes on from it.")
    return len(cut_off)


def main(home: Path) -> int:
    """Exit code; an error is one sentence on stderr."""
    try:
        with in_process.storage_in_words(home), in_process.instance_of(home) as instance:
            ended = end_cut_off_runs(instance)
            pool.end_dead_runs(instance)
    except MatokitError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"Runs cut off and marked as failed: {ended}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
