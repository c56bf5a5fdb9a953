"""What `try` says of an account that nobody knows yet: how completely it was read, how its events were understood.

Not here: reading it (trying.py), how events are read (sql/).
"""

from __future__ import annotations

import shlex
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from matokit_pipelines.cli.contract_words import NOTES, sentence_of
from matokit_pipelines.cli.frame import Frame, bytes_of, counted, moment_of, points_of, shortened
from matokit_pipelines.cli.guessing import dimension_lines

if TYPE_CHECKING:
    import duckdb

    from matokit_pipelines.cli.trial import Trial

MOST_NAMES = 20
MOST_TROUBLES = 3
MOST_DRIFT = 5
NOT_LISTED = [
    "these credentials may not list them, so none was read: give their user that right, or, after `matokit init`, the "
    "slots as slots = { os = 1, architecture = 2, commit = 3 }"
]
QUIET = timedelta(hours=24)
_NAMES = """
select category_raw as category, name_raw as name, count(*) as events,
       any_value(component order by component) as component,
       string_agg(distinct outcome, ', ' order by outcome) as outcomes,
       string_agg(distinct form || ' ' || rule, ', ' order by form || ' ' || rule) as "form and rule",
       count(*) filter (confidence = 'certain') / count(*)::double as certain,
       count(*) filter (confidence = 'inferred') / count(*)::double as inferred,
       count(*) filter (confidence = 'ambiguous') / count(*)::double as ambiguous,
       string_agg(distinct left_out_reason, ', ' order by left_out_reason) as "left out"
from staging.installer_events
group by category_raw, name_raw
order by events desc, category_raw, name_raw
"""
_TOTAL = """
select count(*) as landed, count(*) filter (counted) as counted, max(event_ts) as newest,
       count(*) filter (counted and confidence = 'ambiguous') as ambiguous,
       (select count(*) from raw.quarantine) as quarantined
from staging.installer_events
"""
_RATES = """
select environment, count(*) as events, count(*) filter (outcome = 'success') as successes
from staging.installer_events where counted
group by environment order by environment = 'production' desc, events desc, environment
"""
_WORST = """
select environment, component, count(*) as events, count(*) filter (outcome = 'failure') as failures
from staging.installer_events where counted
group by environment, component
order by environment = 'production' desc, failures desc, events desc, component limit 1
"""
_DRIFT = """
select kind, reason, finding, sum(events)::bigint as events from marts.contract_drift
group by kind, reason, finding order by events desc, kind, reason, finding
"""
_DETAIL = "select detail from ledger.windows where window_start = ? and window_end = ? order by window_id desc limit 1"


