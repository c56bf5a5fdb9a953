"""`report …`: render a report from the published snapshot. Not here: its numbers and its look (reports/)."""

from __future__ import annotations

import typer

from matokit_pipelines.cli.frame import AsJson, frame_of


def weekly(
    context: typer.Context,
    period: str | None = typer.Option(None, help="ISO week such as 2026-W46; default: the last complete one."),
    as_json: bool = AsJson,
) -> None:
    """The weekly operations summary: a page, its text twin and the JSON of its numbers."""
    from matokit_pipelines.alerts.content.links import Links
    from matokit_pipelines.reports.weekly.pages import write_weekly
    from matokit_pipelines.warehouse.snapshots import open_current
    from matokit_pipelines.windows import last_complete_week, parse_week, zone_named

    frame = frame_of(context)
    home = frame.home()
    now = home.clock.now()
    with open_current(home.loaded.home) as snapshot:
        zone = zone_named(snapshot.manifest.project_zone)
        monday = parse_week(period) if period else last_complete_week(now, zone)
        files = write_weekly(snapshot, monday, now, home.loaded.home / "reports", Links.of(home.loaded))
    if as_json:
        frame.rows([{"html": str(files.html), "text": str(files.text), "json": str(files.json)}], as_json=True)
        return
    frame.say(files.text.read_text(encoding="utf-8").rstrip())
    frame.say()
    frame.say(f"Page: {files.html}")
