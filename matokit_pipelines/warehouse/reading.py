"""How events would be read, rule by rule: the same SQL as every build, on rows in memory.

Not here: the rules themselves (`sql/staging/event_readings`, `installer_events`, `contract_findings`); this module only
puts their answer into sentences. Where events come from (cli/).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb
import polars as pl

from matokit_pipelines.warehouse.build import BuildOptions, build
from matokit_pipelines.warehouse.connection import in_memory

# rule number and what it asks, in the order in which the rules are asked; 11 stands between 5 and 6
RULES: tuple[tuple[int, str], ...] = (
    (1, "is the name that of a test"),
    (2, "is the category one of codes, or the name Log or Log_<n>"),
    (3, "is the commit a version x.y.z (first version of the scripts)"),
    (4, "does the name end with a known error suffix"),
    (5, "does the name end like a marker (_start, _success, _failure, ...)"),
    (11, "does the sender name the version of our contract"),
    (6, "is there no value"),
    (7, "is the value 2 or more, or a fraction, and finite"),
    (8, "is the value 1"),
    (9, "is the value 0"),
    (10, "is the value negative or not finite"),
)
_ANY_TIME = datetime(2026, 1, 15, 12, tzinfo=UTC)  # rules ask no clock; any instant reads the same


_LANDED_AS = {
    "os": "os_raw", "architecture": "architecture_raw", "commit": "commit_raw", "duration": "duration_raw",
    "error_type": "error_type_raw", "exit_code": "exit_code_raw", "event_id": "sender_event_id_raw",
    "contract": "contract_raw",
}  # fmt: skip
FAULTS_OF_DAYS = ("form", "ambiguous")  # what contract_findings keeps for comparison; no fault of one event


@dataclass(frozen=True)
class RawEvent:
    """One event as it is landed; None is "not sent", an empty text was sent empty. From `os` on: the dimensions, the
    last five those of the sender contract (docs/events.md)."""

    category: str | None
    name: str | None = None
    value: float | None = None
    action: str | None = "Event"
    os: str | None = None
    architecture: str | None = None
    commit: str | None = None
    duration: str | None = None
    error_type: str | None = None
    exit_code: str | None = None
    event_id: str | None = None
    contract: str | None = None


@dataclass(frozen=True)
class Finding:
    """What the contract does not know of an event: columns of staging.contract_findings."""

    kind: str
    reason: str
    finding: str


@dataclass(frozen=True)
class Reading:
    """What came out (columns of staging.installer_events) and how, one sentence a step in the order of the rules."""

    environment: str
    component: str | None
    outcome: str
    form: str | None
    rule: int | None
    confidence: str | None
    error_type: str | None
    duration_s: float | None
    counted: bool
    left_out_reason: str | None
    os_family: str
    os_version: str | None
    os_release: str
    architecture: str
    commit_sha: str | None
    commit_reason: str | None
    is_contract_drift: bool
    steps: tuple[str, ...] = ()


def explain(options: BuildOptions, event: RawEvent) -> Reading:
    """Read one event with the settings of `options`, as if it were the only one ever landed."""
    [(reading, _)] = read_all(options, [event])
    return reading


def read_all(options: BuildOptions, events: Sequence[RawEvent]) -> list[tuple[Reading, tuple[Finding, ...]]]:
    """Read `events` as if they and no others had ever landed: what was read of each, and what the contract does not
    know of it. Evidence on value 0 is what they give each other; a sender's id is never taken for a repeat."""
    columns = [name for name in Reading.__dataclass_fields__ if name != "steps"]
    with in_memory(_ANY_TIME) as connection:
        _land(connection, events)
        build(connection, options=options, now=_ANY_TIME)
        rows = connection.execute(
            f"select {', '.join(columns)} from staging.installer_events order by source"
        ).fetchall()
        findings = connection.execute(
            "select source::integer, kind, reason, finding from staging.contract_findings"
            " where not list_contains(?, kind) order by all",
            [list(FAULTS_OF_DAYS)],
        ).fetchall()
    of_event: dict[int, list[Finding]] = {}
    for place, *rest in findings:
        of_event.setdefault(place, []).append(Finding(*rest))
    readings = []
    for place, (event, row) in enumerate(zip(events, rows, strict=True)):
        found = dict(zip(columns, row, strict=True))
        readings.append((Reading(**found, steps=_steps(event, found)), tuple(of_event.get(place, ()))))
    return readings


