"""`extract`, `build` and `run`: the steps of a refresh, alone or together.

Not here: the steps (warehouse/refresh.py), the graph (orchestration/).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from matokit_pipelines.cli.frame import AsJson, Frame, counted, day_range, frame_of, shortened

if TYPE_CHECKING:
    from matokit_pipelines.warehouse.checks import CheckResult
    from matokit_pipelines.warehouse.passes import PassResult
    from matokit_pipelines.warehouse.refresh import Built

FROM = typer.Option(None, "--from", metavar="DAY", help="First whole day, such as 2026-11-01.")
LONGEST_EXAMPLE = 160  # characters
TO = typer.Option(None, "--to", metavar="DAY", help="Last whole day, included; default: today.")


def extract(
    context: typer.Context,
    source: str | None = typer.Option(None, help="Only this source."),
    first: str | None = FROM,
    last: str | None = TO,
    as_json: bool = AsJson,
) -> None:
    """Land what is new, or whole days in the site's zone again."""
    from matokit_pipelines.warehouse import refresh

    frame = frame_of(context)
    home = frame.home()
    days = day_range(first, last, home.clock.now().date())
    with frame.progress("Reading") as step:
        results = refresh.extract(home, only=source, days=days, progress=step)
    frame.rows([summary(result) for result in results], as_json=as_json)
    raise_for(results)


def build(
    context: typer.Context,
    first: str | None = FROM,
    last: str | None = TO,
    full: bool = typer.Option(False, help="Derive everything anew."),
    as_json: bool = AsJson,
) -> None:
    """Derive what is touched, or given days, or everything; check it; publish."""
    from matokit_pipelines.warehouse import refresh

    frame = frame_of(context)
    home = frame.home()
    days = day_range(first, last, home.clock.now().date())
    with frame.progress("Deriving") as step:
        built = refresh.build_and_publish(home, days=days, full=full, progress=step)
    _show(frame, built, as_json=as_json)


def run(context: typer.Context) -> None:
    """Refresh and due reports: once, in process, the same graph that Dagster schedules."""
    from matokit_pipelines.orchestration import in_process

    frame = frame_of(context)
    with frame.progress("Refreshing"):
        outcome = in_process.refresh(frame.home())
    for line in outcome.lines:
        frame.say(line)
    if outcome.trouble:
        raise outcome.trouble


def summary(result: PassResult) -> dict[str, Any]:
    """One pass as a row for a person."""
    return {
        "source": result.source,
        "read": result.what,
        "windows": result.windows,
        "received": result.received,
        "new": result.inserted,
        "changed": result.changed,
        "vanished": result.vanished,
        "quarantined": result.quarantined,
        "withheld": result.truncated,
        "requests": result.requests,
        "complete to": result.watermark,
        "error": str(result.error) if result.error else None,
    }


def raise_for(results: list[PassResult]) -> None:
    """End with the exit code that fits: a source refused (3), or data known to be incomplete (4)."""
    from matokit_pipelines.errors import DataIncomplete
    from matokit_pipelines.warehouse import refresh

    if error := refresh.first_error(results):
        raise error
    if loss := refresh.loss_in_words(results):
        raise DataIncomplete(loss)


def _show(frame: Frame, built: Built, *, as_json: bool) -> None:
    rows = [{"table": table, "rows written": count} for table, count in built.result.rows.items()]
    frame.rows(rows, as_json=as_json, empty="Nothing to derive.")
    if as_json:
        return
    failed = [check for check in built.result.checks if not check.passed]
    frame.say(f"{len(built.result.checks)} checks, {len(failed)} warnings.")
    for check in failed:
        frame.say(f"warning: {check.table}: {check.sentence} ({counted(check.failing_rows, 'row')}){such_as(check)}")
    if built.manifest:
        frame.say(f"Published snapshot {built.manifest.generation}.")
    else:
        frame.say("The snapshot in service is still right.")


def such_as(check: CheckResult) -> str:
    """The examples of a warning, to end its line with."""
    return "".join(f"\n  {shortened(example, LONGEST_EXAMPLE)}" for example in check.examples)
