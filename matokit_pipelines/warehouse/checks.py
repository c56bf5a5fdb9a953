"""Checks on derived tables: made from model.yaml, and those of checks.sql.

A statement of checks.sql is introduced by `-- #fail name: sentence` or `-- #warn name: sentence` and selects the
offending rows; none means that the check passes. What a warning selects `as example` is shown with it.
Not here: what follows from a failure (build.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC as UTC_OFFSET
from datetime import date, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import duckdb

from matokit_pipelines.warehouse.models import Column, Model, ModelError, Part, condition, execute

Severity = Literal["fail", "warn"]
MOST_EXAMPLES = 3
_NAMES_EXAMPLE = re.compile(r"\bas example\b")
UTC = ZoneInfo("UTC")
# what a check of a whole table gets for the part that it may ask for
_ALWAYS = {
    "first_day": date.min,
    "last_day": date.max,
    "start_ts": datetime(1, 1, 2, tzinfo=UTC_OFFSET),
    "end_ts": datetime(9999, 12, 30, tzinfo=UTC_OFFSET),
}
_HEAD = re.compile(r"^-- #(?P<severity>fail|warn) (?P<name>[a-z][a-z0-9_]*): (?P<sentence>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class CheckResult:
    """One check on one table: `failing_rows` offending rows, `sentence` what must hold, `examples` the first values of
    the column `example` of a warning whose statement has one (text from elsewhere)."""

    name: str
    table: str
    severity: Severity
    sentence: str
    failing_rows: int
    examples: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.failing_rows == 0


@dataclass(frozen=True)
class Check:
    """One check: `condition` is true for an offending row, or `query` selects the offending rows."""

    name: str
    severity: Severity
    sentence: str
    condition: str = ""
    query: str = ""


def written_checks(model: Model) -> list[Check]:
    """The checks of checks.sql; ModelError when a text stands before the first head."""
    heads = list(_HEAD.finditer(model.checks))
    if model.checks.strip() and (not heads or model.checks[: heads[0].start()].strip()):
        raise ModelError(f'checks.sql of {model.name} must begin with "-- #fail name: sentence" or "-- #warn ...".')
    ends = [head.start() for head in heads[1:]] + [len(model.checks)][: len(heads)]
    return [
        Check(
            head["name"],
            "fail" if head["severity"] == "fail" else "warn",
            head["sentence"].strip(),
            query=model.checks[head.end() : end].strip().rstrip(";"),
        )
        for head, end in zip(heads, ends, strict=True)
    ]


def row_checks(model: Model) -> list[Check]:
    """The checks that model.yaml asks of each single row; none of a view's."""
    if model.file.materialisation == "view":
        return []
    return [check for column in model.file.columns for check in _of_column(model, column)]


def _of_column(model: Model, column: Column) -> Iterator[Check]:
    name = column.name
    names = {other.name for other in model.file.columns}
    if not column.nullable:
        yield Check(f"{name}_not_null", "fail", f"{name} is never null", f"{name} is null")
    if column.values is not None:
        allowed = ", ".join("'" + value.replace("'", "''") + "'" for value in column.values)
        yield Check(f"{name}_values", "fail", f"{name} is one of {allowed}", f"{name} not in ({allowed})")
    if column.range is not None:
        low, high = column.range
        outside = [f"{name} < {low}"] if low is not None else []
        outside += [f"{name} > {high}"] if high is not None else []
        yield Check(f"{name}_range", "fail", f"{name} lies in {low} to {high}", " or ".join(outside))
    if {f"{name}_low", f"{name}_high"} <= names:
        sentence = f"{name} lies within its own interval"
        yield Check(f"{name}_interval", "fail", sentence, f"{name} < {name}_low or {name} > {name}_high")
    if name == "success_rate" and "events" in names:
        sentence = "a rate is null exactly when there are no events"
        yield Check(f"{name}_null_without_events", "fail", sentence, f"({name} is null) <> (events = 0)")


def run_checks(
    con: duckdb.DuckDBPyConnection, model: Model, parts: Sequence[Part] | None = None, zone: ZoneInfo = UTC
) -> list[CheckResult]:
    """Check a table, or the `parts` of an incremental one that were just derived.

    The rows of a view are not looked at: they are those of the tables derived from it, which are.
    """
    counts: dict[str, int] = {}
    examples: dict[str, tuple[str, ...]] = {}
    checks = [*row_checks(model), *_unique(model), *written_checks(model)]
    for number, part in enumerate([None] if parts is None else parts):
        where = f"where {condition(model)}" if part else ""
        given = part.parameters(zone) if part else _ALWAYS
        failing = [*_row_counts(con, model, where, given)]
        failing += [_not_unique(con, model, where, given) for _ in _unique(model)]
        for check in written_checks(model):
            is_of_parts = "$" in check.query
            again = number > 0 and not is_of_parts  # it has seen everything already
            failing.append(0 if again else int(execute(con, f"select count(*) from ({check.query}\n)", given)[0][0]))
            if failing[-1] and len(examples.get(check.name, ())) < MOST_EXAMPLES:
                examples[check.name] = (*examples.get(check.name, ()), *_examples(con, check, given))[:MOST_EXAMPLES]
        for check, rows in zip(checks, failing, strict=True):
            counts[check.name] = counts.get(check.name, 0) + rows
    return [_result(model, check, counts.get(check.name, 0), examples.get(check.name, ())) for check in checks]


def _examples(con: duckdb.DuckDBPyConnection, check: Check, given: Mapping[str, Any]) -> tuple[str, ...]:
    """The first values of the column `example`, in the order of the statement, each on one line; none for a blocking
    check. They hold text from elsewhere, so what is not printable becomes a blank."""
    if check.severity != "warn" or not _NAMES_EXAMPLE.search(check.query):
        return ()
    found = execute(con, f"select example from ({check.query}\n) limit {MOST_EXAMPLES}", given)
    texts = ("".join(letter if letter.isprintable() else " " for letter in str(row[0])) for row in found)
    return tuple(" ".join(text.split()) for text in texts)


def _row_counts(con: duckdb.DuckDBPyConnection, model: Model, where: str, given: Mapping[str, Any]) -> tuple[int, ...]:
    checks = row_checks(model)
    if not checks:
        return ()
    counts = ", ".join(f"count(*) filter (where {check.condition})" for check in checks)
    return tuple(int(rows) for rows in execute(con, f"select {counts} from {model.name} {where}", given)[0])


def _unique(model: Model) -> list[Check]:
    if not model.key or model.file.materialisation == "view":
        return []
    return [Check("key_unique", "fail", f"({', '.join(model.key)}) is unique")]


def _not_unique(con: duckdb.DuckDBPyConnection, model: Model, where: str, given: Mapping[str, Any]) -> int:
    key = ", ".join(model.key)
    doubled = f"select 1 from {model.name} {where} group by {key} having count(*) > 1"
    return int(execute(con, f"select count(*) from ({doubled})", given)[0][0])


def _result(model: Model, check: Check, failing: int, examples: tuple[str, ...] = ()) -> CheckResult:
    return CheckResult(check.name, model.name, check.severity, check.sentence, failing, examples)