def _land(connection: duckdb.DuckDBPyConnection, events: Sequence[RawEvent]) -> None:
    """Each event as the only one of a source of its own, named by its place, so that it can be found again."""
    rows = [
        {"source": f"{place:09d}", "value": event.value}
        | {_LANDED_AS.get(name, name): text for name, text in asdict(event).items() if name != "value"}
        for place, event in enumerate(events)
    ]
    schema = dict.fromkeys(rows[0], pl.String) | {"value": pl.Float64}
    landed = pl.DataFrame(rows, schema=schema)
    constant = {
        "site_id": "1", "event_id": "1", "visit_id": 1, "visitor_id": "1", "fold_ambiguous": False,
        "event_ts": _ANY_TIME, "visit_first_ts": _ANY_TIME, "visit_last_ts": _ANY_TIME, "landed_at": _ANY_TIME,
        "changed_at": _ANY_TIME,
    }  # fmt: skip
    connection.register("landed_now", landed)
    connection.execute(
        f"insert into raw.matomo_events ({', '.join([*schema, *constant])})"
        f" select {', '.join(schema)}, {', '.join(f'${name}' for name in constant)} from landed_now",
        constant,
    )
    connection.unregister("landed_now")


def _steps(event: RawEvent, found: dict[str, Any]) -> tuple[str, ...]:
    if found["rule"] is None:
        return (
            f"Scope: the category {_said(event.category)} is not that of an installer; the event is landed, counted as"
            " out_of_scope and not read further.",
        )
    steps = [f"Scope: the category {_said(event.category)} is that of an installer."]
    drift = "; no list knows this category, so it is reported as contract drift" if found["is_contract_drift"] else ""
    steps.append(f"Environment: {found['environment']}{drift}.")
    for number, question in RULES:
        matched = number == found["rule"]
        steps.append(f"Rule {number}: {question}? {'Yes.' if matched else 'No.'}")
        if matched:
            break
    steps += [_form(found), *_zero(found), _counted(found), *_surroundings(event, found)]
    return tuple(steps)


def _form(found: dict[str, Any]) -> str:
    parts = [f"form {found['form']}", f"component {found['component'] or 'none'}", f"outcome {found['outcome']}"]
    if found["error_type"]:
        parts.append(f"error type {found['error_type']}")
    if found["duration_s"] is not None:
        parts.append(f"duration {found['duration_s']:g} s")
    return f"Result: {', '.join(parts)}, {found['confidence']}."


def _zero(found: dict[str, Any]) -> list[str]:
    if found["rule"] not in (8, 9):
        return []
    if found["rule"] == 8:
        return ["Value 1: a success either way; beside events with durations or error suffixes it took 1 s."]
    return [
        "Value 0: a failure when nothing else is known; beside events of the same component (else only of the same"
        " environment and commit) with durations or error suffixes it is a success of 0 s, and the setting zero_value"
        " decides where both kinds of sender are in use."
    ]


def _counted(found: dict[str, Any]) -> str:
    if found["counted"]:
        return "Counted: yes, the event is in the rates."
    return f"Counted: no, left out as {found['left_out_reason']}."


def _surroundings(event: RawEvent, found: dict[str, Any]) -> list[str]:
    version = f", version {found['os_version']}" if found["os_version"] else ", version not known"
    commit = found["commit_sha"] or f"none ({found['commit_reason']})"
    return [
        f"Operating system: {_said(event.os)} is {found['os_release']} (family {found['os_family']}{version}).",
        f"Architecture: {_said(event.architecture)} is {found['architecture']}.",
        f"Commit: {_said(event.commit)} is {commit}.",
    ]


def _said(text: str | None) -> str:
    return "(not sent)" if text is None else f'"{text}"'
