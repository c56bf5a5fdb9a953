"""Event calls out of a file for `lint-events`: JSON lines, a table with a header, or plain names.

Not here: how they are read and what breaks the contract (warehouse/reading.py, linting.py).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from matokit_pipelines.errors import SettingsError
from matokit_pipelines.warehouse.reading import RawEvent

FIELDS = tuple(field.name for field in fields(RawEvent))
DELIMITERS = ("\t", ",", ";")
NAMES_VALUE = 1.0  # of a name alone: that of a success
MOST_LINES = 100_000


@dataclass(frozen=True)
class Call:
    """One event of a file: the line it ends on, and the value as it stands there when that is no number."""

    line: int
    event: RawEvent
    not_a_number: str | None = None


def calls(text: str, *, category: str) -> list[Call]:
    """The event calls of a file's text; `category` for those that give none.

    Blank lines and lines that begin with # are passed by. SettingsError names the line that cannot be read.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    first = next((line for line in lines if not _is_passed_by(line)), "")
    if first.lstrip().startswith("{"):
        found = _of_json(lines, category)
    elif delimiter := _delimiter_of(first):
        found = _of_table(lines, delimiter, category)
    else:
        found = _of_names(lines, category)
    result = list(found)
    if len(result) > MOST_LINES:
        raise SettingsError(
            f"There are {len(result):,} events, and {MOST_LINES:,} can be read at once; split the file."
        )
    return result


def _is_passed_by(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _delimiter_of(header: str) -> str | None:
    """What parts the columns of a header: one that makes known names of all of them, `name` or `category` among
    them; None for a line that is no header."""
    for delimiter in DELIMITERS:
        names = [name.strip().strip('"').lower() for name in header.split(delimiter)]
        if len(names) > 1 and set(names) <= set(FIELDS) and {"name", "category"} & set(names):
            return delimiter
    return None


def _of_names(lines: list[str], category: str) -> Iterator[Call]:
    for number, line in enumerate(lines, start=1):
        if not _is_passed_by(line):
            yield Call(number, RawEvent(category, name=line.strip(), value=NAMES_VALUE))


def _of_table(lines: list[str], delimiter: str, category: str) -> Iterator[Call]:
    skipped = next(place for place, line in enumerate(lines) if not _is_passed_by(line))
    reader = csv.reader(io.StringIO("\n".join(lines[skipped:])), delimiter=delimiter)
    names = [name.strip().lower() for name in next(reader)]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"The header names the column {name} twice; leave one of them out.")
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise SettingsError(
                f"Line {skipped + reader.line_num} is no line of a table ({error}); mend it."
            ) from error
        if cells is None:
            return
        number = skipped + reader.line_num
        if not cells or cells[0].lstrip().startswith("#"):
            continue
        if len(cells) != len(names):
            raise SettingsError(f"Line {number} has {len(cells)} cells and the header {len(names)}; mend the line.")
        given = dict(zip(names, cells, strict=True))
        yield _call(number, {name: text for name, text in given.items() if text != ""}, category)


def _of_json(lines: list[str], category: str) -> Iterator[Call]:
    for number, line in enumerate(lines, start=1):
        if _is_passed_by(line):
            continue
        try:
            given = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"Line {number} is not JSON; give one object a line.") from error
        if not isinstance(given, dict):
            raise SettingsError(f"Line {number} is no JSON object; give one object a line.")
        unknown = sorted(set(given) - set(FIELDS))
        if unknown:
            raise SettingsError(
                f'Line {number} names "{unknown[0]}", which is no part of an event; use {", ".join(FIELDS)}.'
            )
        yield _call(number, {name: value for name, value in given.items() if value is not None}, category)


def _call(number: int, given: Mapping[str, object], category: str) -> Call:
    texts = {name: _text(value) for name, value in given.items()}
    said = texts.pop("value", None)
    value = _number(said)
    event = RawEvent(**({"category": category} | texts), value=value)
    return Call(number, event, said if said is not None and value is None else None)


def _text(value: object) -> str:
    """A value as text; half a surrogate pair, which JSON can name and no service takes, becomes a question mark."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode()


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