def names(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """One row a category and name: how many, how they were read, how certainly, and why some were left out."""
    return _rows(connection, _NAMES)


def show(frame: Frame, trial: Trial, now: datetime) -> None:
    """Print the whole report."""
    site = trial.account.site
    total = _rows(trial.connection, _TOTAL)[0]
    title = f'"{shortened(site.name)}", in {site.zone.key}'
    frame.say(f"Site {site.site_id} is {title}; {(trial.last - trial.first).days + 1} days, {trial.first} to "
              f"{trial.last}.")  # fmt: skip
    for line in (*_completeness(trial, now), *_freshness(trial, total["newest"], now)):
        frame.say(line)
    frame.say("Dimensions, by the number that scripts send:")
    kind = trial.source.kind
    chosen = {str(meaning): number for meaning, number in trial.source.dimensions.items()}
    found = trial.account.dimensions
    listed = NOT_LISTED if found is None else dimension_lines(found, chosen, guessed=trial.guessed, kind=kind)
    for line in listed:
        frame.say(f"  {line}")
    if trial.account.losses:
        frame.say("Settings of the site that lose events, or may:")
        for loss in trial.account.losses:
            frame.say(f"  {loss}.")
    if total["landed"]:
        _show_events(frame, trial, total)
    else:
        frame.say("No custom event arrived in these days: do the scripts send to this site, with a category and an "
                  "action?" + _where_else(trial))  # fmt: skip
    frame.say()
    frame.say("If that looks right, set it up, with the zone in which your days are to be cut:")
    frame.say(f"  {_next_command(trial)}")


def _completeness(trial: Trial, now: datetime) -> list[str]:
    """What was read, whether it adds up, and what the server's own counts say of closed days."""
    from matokit_pipelines.warehouse import ledger

    result, name = trial.result, trial.source.name
    troubled = ledger.troubled_windows(trial.connection, name, now)
    proof = "what came is what the server announced" if trial.source.kind == "piwik_pro" else "all was read to its end"
    if troubled:
        proof = f"{counted(len(troubled), 'window')} did not add up"
    cost = f"{counted(trial.account.requests + result.requests, 'request')} ({bytes_of(result.bytes_received)})"
    lines = [f"Read in {counted(result.windows, 'window')} with {cost}; {proof}."]
    for window in troubled[:MOST_TROUBLES]:
        detail = trial.connection.execute(_DETAIL, [window.start, window.end]).fetchall()[0][0]
        lines.append(f"  {window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC: {detail}.")
    days = ledger.reconciled(trial.connection, name)
    if days:
        agreeing = sum(day.verdict == "equal" for day in days.values())
        every = "All" if agreeing == len(days) else f"{agreeing} of"
        lines.append(f"{every} {counted(len(days), 'closed day')} agree with the server's own daily counts.")
    for day in sorted(days):
        found = days[day]
        if found.verdict == "not_archived":
            lines.append(f"  {day}: the server has no report of it yet, so nothing independent confirms it.")
        elif found.verdict != "equal":
            lines.append(f"  {day}: it counts {found.reported or 0:,} and gives {found.extracted:,}.")
    if result.truncated:
        lines.append(f"{counted(result.truncated, 'action')} of very long visits are withheld by the server.")
    return lines


def _freshness(trial: Trial, newest: datetime | None, now: datetime) -> list[str]:
    from matokit_pipelines.warehouse.piwik_pro_planning import LAG

    expected = "Matomo shows an event within minutes"
    if trial.source.kind == "piwik_pro":
        expected = (
            "Piwik PRO shows an event once its session has ended and was processed, so expect it "
            f"{LAG / timedelta(hours=1):g} h after it happened"
        )
    if newest is None:
        return []
    lines = [f"Newest event {moment_of(newest, now)}; {expected}."]
    if now - newest > QUIET + LAG:
        lines.append("  It is older than that explains: no script was run since, or what they send is lost.")
    return lines


def _show_events(frame: Frame, trial: Trial, total: dict[str, Any]) -> None:
    found = names(trial.connection)
    frame.say()
    frame.rows([_in_words(row) for row in found[:MOST_NAMES]], as_json=False)
    if len(found) > MOST_NAMES:
        frame.say(f"... and {counted(len(found) - MOST_NAMES, 'name')} more; --json prints all of them.")
    frame.say()
    frame.say(
        f"{counted(total['landed'], 'event')}, {total['counted']:,} counted; {total['ambiguous']:,} of these could be "
        "read in two ways."
    )
    if total["quarantined"]:
        frame.say(f"{counted(total['quarantined'], 'row')} could not be read at all and would be kept apart.")
    for row in _rows(trial.connection, _RATES):
        share = points_of(row["successes"] / row["events"])
        frame.say(f"Success in {row['environment']}: {share} ({row['successes']:,} of {row['events']:,} events).")
    for row in _rows(trial.connection, _WORST):
        if row["failures"]:
            frame.say(
                f"Most failures in {row['environment']}: {shortened(row['component'])}, "
                f"{row['failures']:,} of {row['events']:,} events."
            )
    for line in (*mend(found), *_drift(trial)):
        frame.say(f"To mend: {line}")


def _drift(trial: Trial) -> list[str]:
    """What broke the contract of docs/events.md most often."""
    found = [row for row in _rows(trial.connection, _DRIFT) if row["kind"] not in NOTES]
    lines = [
        f"{sentence_of(row['kind'], row['reason'], row['finding'])} ({counted(row['events'], 'event')})."
        for row in found[:MOST_DRIFT]
    ]
    if len(found) > MOST_DRIFT:
        lines.append(
            f"and {len(found) - MOST_DRIFT:,} more; after a pass `matokit lint-events --landed` names them all."
        )
    return lines


def mend(found: list[dict[str, Any]]) -> list[str]:
    """What scripts could send better, by the rows of `names`; each name is named once a line."""
    lines = []
    if ambiguous := _which(found, lambda row: bool(row["ambiguous"])):
        lines.append(
            f"{ambiguous}: value 0 may be a failure or a success of 0 s; "
            "always send an error suffix on failure, or set events.zero_value."
        )
    if inferred := _which(found, lambda row: bool(row["inferred"])):
        lines.append(
            f"{inferred}: what value 0 means was inferred; "
            "an error suffix on the name, such as _network_error, makes a failure certain and says why."
        )
    if unknown := _which(found, lambda row: "unknown_outcome" in str(row["left out"])):
        lines.append(f"{unknown}: no outcome can be told; send value 1 for success and 0 for failure.")
    return lines


def _which(found: list[dict[str, Any]], holds: Any) -> str:
    said = list(dict.fromkeys(shortened(str(row["name"])) for row in found if row["name"] and holds(row)))
    return ", ".join(said[:5]) + " and others" * (len(said) > 5)


def _in_words(row: dict[str, Any]) -> dict[str, Any]:
    shares = {key: points_of(row[key]) for key in ("certain", "inferred", "ambiguous")}
    texts = {key: shortened(row[key]) for key in ("category", "name", "component") if row[key] is not None}
    return row | shares | texts


def _where_else(trial: Trial) -> str:
    if trial.source.kind == "matomo":
        return ""
    return " After `matokit init`, `matokit doctor --why-missing` shows what has just arrived and what became of it."


def _next_command(trial: Trial) -> str:
    source = trial.source
    words = ["matokit", "init", "--kind", source.kind, "--url", source.url, "--site", source.site_id]
    words += ["--timezone", trial.account.site.zone.key]
    if source.name != "installers":
        words += ["--name", source.name]
    if trial.account.dimensions is not None and source.dimensions != {"os": 1, "architecture": 2, "commit": 3}:
        words += ["--dimensions", ",".join(f"{meaning}={number}" for meaning, number in source.dimensions.items())]
    return shlex.join(words)


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    from matokit_pipelines.warehouse.snapshots import select

    return select(connection, sql).to_dicts()
