"""`alerts why`: in sentences, why an alert fired at a time, or why it did not. Not here: the sentences (alerts/)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from matokit_pipelines.cli.frame import AsJson, Frame, frame_of

if TYPE_CHECKING:
    from datetime import datetime

    from matokit_pipelines.alerts.why import Kept
    from matokit_pipelines.warehouse.refresh import Home

MOST_IN_FULL = 5
MOST_NAMED = 20


def why(
    context: typer.Context,
    rule: str = typer.Argument(help="Rule, such as new_failure_pattern."),
    subject: str | None = typer.Argument(None, help="A component, an architecture or a commit; default: all of them."),
    at: str | None = typer.Option(
        None, metavar="TIME", help="When: 2026-11-20T08:30, or 3h for three hours ago; default: the newest evaluation."
    ),
    as_json: bool = AsJson,
) -> None:
    """Why an alert fired at a time, or why it did not: trigger and guard part by part, silences, digests, messages."""
    from matokit_pipelines import state

    frame = frame_of(context)
    home = frame.home()
    check_rule(rule)
    with state.opened(home.loaded.home) as connection:
        when = _when(home, connection, rule, at)
        found = _found(home, connection, rule, subject, when)
        rows = [_row(home, connection, kept) for kept in found]
    if as_json:
        frame.rows(rows, as_json=True)
        return
    if not rows:
        frame.say(_nothing(home, rule, subject, when))
        return
    in_full = rows if subject else [row for row in rows if row["raw"]][:MOST_IN_FULL] or rows[:1]
    for number, row in enumerate(in_full):
        if number:
            frame.say()
        _show(frame, row)
    others = [row for row in rows if row not in in_full]
    if others:
        frame.say()
        frame.say("And, each with its own `matokit alerts why`:")
        for row in others[:MOST_NAMED]:
            frame.say(f"  {row['outcome']}")
        if len(others) > MOST_NAMED:
            frame.say(f"  and {len(others) - MOST_NAMED:,} more; --json lists all of them.")


def check_rule(rule: str) -> None:
    """SettingsError for a rule that there is not."""
    import difflib

    from matokit_pipelines.alert_settings import AllRules
    from matokit_pipelines.errors import SettingsError

    known = list(AllRules.model_fields)
    if rule not in known:
        near = difflib.get_close_matches(rule, known, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(known)}."
        raise SettingsError(f'There is no rule "{rule}"; {hint}')


def _when(home: Home, connection: Any, rule: str, at: str | None) -> datetime:
    """The evaluation that is meant."""
    from matokit_pipelines.alerts import store
    from matokit_pipelines.cli.alerts_time import moment_given
    from matokit_pipelines.errors import SettingsError

    now, zone = home.clock.now(), home.loaded.settings.project.zone
    if at is None:
        progress = store.progress(connection)
        return now if rule == "data_stale" else progress.evaluated_to or now
    given = moment_given(at, zone, now, ago=True)
    if given > now:
        raise SettingsError(f"--at {at} is in the future; nothing was evaluated then.")
    return given


def _found(home: Home, connection: Any, rule: str, subject: str | None, when: datetime) -> list[Kept]:
    """What is stored; else what the rule says when it is asked now."""
    from matokit_pipelines.alerts.tracing import RuleTicks
    from matokit_pipelines.alerts.why import kept_at

    settings = home.loaded.settings
    ticks = RuleTicks.of(rule, settings.alerts, settings.project.zone)
    found = kept_at(connection, rule, subject, when, ticks)
    if found and all(kept.exact for kept in found):
        return found
    anew = _evaluated(home, rule, subject, when, ticks)
    if not found:
        return anew
    now = {kept.verdict.fingerprint: kept.verdict for kept in anew}
    return [kept if kept.exact else kept.counted_again(now.get(kept.verdict.fingerprint)) for kept in found]


def _evaluated(home: Home, rule: str, subject: str | None, when: datetime, ticks: Any) -> list[Kept]:
    from matokit_pipelines.alerts.evaluation import findings_at, stale_verdict
    from matokit_pipelines.alerts.verdicts import ALL
    from matokit_pipelines.alerts.why import Kept, in_force
    from matokit_pipelines.warehouse.event_log import WarehouseLog
    from matokit_pipelines.warehouse.facts import product_watermark

    settings = home.loaded.settings
    mark = product_watermark(home)
    if rule == "data_stale":
        return [Kept(stale_verdict(mark, when, settings.alerts), None, exact=True)]
    tick = in_force(min(when, mark) if mark else when, ticks)
    with home.warehouse.reader() as connection:
        verdicts = findings_at(rule, WarehouseLog(connection), [tick], settings.alerts, settings.project.zone)
    wanted = [verdict for verdict in verdicts if subject in (None, verdict.subject, ALL)]
    found = [Kept(verdict, None, exact=True) for verdict in wanted if subject in (None, verdict.subject)]
    return sorted(found, key=lambda kept: (not kept.verdict.guarded, not kept.verdict.raw, kept.verdict.subject))


def _row(home: Home, connection: Any, kept: Kept) -> dict[str, Any]:
    """One subject as an object: numbers, conditions, sentences."""
    from matokit_pipelines.alerts import why as reasons
    from matokit_pipelines.alerts.why_words import outcome, parts

    settings, zone, now = home.loaded.settings, home.loaded.settings.project.zone, home.clock.now()
    verdict = kept.verdict
    return {
        "rule": verdict.rule,
        "subject": verdict.subject,
        "environment": verdict.environment,
        "at": verdict.at,
        "is_stored": kept.run is not None,
        "first_tick": kept.run.first_tick if kept.run else verdict.at,
        "last_tick": kept.run.last_tick if kept.run else verdict.at,
        "state": verdict.state,
        "raw": verdict.raw,
        "guarded": verdict.guarded,
        "outcome": outcome(verdict, zone),
        "conditions": [
            {"of": p.of, "met": p.met, "sentence": p.sentence} for p in parts(verdict, settings.alerts, zone)
        ],
        "aftermath": reasons.aftermath(connection, kept, settings.alerts, zone, now),
        "known": reasons.how_known(kept, zone),
        "inputs": dict(verdict.inputs),
    }


def _show(frame: Frame, row: dict[str, Any]) -> None:
    frame.say(row["outcome"])
    of = ""
    for condition in row["conditions"]:
        if condition["of"] != of:
            of = condition["of"]
            frame.say(f"  {of.capitalize()}")
        mark = {True: "met", False: "not met", None: ""}[condition["met"]]
        frame.say(f"    {mark:<8}{condition['sentence']}")
    if row["aftermath"]:
        frame.say("  What became of it")
        for sentence in row["aftermath"]:
            frame.say(f"    {sentence}")
    frame.say(f"  {row['known']}")


def _nothing(home: Home, rule: str, subject: str | None, when: datetime) -> str:
    from matokit_pipelines.alerts.why_words import day_and_clock

    at = day_and_clock(when, home.loaded.settings.project.zone)
    about = f" of {subject}" if subject else ""
    return f"{rule}{about} was not judged at {at}: no event of it lies in the windows that the rule looks at."
