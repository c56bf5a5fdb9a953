"""`outbox …`: messages on their way, sending what is due, and trying again what was given up.

Not here: the outbox and the ways of delivery (delivery/).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from matokit_pipelines.cli.frame import AsJson, Frame, counted, frame_of, moment_of, shortened

if TYPE_CHECKING:
    from datetime import datetime

    from matokit_pipelines.delivery.draining import DrainReport
    from matokit_pipelines.delivery.outbox import Row

app = typer.Typer(
    help="Messages on their way to Slack, mail, webhooks and files.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def list_(
    context: typer.Context,
    state: list[str] = typer.Option([], help="Only rows in this state: pending, sending, sent or dead; repeatable."),
    limit: int = typer.Option(50, min=1, help="The newest so many."),
    as_json: bool = AsJson,
) -> None:
    """The messages, newest first: to whom, what about, how far, and what went wrong."""
    from matokit_pipelines import state as store
    from matokit_pipelines.delivery import outbox
    from matokit_pipelines.errors import SettingsError

    frame = frame_of(context)
    home = frame.home()
    if unknown := [name for name in state if name not in outbox.STATES]:
        raise SettingsError(f'"{unknown[0]}" is no state of a message; there are {", ".join(outbox.STATES)}.')
    with store.opened(home.loaded.home) as connection:
        rows = outbox.listed(connection, state, limit)
        known = outbox.counts(connection)
    if as_json:
        frame.rows([as_object(row) for row in rows], as_json=True)
        return
    now = home.clock.now()
    for row in rows:
        _show(frame, row, now)
    frame.say(f"{', '.join(f'{known[name]:,} {name}' for name in outbox.STATES)}.")


@app.command("drain")
def drain(
    context: typer.Context,
    limit: int | None = typer.Option(None, min=1, help="Send at most so many."),
    as_json: bool = AsJson,
) -> None:
    """Send what is due now; exit code 3 when a destination refuses or cannot be reached."""
    from dataclasses import asdict

    from matokit_pipelines.delivery.draining import drain as drained
    from matokit_pipelines.errors import REFUSED

    frame = frame_of(context)
    home = frame.home()
    with frame.progress("Sending"), frame.only_json(as_json):
        report = drained(home.loaded, home.clock, limit=limit)
    if as_json:
        frame.rows([asdict(report)], as_json=True)
    else:
        for sentence in report.sentences:
            frame.say(sentence)
        frame.say(in_words(report, home.clock.now()))
    if report.put_off or report.dead:
        raise typer.Exit(REFUSED)


@app.command("retry")
def retry(
    context: typer.Context,
    ids: list[int] = typer.Argument(None, metavar="[ID...]", help="Messages by number; default: all that are dead."),
    as_json: bool = AsJson,
) -> None:
    """Make due at once what was given up, its tries counted anew."""
    from matokit_pipelines import state as store
    from matokit_pipelines.delivery import outbox
    from matokit_pipelines.errors import SettingsError

    frame = frame_of(context)
    home = frame.home()
    now = home.clock.now()
    with store.opened(home.loaded.home) as connection:
        rows = {row.id: row for row in outbox.listed(connection, ("pending", "sending", "dead"))}
        for number in ids or ():
            if number not in rows:
                raise SettingsError(
                    f"There is no message {number} that waits or was given up; see `matokit outbox list`."
                )
        keys = [rows[number].message_key for number in ids] if ids else [None]
        count = sum(outbox.retry(connection, now, key) for key in keys)
    if as_json:
        frame.rows([{"retried": count}], as_json=True)
        return
    more = "; `matokit outbox drain` sends now, `matokit up` within a minute" if count else ""
    frame.say(f"{counted(count, 'message')} due again{more}.")


def in_words(report: DrainReport, now: datetime) -> str:
    """What a drain did, in one sentence."""
    parts = [f"{counted(report.sent, 'message')} sent"]
    if report.found:
        parts.append(f"{report.found:,} of them found delivered already")
    if report.put_off:
        parts.append(f"{report.put_off:,} put off")
    if report.dead:
        parts.append(f"{report.dead:,} given up")
    left = ""
    if report.waiting:
        due = "now" if report.next_due is None or report.next_due <= now else f"{report.next_due:%Y-%m-%d %H:%M:%S} UTC"
        left = f"; {counted(report.waiting, 'message')} {'waits' if report.waiting == 1 else 'wait'}, due {due}"
    return f"{', '.join(parts)}{left}."


def as_object(row: Row) -> dict[str, Any]:
    """A row for `--json`: everything but the message itself."""
    return {
        "id": row.id, "message_key": row.message_key, "conversation": row.conversation,
        "destination": row.destination, "severity": row.severity, "subject": row.subject, "state": row.state,
        "attempts": row.attempts, "created_at": row.created_at, "next_at": row.next_at, "sent_at": row.sent_at,
        "provider_ref": row.provider_ref, "error": row.error,
    }  # fmt: skip


def _show(frame: Frame, row: Row, now: datetime) -> None:
    """One row in two lines: what and to whom, then how far."""
    frame.say(f"{row.id:>5} {row.state:<8}{row.destination}: {shortened(row.subject, 90)}")
    if row.state == "sent":
        far = f"sent {moment_of(row.sent_at, now)}"
    elif row.state == "dead":
        far = f"given up after {counted(row.attempts, 'attempt')}"
    else:
        wait = (
            f"due {moment_of(row.next_at, now)}" if row.next_at <= now else f"due {row.next_at:%Y-%m-%d %H:%M:%S} UTC"
        )
        far = wait + (f", {counted(row.attempts, 'attempt')} so far" if row.attempts else "")
    because = f"; {row.error.rstrip('.')}" if row.error else ""
    frame.say(f"      {far}{because}.")
