"""`tracking …`: hits that the tool server accepted for Matomo and could not deliver: see, try again, drop.

Not here: the queue (toolserver/tracking/), sending installer events by hand (tracking.py: `track`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from matokit_pipelines.cli.frame import AsJson, Frame, counted, frame_of, moment_of, shortened

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from datetime import datetime

    from matokit_pipelines.toolserver.tracking.rows import Row

app = typer.Typer(
    help="Hits that the tool server accepted and Matomo has not taken.", no_args_is_help=True, rich_markup_mode=None
)
SHOWN = ("pending", "sending", "dead")


@app.command("list")
def list_(
    context: typer.Context,
    state: list[str] = typer.Option(
        [], help="Only hits in this state: pending, sending, done or dead; repeatable. Default: all but done."
    ),
    limit: int = typer.Option(50, min=1, help="The newest so many."),
    as_json: bool = AsJson,
) -> None:
    """The hits, newest first: for which site, how far, and what went wrong. What they tell is not shown."""
    from matokit_pipelines import state as store
    from matokit_pipelines.errors import SettingsError
    from matokit_pipelines.toolserver.tracking import keeping, rows

    frame = frame_of(context)
    home = frame.home()
    if unknown := [name for name in state if name not in rows.STATES]:
        raise SettingsError(f'"{unknown[0]}" is no state of a hit; there are {", ".join(rows.STATES)}.')
    with store.opened(home.loaded.home) as connection:
        found = keeping.listed(connection, state or SHOWN, limit)
        known = keeping.counts(connection)
    if as_json:
        frame.rows([as_object(row) for row in found], as_json=True)
        return
    now = home.clock.now()
    for row in found:
        _show(frame, row, now)
    frame.say(f"{', '.join(f'{known[name]:,} {name}' for name in rows.STATES)}.")


@app.command("retry")
def retry(
    context: typer.Context,
    ids: list[int] = typer.Argument(
        None,
        metavar="[ID...]",
        help="Dead hits by number; default: all that cannot be counted twice against a caller's key.",
    ),
    as_json: bool = AsJson,
) -> None:
    """Make due again what was given up, tries and age counted anew; a running tool server sends it.

    A hit that came with an idempotency key and may have been counted is only tried again by its number.
    """
    from matokit_pipelines import state as store
    from matokit_pipelines.toolserver.tracking import keeping

    frame = frame_of(context)
    home = frame.home()
    with store.opened(home.loaded.home) as connection:
        _must_be_dead(connection, ids or ())
        done = keeping.retry(connection, home.clock.now(), ids or ())
        left = keeping.counts(connection)["dead"]
    if as_json:
        frame.rows([{"retried": len(done), "dead": left}], as_json=True)
        return
    more = "; a running `matokit serve` sends within a second" if done else ""
    frame.say(f"{counted(len(done), 'hit')} due again{more}.")
    if left:
        frame.say(f"{left:,} still dead: they may have been counted, so only `matokit tracking retry ID` sends them.")


@app.command("drop")
def drop(
    context: typer.Context,
    ids: list[int] = typer.Argument(None, metavar="[ID...]", help="Dead hits by number."),
    everything: bool = typer.Option(False, "--all", help="All dead hits."),
    as_json: bool = AsJson,
) -> None:
    """Delete dead hits for good."""
    from matokit_pipelines import state as store
    from matokit_pipelines.errors import SettingsError
    from matokit_pipelines.toolserver.tracking import keeping

    frame = frame_of(context)
    if bool(ids) == everything:
        raise SettingsError("Name the hits to drop by number, or give --all.")
    home = frame.home()
    with store.opened(home.loaded.home) as connection:
        _must_be_dead(connection, ids or ())
        done = keeping.drop(connection, ids or ())
    if as_json:
        frame.rows([{"dropped": len(done)}], as_json=True)
        return
    frame.say(f"{counted(len(done), 'hit')} dropped.")


def _must_be_dead(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """SettingsError naming the first that is not."""
    from matokit_pipelines.errors import SettingsError
    from matokit_pipelines.toolserver.tracking.rows import found_row

    for number in ids:
        row = found_row(connection, number)
        if row is None or row.state != "dead":
            raise SettingsError(f"There is no dead hit {number}; see `matokit tracking list --state dead`.")


def as_object(row: Row) -> dict[str, Any]:
    """A row for `--json`: everything but what the hit tells and whose it is."""
    return {
        "id": row.id, "kind": row.kind, "site": row.site, "site_name": row.site_name, "state": row.state,
        "accepted_at": row.accepted_at, "attempts": row.attempts, "due_at": row.due_at,
        "finished_at": row.finished_at, "status": row.status, "has_key": row.is_once,
        "may_be_counted": row.is_unknown, "error": row.error,
    }  # fmt: skip


def _show(frame: Frame, row: Row, now: datetime) -> None:
    """One hit in two lines: what and for which site, then how far."""
    frame.say(f"{row.id:>5} {row.state:<8}{row.kind} for site {row.site} ({shortened(row.site_name)})")
    far = f"accepted {moment_of(row.accepted_at, now)}"
    if row.attempts:
        far += f", {counted(row.attempts, 'attempt')}"
    if row.state == "pending":
        far += ", behind an earlier hit of its visitor" if row.due_at is None else ""
        far += f", due {row.due_at:%Y-%m-%d %H:%M:%S} UTC" if row.due_at and row.due_at > now else ""
    because = f"; {shortened(row.error, 200).rstrip('.')}" if row.error else ""
    may_be = ", it may have been counted" if row.is_unknown and row.state == "dead" else ""
    frame.say(f"      {far}{because}{may_be}.")
