"""Pages of Piwik PRO's raw data: what a page announces, and the bytes of its rows as they came.

Pure. On the fast path no row is looked at here: DuckDB's array reader splits the bytes. Only `slow_rows` turns rows
into Python values, for the pages which that reader refuses. Not here: asking (piwik_pro.py), storing and what a
column means (warehouse/).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from matokit_pipelines.sources.quarantine import PAYLOAD_LENGTH, Quarantined

NEEDED = ("event_id", "timestamp")
_HEAD = b'{"data":'
_META = b'],"meta":{'
_PAYLOAD_KEYS = frozenset(
    {"event_id", "timestamp", "event_type", "event_index"}
    | {f"custom_event_{part}" for part in ("category", "action", "name", "value")}
)
_VISITOR = re.compile(r"[0-9a-f]{16}")


class HalfDocument(ValueError):
    """A body that is no JSON: an answer that ended early. Worth another try."""


class OddPage(ValueError):
    """JSON, but no page: the text says what is wrong with it, in words that follow "a page of its events"."""


@dataclass(frozen=True)
class Page:
    """One page. `count` is what the server announces for the whole window, not for this page.

    `exact_frame`: `rows` is the bytes of the JSON array of rows, each of them free of objects. Otherwise `rows` is the
    whole body, whose member "data" holds the rows. `columns` name the elements of a row, in order.
    """

    columns: tuple[str, ...]
    count: int
    rows: bytes
    exact_frame: bool


def cut(body: bytes, needed: Collection[str] = NEEDED) -> Page:
    """The page in `body`. Raises HalfDocument when it is no JSON, OddPage when it is no page or lacks a needed column.

    Where the frame is exactly `{"data":[...],"meta":{...}}` the rows are cut out unread: the last `],"meta":{` outside
    of a text ends them, if what follows is one JSON object and no key stands before it (inside a text each quote has a
    backslash, so none of the marks can be part of one). Rows that are broken themselves are found when they are read.
    """
    found = _exact(body)
    if found is not None:
        rows, meta = found
        return Page(*_announced(meta, needed), rows, True)
    document = _parsed(body)
    if not isinstance(document, dict) or not isinstance(document.get("data"), list):
        raise OddPage("holds no list of rows")
    return Page(*_announced(document.get("meta"), needed), body, False)


def slow_rows(body: bytes) -> tuple[list[list[Any]], list[Quarantined]]:
    """The rows of a page one by one, elements in the order of `meta.columns`, and what is none.

    Rows as objects (format json-kv) are put in order. Text that no encoding can hold is replaced. Raises HalfDocument
    and OddPage like `cut`.
    """
    document = _parsed(body)
    if not isinstance(document, dict) or not isinstance(document.get("data"), list):
        raise OddPage("holds no list of rows")
    columns, _ = _announced(document.get("meta"), ())
    rows: list[list[Any]] = []
    odd: list[Quarantined] = []
    for row in document["data"]:
        if isinstance(row, list) and len(row) == len(columns):
            rows.append(row)
        elif isinstance(row, dict) and all(column in row for column in columns):
            rows.append([row[column] for column in columns])
        else:
            odd.append(Quarantined(_what_is_odd(row, columns), _payload(row)))
    return rows, odd


def _exact(body: bytes) -> tuple[bytes, Any] | None:
    """The bytes of the rows and the parsed meta of a page of exactly the expected frame, or None."""
    end = body.rfind(_META)
    if end < 0 or not body.startswith(_HEAD + b"[") or not body.endswith(b"}}"):
        return None
    rows = body[len(_HEAD) : end + 1]
    if rows == b"[]" or _has_keys(rows):
        return None
    try:
        meta = json.loads(body[end + len(_META) - 1 : -1])
    except (ValueError, RecursionError):
        return None
    return rows, meta


def _has_keys(rows: bytes) -> bool:
    """Whether `":` stands where it can end a key: rows of lists hold none.

    A quote after an odd number of backslashes is part of a text. A text that begins with a colon is taken for a key,
    which costs that page its speed and nothing else.
    """
    at = rows.find(b'":')
    while at >= 0:
        before = at
        while before and rows[before - 1] == 0x5C:
            before -= 1
        if (at - before) % 2 == 0:
            return True
        at = rows.find(b'":', at + 2)
    return False


def _announced(meta: Any, needed: Collection[str]) -> tuple[tuple[str, ...], int]:
    """Columns and count of a page's meta; OddPage where they cannot be relied on."""
    if not isinstance(meta, dict):
        raise OddPage("comes without a description")
    columns, count = meta.get("columns"), meta.get("count")
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise OddPage("does not say how many rows there are")
    if not isinstance(columns, list) or not all(isinstance(column, str) for column in columns):
        raise OddPage("does not name its columns")
    if len(set(columns)) < len(columns):
        raise OddPage("names a column twice")
    if missing := [column for column in needed if column not in columns]:
        raise OddPage(f"lacks the column {missing[0]}")
    return tuple(columns), count


def _parsed(body: bytes) -> Any:
    try:
        document = json.loads(body.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError) as error:
        raise HalfDocument("half a document") from error
    return _storable(document) if b"\\ud" in body.lower() else document


def _storable(value: Any) -> Any:
    """The same value without halves of surrogate pairs, which no encoding can hold."""
    if isinstance(value, str):
        return value.encode("utf-8", errors="replace").decode("utf-8")
    if isinstance(value, list):
        return [_storable(element) for element in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(element) for key, element in value.items()}
    return value


def _what_is_odd(row: Any, columns: Sequence[str]) -> str:
    if isinstance(row, list):
        return f"a row of {len(row)} values where {len(columns)} are announced"
    if isinstance(row, dict):
        return "a row without " + next(column for column in columns if column not in row)
    return "not a row"


def _payload(row: Any) -> str:
    """What the row was, without the visitor's id; only columns that were asked for can be in it."""
    kept: Any = type(row).__name__
    if isinstance(row, dict):
        kept = {key: row[key] for key in row if key in _PAYLOAD_KEYS}
    elif isinstance(row, list):
        kept = [None if isinstance(part, str) and _VISITOR.fullmatch(part) else part for part in row]
    return json.dumps(kept, default=str, sort_keys=True)[:PAYLOAD_LENGTH]
