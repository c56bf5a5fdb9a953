"""`send-test`: one message to each destination, by the way that alerts take. Not here: the ways (delivery/)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from matokit_pipelines.cli.frame import AsJson, frame_of

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from matokit_pipelines.delivery.messages import Message
    from matokit_pipelines.delivery.outbox import Row
    from matokit_pipelines.settings import Loaded
    from matokit_pipelines.warehouse.refresh import Home


def send_test(
    context: typer.Context,
    to: list[str] = typer.Option(
        [], metavar="DEST", help="A destination such as slack:#alerts, or a group; default: all."
    ),
    as_json: bool = AsJson,
) -> None:
    """Send a test message to every destination, or to those given; exit code 3 when one did not take it."""
    from matokit_pipelines.errors import REFUSED

    frame = frame_of(context)
    home = frame.home()
    with frame.progress("Sending"), frame.only_json(as_json):
        rows = _sent(home, _wanted(home.loaded, to))
    if as_json:
        frame.rows(rows, as_json=True)
    else:
        for row in rows:
            end = "sent" if row["state"] == "sent" else f"not sent: {row['error'] or 'it is not known why'}"
            frame.say(f"{row['destination']}: {end.rstrip('.')}.")
    if any(row["state"] != "sent" for row in rows):
        raise typer.Exit(REFUSED)


def _wanted(loaded: Loaded, to: list[str]) -> list[str]:
    """The destinations that were asked for, or all that are in use. SettingsError for one that is none."""
    from matokit_pipelines.cli.checkup_delivery import destinations_in_use
    from matokit_pipelines.delivery_settings import DESTINATION, RecipientSettings
    from matokit_pipelines.errors import SettingsError

    for name in to:
        if not DESTINATION.match(name) and name not in RecipientSettings.model_fields:
            raise SettingsError(
                f'"{name}" is no destination; write slack:#channel, email:a@example.org, webhook:name, files, console, '
                f"or a group ({', '.join(RecipientSettings.model_fields)})."
            )
    if to:
        return list(loaded.settings.recipients.of(tuple(to)))
    return sorted(name for name in destinations_in_use(loaded) if DESTINATION.match(name)) or ["files"]


def _sent(home: Home, destinations: list[str]) -> list[dict[str, Any]]:
    """Put one message for each into the outbox, send these alone, and see what became of them.

    What else waits for a destination is left to whoever sends it: one that fails would keep the test back. One
    that was not sent is taken out again: whoever tries is here to see it, and a test that comes late tells nothing.
    """
    from matokit_pipelines import state
    from matokit_pipelines.delivery import outbox
    from matokit_pipelines.delivery.draining import drain
    from matokit_pipelines.delivery.operators import GROUP  # whose own messages are never told of when they fail

    now = home.clock.now()
    keys = {name: f"{GROUP}|test|{now:%Y%m%dT%H%M%S.%f}|{name}" for name in destinations}
    with state.opened(home.loaded.home) as connection:
        with state.transaction(connection):
            for name, key in keys.items():
                outbox.enqueue(
                    connection, message_key=key, conversation=key, destination=name, severity="warning",
                    message=_message(home, name), due=now, now=now,
                )  # fmt: skip
        drain(home.loaded, home.clock, only=keys.values())
        found = {row.message_key: row for row in outbox.listed(connection)}
        rows = [_row(connection, found[key], home.clock.now()) for key in keys.values()]
        for key in keys.values():
            connection.execute("delete from outbox where message_key = ? and state in ('pending', 'dead')", [key])
    return rows


def _row(connection: sqlite3.Connection, row: Row, now: datetime) -> dict[str, Any]:
    """What became of one; of one that was not tried, what keeps it."""
    from matokit_pipelines.delivery import outbox

    error = row.error
    if row.state == "sending":
        error = error or "another process is at it; `matokit outbox list` shows how it ends"
    elif row.state == "pending" and (until := outbox.held_to(connection, row, now)) is not None:
        error = error or f"the service asked not to be called before {until:%H:%M:%S} UTC"
    return {"destination": row.destination, "state": row.state, "provider_ref": row.provider_ref, "error": error}


def _message(home: Home, destination: str) -> Message:
    """A message in every form that an alert has."""
    from html import escape

    from matokit_pipelines.delivery.escaping import slack_text
    from matokit_pipelines.delivery.messages import Message

    at = home.clock.now().astimezone(home.loaded.settings.project.zone)
    lines = (
        f"This is a test, sent {at:%Y-%m-%d %H:%M %Z} to {destination}. Nothing is wrong.",
        "Alerts will come here in this form; `matokit alerts list` shows what fires.",
    )
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(slack_text(line) for line in lines)}}
    body = f"<body>{''.join(f'<p>{escape(line)}</p>' for line in lines)}</body>"
    return Message(
        subject="Test message of matokit",
        text="\n".join(lines) + "\n",
        html=f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Test</title></head>{body}</html>',
        blocks=[{"type": "header", "text": {"type": "plain_text", "text": "Test message of matokit"}}, section],
    )
