"""`query` and `explain`: asking the tables, and asking how one event would be read.

Not here: the reading itself (warehouse/reading.py).
"""

from __future__ import annotations

import typer

from matokit_pipelines import __version__
from matokit_pipelines.cli.frame import AsJson, frame_of


def query(
    context: typer.Context,
    sql: str = typer.Argument(help='One select, such as "select * from success_rate_daily order by 1 desc limit 5".'),
    warehouse: bool = typer.Option(False, help="Ask the warehouse itself, under its lock, instead of the snapshot."),
    as_json: bool = AsJson,
) -> None:
    """Read-only SQL on the published snapshot; bare names are marts."""
    import duckdb

    from matokit_pipelines.errors import SettingsError
    from matokit_pipelines.warehouse.snapshots import open_current, rows_of

    frame = frame_of(context)
    home = frame.home()
    older = ""
    try:
        if warehouse:
            with home.warehouse.reader() as connection:
                rows = rows_of(connection, sql)
        else:
            with open_current(home.loaded.home) as snapshot:
                if (made_by := snapshot.manifest.code_version) != __version__:
                    older = f" (the snapshot is of matokit {made_by}; `matokit build` makes one of {__version__})"
                rows = snapshot.rows(sql)
    except duckdb.Error as error:
        raise SettingsError(f"The query cannot be run: {str(error).splitlines()[0]}{older}") from error
    frame.rows(rows, as_json=as_json, empty="No rows.")


def explain(
    context: typer.Context,
    category: str = typer.Option(..., help="Event category, such as Installer."),
    name: str | None = typer.Option(None, help="Event name, such as python_install; leave out if not sent."),
    value: float | None = typer.Option(None, help="Event value; leave out if not sent, which is not 0."),
    action: str = typer.Option("Event", help="Event action."),
    os: str | None = typer.Option(None, help="Operating system as sent, such as macOS14.2.1."),
    architecture: str | None = typer.Option(None, help="Architecture as sent, such as arm64."),
    commit: str | None = typer.Option(None, help="Commit as sent."),
    as_json: bool = AsJson,
) -> None:
    """How one event would be read, rule by rule."""
    from dataclasses import asdict

    from matokit_pipelines.warehouse.reading import RawEvent, explain
    from matokit_pipelines.warehouse.refresh import build_options

    frame = frame_of(context)
    event = RawEvent(
        category=category, action=action, name=name, value=value, os=os, architecture=architecture, commit=commit
    )
    reading = explain(build_options(frame.loaded()), event)
    if as_json:
        frame.rows([asdict(reading)], as_json=True)
        return
    for step in reading.steps:
        frame.say(step)
