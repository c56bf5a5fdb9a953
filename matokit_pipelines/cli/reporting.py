"""`report …` and `dashboards`: make pages from what is published, and queue reports for their readers on request.

Not here: numbers and looks (reports/), what is made and sent by itself (orchestration/).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from matokit_pipelines.cli.frame import AsJson, counted, frame_of
from matokit_pipelines.errors import REFUSED, SettingsError

if TYPE_CHECKING:
    from matokit_pipelines.warehouse.refresh import Home

Send = typer.Option(False, "--send", help="Send it to its readers, unless it was sent to them before.")
Resend = typer.Option(False, "--resend", help="Send it to its readers, also where it was sent before.")


def weekly(
    context: typer.Context,
    period: str | None = typer.Option(None, help="ISO week such as 2026-W46; default: the last complete one."),
    send: bool = Send,
    resend: bool = Resend,
    as_json: bool = AsJson,
) -> None:
    """The weekly operations summary: a page, its text twin and the JSON of its numbers."""
    from matokit_pipelines.windows import last_complete_week, parse_week

    home = frame_of(context).home()
    zone = home.loaded.settings.project.zone
    monday = parse_week(period) if period else last_complete_week(home.clock.now(), zone)
    _report(context, "weekly", monday, send, resend, as_json)


def daily(
    context: typer.Context,
    period: str | None = typer.Option(None, help="Day on whose morning it ends, such as 2026-11-20; default: today."),
    send: bool = Send,
    resend: bool = Resend,
    as_json: bool = AsJson,
) -> None:
    """The daily component health report: what failed in the day until the morning."""
    from matokit_pipelines.windows import local_date, parse_day

    home = frame_of(context).home()
    day = parse_day(period) if period else local_date(home.clock.now(), home.loaded.settings.project.zone)
    _report(context, "daily", day, send, resend, as_json)


def monthly(
    context: typer.Context,
    period: str | None = typer.Option(None, help="Month such as 2026-10; default: the last complete one."),
    send: bool = Send,
    resend: bool = Resend,
    as_json: bool = AsJson,
) -> None:
    """The monthly system compatibility report: the thirty days that end with the month."""
    from matokit_pipelines.windows import last_complete_month, parse_month

    home = frame_of(context).home()
    zone = home.loaded.settings.project.zone
    month = parse_month(period) if period else last_complete_month(home.clock.now(), zone)
    _report(context, "monthly", month, send, resend, as_json)


def dashboards(
    context: typer.Context,
    out: Path | None = typer.Option(
        None, help="A folder for a web server or bucket: gets the index, dashboards and all reports."
    ),
    as_json: bool = AsJson,
) -> None:
    """The four dashboards and the index of all pages."""
    from matokit_pipelines.reports import making
    from matokit_pipelines.reports.index.site import copy_site

    frame = frame_of(context)
    home = frame.home()
    pages = list(making.make_dashboards(home))
    index = making.make_index(home)
    copied = copy_site(home.loaded.home, out) if out else ()
    if as_json:
        frame.rows([{"page": str(page)} for page in (index, *pages)], as_json=True)
        return
    for page in pages:
        frame.say(f"Dashboard: {page}")
    frame.say(f"Index: {index}")
    if out:
        frame.say(f"{counted(len(copied), 'file')} new or changed in {out}.")


def _report(context: typer.Context, report: str, day: date, send: bool, resend: bool, as_json: bool) -> None:
    from matokit_pipelines.reports import making
    from matokit_pipelines.windows import start_of_day

    frame = frame_of(context)
    home = frame.home()
    zone = home.loaded.settings.project.zone
    if start_of_day(day, zone) > home.clock.now():
        raise SettingsError(f"The period of {day} has not begun yet; name an earlier one with --period.")
    files, _ = making.make_report(home, report, day)
    making.make_index(home)
    said, is_refused = _sent(home, report, files.period, resend) if send or resend else ([], False)
    if as_json:
        row = {"html": str(files.html), "text": str(files.text), "json": str(files.json)}
        frame.rows([row | ({"sent": " ".join(said)} if said else {})], as_json=True)
    else:
        frame.say(files.text.read_text(encoding="utf-8").rstrip())
        frame.say()
        frame.say(f"Page: {files.html}")
        for sentence in said:
            frame.say(sentence)
    if is_refused:
        raise typer.Exit(REFUSED)


def _sent(home: Home, report: str, period: str, again: bool) -> tuple[list[str], bool]:
    """Queue it and send what is due: sentences on what came of it, and whether a destination refused."""
    from matokit_pipelines.delivery.draining import drain
    from matokit_pipelines.reports.sending import send_report

    sent = send_report(home.loaded, report, period, now=home.clock.now(), again=again)
    if sent.why_not:
        return [sent.why_not], False
    said = [f"Queued for {', '.join(sent.queued)}."] if sent.queued else []
    said += [f"Sent before to {', '.join(sent.already)}; --resend sends it again."] if sent.already else []
    done = drain(home.loaded, home.clock)
    return [*said, *(f"Messages to {sentence}" for sentence in done.sentences)], bool(done.put_off or done.dead)
