"""`alerts silence` and `alerts unsilence`: withhold messages for a while. Not here: what a silence does (alerts/)."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

import typer

from matokit_pipelines.cli.frame import AsJson, frame_of

if TYPE_CHECKING:
    from datetime import datetime

    from matokit_pipelines.alerts.silences import Silence


def silence(
    context: typer.Context,
    rule: str | None = typer.Option(None, help="Rule, such as new_failure_pattern; * and ? stand for any text."),
    subject: str | None = typer.Option(None, help="What an alert is about: a component, an architecture, a commit."),
    component: str | None = typer.Option(None, help="Component; fits only rules about one."),
    commit: str | None = typer.Option(None, help="Commit; fits only rules about one."),
    start: str | None = typer.Option(None, "--from", metavar="TIME", help="When it begins; default: now."),
    until: str = typer.Option(..., "--until", metavar="TIME", help="When it ends: 2h, 3d, or 2026-11-23T08:00."),
    reason: str = typer.Option(..., help="Why, for those who wonder."),
    author: str | None = typer.Option(None, help="Who; default: the user who runs this."),
    as_json: bool = AsJson,
) -> None:
    """Withhold the messages of some alerts for a while; they are evaluated all the same."""
    from matokit_pipelines import state
    from matokit_pipelines.alert_settings import AllRules
    from matokit_pipelines.alerts import silences
    from matokit_pipelines.cli.alerts_time import moment_given
    from matokit_pipelines.errors import SettingsError

    frame = frame_of(context)
    home = frame.home()
    zone, now = home.loaded.settings.project.zone, home.clock.now()
    given = {"rule": rule, "subject": subject, "component": component, "commit": commit}
    matchers = {key: value for key, value in given.items() if value is not None}
    if not matchers:
        raise SettingsError('Say what is to be silent: --rule, --subject, --component or --commit ("*" is everything).')
    _known_rule(rule, list(AllRules.model_fields))
    with state.opened(home.loaded.home) as connection:
        made = silences.add(
            connection,
            matchers=matchers,
            begins_at=moment_given(start, zone, now) if start else now,
            ends_at=moment_given(until, zone, now),
            author=author or _user(),
            reason=reason,
            now=now,
        )
    if as_json:
        frame.rows([row(made, now)], as_json=True)
        return
    frame.say(sentence(made, now))
    frame.say(f"`matokit alerts unsilence {made.id}` ends it early.")


def unsilence(
    context: typer.Context,
    number: int = typer.Argument(metavar="ID", help="Number of the silence, as alerts list shows it."),
    as_json: bool = AsJson,
) -> None:
    """End a silence now; what still fires is told at the next evaluation."""
    from matokit_pipelines import state
    from matokit_pipelines.alerts import silences

    frame = frame_of(context)
    home = frame.home()
    now = home.clock.now()
    with state.opened(home.loaded.home) as connection:
        ended = silences.end(connection, number, now)
    if as_json:
        frame.rows([row(ended, now)], as_json=True)
        return
    frame.say(sentence(ended, now))


def row(found: Silence, now: datetime) -> dict[str, Any]:
    """A silence as an object."""
    return {
        "kind": "silence",
        "id": found.id,
        "state": "active" if found.is_active(now) else "to come" if found.begins_at > now else "over",
        **{key: found.matchers.get(key) for key in ("rule", "subject", "component", "commit")},
        "from": found.begins_at,
        "until": found.until,
        "author": found.author,
        "reason": found.reason,
    }


def sentence(found: Silence, now: datetime) -> str:
    """A silence in one line."""
    about = ", ".join(f"{key} {value}" for key, value in found.matchers.items())
    if found.until <= now:
        return f"Silence {found.id} ({about}) is over since {found.until:%Y-%m-%d %H:%M} UTC."
    since = f"from {found.begins_at:%Y-%m-%d %H:%M} " if found.begins_at > now else ""
    return (
        f"Silence {found.id}: {about}, {since}until {found.until:%Y-%m-%d %H:%M} UTC, by {found.author}: {found.reason}"
    )


def _known_rule(rule: str | None, known: list[str]) -> None:
    """A pattern that fits no rule would silence nothing; SettingsError names the rules."""
    from fnmatch import fnmatchcase

    from matokit_pipelines.errors import SettingsError

    if rule is not None and not any(fnmatchcase(name, rule) for name in known):
        raise SettingsError(f'There is no rule "{rule}"; there are {", ".join(known)}.')


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in containers
        return "unknown"
