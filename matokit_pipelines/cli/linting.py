"""`lint-events`: which event calls break the contract of docs/events.md, before they are sent or as they came.

Not here: the rules (sql/staging), reading files (lint_input.py), what a finding means (contract_words.py).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from matokit_pipelines.cli.contract_words import NOTES, quoted, sentence_of
from matokit_pipelines.cli.frame import AsJson, Frame, counted, frame_of, shortened

if TYPE_CHECKING:
    from matokit_pipelines.cli.lint_input import Call
    from matokit_pipelines.warehouse.reading import Finding, Reading


def lint_events(
    context: typer.Context,
    file: str = typer.Argument(
        "-", metavar="[FILE|-]", help="One event a line: JSON, a table with a header, or names."
    ),
    category: str = typer.Option("Installer", help="Category of lines that give none."),
    landed: bool = typer.Option(False, help="Look at what came in the last 30 days instead of a file."),
    quiet: bool = typer.Option(False, help="Print only what breaks the contract."),
    as_json: bool = AsJson,
) -> None:
    """How each event call would be read, and what breaks the contract of docs/events.md; exit code 5 if any does."""
    from matokit_pipelines.errors import CHECK_FAILED

    frame = frame_of(context)
    rows = _landed(frame) if landed else _linted(frame, _text_of(file), category)
    broken = sum(bool(row["breaks"]) for row in rows)
    shown = [row for row in rows if row["breaks"] or not quiet]
    if as_json:
        frame.rows(shown, as_json=True)
    else:
        for row in shown:
            _show(frame, row)
        one = "finding" if landed else "event"
        verb = "breaks" if broken == 1 else "break"
        frame.say(f"{counted(len(rows), one)}, {broken:,} {verb} the contract.")
    if broken:
        raise typer.Exit(CHECK_FAILED)


def _text_of(file: str) -> str:
    from matokit_pipelines.errors import SettingsError

    if file == "-" and sys.stdin.isatty():
        raise SettingsError("Nothing to read: name a file, pipe lines in, or use --landed.")
    try:
        return sys.stdin.buffer.read().decode() if file == "-" else Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8 text; save it as UTF-8.") from error
    except OSError as error:
        raise SettingsError(f"{file} cannot be read ({error.strerror}); name a file that can.") from error


def _linted(frame: Frame, text: str, category: str) -> list[dict[str, Any]]:
    """One row an event of the file."""
    from matokit_pipelines.cli.lint_input import calls
    from matokit_pipelines.warehouse.reading import read_all
    from matokit_pipelines.warehouse.refresh import build_options

    found = calls(text, category=category)
    options = build_options(frame.loaded())
    readings = read_all(options, [call.event for call in found]) if found else []
    return [_row(call, *read) for call, read in zip(found, readings, strict=True)]


def _row(call: Call, reading: Reading, findings: tuple[Finding, ...]) -> dict[str, Any]:
    event = call.event
    breaks = [sentence_of(f.kind, f.reason, f.finding) for f in findings if f.kind not in NOTES]
    if reading.left_out_reason == "out_of_scope":
        breaks.append(
            f"the category {quoted(event.category)} is not that of an installer, so the event is counted nowhere"
        )
    if call.not_a_number is not None:
        breaks.append(f"the value {quoted(call.not_a_number)} is no number, so it arrives as if none had been sent")
    return {
        "line": call.line,
        "category": event.category,
        "name": event.name,
        "value": event.value,
        "environment": reading.environment,
        "component": reading.component,
        "outcome": reading.outcome,
        "error_type": reading.error_type,
        "duration_s": reading.duration_s,
        "form": reading.form,
        "rule": reading.rule,
        "confidence": reading.confidence,
        "counted": reading.counted,
        "left_out_reason": reading.left_out_reason,
        "breaks": breaks,
        "notes": [sentence_of(f.kind, f.reason, f.finding) for f in findings if f.kind in NOTES],
    }


def _landed(frame: Frame) -> list[dict[str, Any]]:
    """One row a finding of the snapshot's contract_drift."""
    from matokit_pipelines.warehouse.snapshots import open_current

    with open_current(frame.loaded().home) as snapshot:
        found = snapshot.rows(
            "select * exclude (event_id) from contract_drift order by kind, events desc, source, reason, finding"
        )
    rows = []
    for row in found:
        sentence = sentence_of(str(row["kind"]), str(row["reason"]), str(row["finding"]))
        is_note = row["kind"] in NOTES
        rows.append(row | {"breaks": [] if is_note else [sentence], "notes": [sentence] if is_note else []})
    return rows


def _show(frame: Frame, row: dict[str, Any]) -> None:
    if "line" in row:
        frame.say(f"line {row['line']}: {_said(row)}: {_read(row)}")
    else:
        days = f"{row['first_seen']:%Y-%m-%d} to {row['last_seen']:%Y-%m-%d}"
        frame.say(f"{row['source']}: {_said_raw(row)}: {counted(row['events'], 'event')}, {days}")
    for sentence in row["breaks"]:
        frame.say(f"  breaks: {sentence}.")
    for sentence in row["notes"]:
        frame.say(f"  note: {sentence}.")


def _said(row: dict[str, Any]) -> str:
    value = "no value" if row["value"] is None else f"value {row['value']:g}"
    return f"{quoted(row['category'])} {quoted(row['name'])}, {value}"


def _said_raw(row: dict[str, Any]) -> str:
    return _said({"category": row["category_raw"], "name": row["name_raw"], "value": row["value_raw"]})


def _read(row: dict[str, Any]) -> str:
    if row["form"] is None:
        return "not read"
    of = f" of {shortened(row['component'])}" if row["component"] else ""
    error = f" ({row['error_type']} error)" if row["error_type"] else ""
    left_out = "" if row["counted"] else f", left out as {row['left_out_reason']}"
    outcome = "unknown outcome" if row["outcome"] == "unknown" else row["outcome"]
    where = "an unknown environment" if row["environment"] == "unknown" else row["environment"]
    return f"{outcome}{of}{error} in {where}, form {row['form']}, {row['confidence']}{left_out}"
