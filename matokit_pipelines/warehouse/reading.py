"""How one event would be read, rule by rule: the same SQL as every build, on one row in memory.

Not here: the rules themselves (`sql/staging/event_readings`, `sql/staging/installer_events`); this module only puts
their answer into sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb

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


@dataclass(frozen=True)
class RawEvent:
    """One event as it is landed; None is "not sent", an empty text was sent empty."""

    category: str | None
    name: str | None = None
    value: float | None = None
    action: str | None = "Event"
    os: str | None = None
    architecture: str | None = None
    commit: str | None = None


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
    with in_memory(_ANY_TIME) as connection:
        _land(connection, event)
        build(connection, options=options, now=_ANY_TIME)
        columns = [name for name in Reading.__dataclass_fields__ if name != "steps"]
        row = connection.execute(f"select {', '.join(columns)} from staging.installer_events").fetchall()[0]
    found = dict(zip(columns, row, strict=True))
    return Reading(**found, steps=_steps(event, found))


def _land(connection: duckdb.DuckDBPyConnection, event: RawEvent) -> None:
    row = {
        "source": "explain", "site_id": "1", "event_id": "1", "visit_id": 1, "visitor_id": "1",
        "event_ts": _ANY_TIME, "fold_ambiguous": False, "visit_first_ts": _ANY_TIME, "visit_last_ts": _ANY_TIME,
        "landed_at": _ANY_TIME, "changed_at": _ANY_TIME,
        "category": event.category, "action": event.action, "name": event.name, "value": event.value,
        "os_raw": event.os, "architecture_raw": event.architecture, "commit_raw": event.commit,
    }  # fmt: skip
    marks = ", ".join("?" for _ in row)
    connection.execute(f"insert into raw.matomo_events ({', '.join(row)}) values ({marks})", list(row.values()))


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
