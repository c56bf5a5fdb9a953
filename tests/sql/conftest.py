"""Cases of derived tables as data: `tests/sql/<table>/<case>.yaml`, and landed rows for the tests beside them.

A case holds `about`, `options` (of BuildOptions), `now`, `tables` (rows by table; what a row leaves out has a
default), `expect` (rows by model: only the columns named are compared, all rows must be there) and nothing else. A case
derives the models it expects, with all that they read and that their checks ask.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from matokit_pipelines import resources
from matokit_pipelines.warehouse.build import BuildOptions, build
from matokit_pipelines.warehouse.connection import in_memory
from matokit_pipelines.warehouse.models import CUBE, Model, load_models

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
SQL = resources.path("sql")
TABLE = re.compile(r"\b(?:staging|marts)\.[a-z_]+")
LANDED = datetime(2026, 11, 22, 8, tzinfo=UTC)
# what both raw tables hold of an event
EVENT: dict[str, Any] = {
    "source": "installers",
    "visitor_id": "visitor-1",
    "event_ts": datetime(2026, 11, 18, 12, tzinfo=UTC),
    "fold_ambiguous": False,
    "category": "Installer_PROD",
    "action": "Event",
    "name": "python_install",
    "value": 1.0,
    "os_raw": "macOS14.2.1 (Sonoma)",
    "architecture_raw": "arm64",
    "commit_raw": "abc1234",
    "landed_at": LANDED,
    "changed_at": LANDED,
}
DEFAULTS: dict[str, dict[str, Any]] = {
    "raw.matomo_events": {
        **EVENT,
        "site_id": "1",
        "visit_id": 1,
        "visit_first_ts": LANDED,
        "visit_last_ts": LANDED,
    },
    "raw.piwik_pro_events": {
        **EVENT,
        "site_id": "s",
        "session_id": "1",
        "event_index": 0,
        "site_time": "2026-11-18T13:00:00",
    },
    "ledger.sources": {
        "source": "installers",
        "kind": "matomo",
        "site_id": "1",
        "zone": "Europe/Copenhagen",
        "url": "https://matomo.example.org",
    },
    "ledger.windows": {
        "source": "installers",
        "site_id": "1",
        "tier": "recent",
        "window_start": datetime(2026, 11, 18, tzinfo=UTC),
        "window_end": datetime(2026, 11, 19, tzinfo=UTC),
        "zone": "Europe/Copenhagen",
        "received": 0,
        "duplicates": 0,
        "quarantined": 0,
        "landed": 0,
        "inserted": 0,
        "changed": 0,
        "vanished": 0,
        "truncated": 0,
        "proof": "drained",
        "status": "complete",
        "started_at": LANDED,
        "finished_at": LANDED,
    },
    "ledger.reconciliation": {
        "source": "installers",
        "site_id": "1",
        "extracted": 0,
        "truncated": 0,
        "reads": 1,
        "verdict": "equal",
        "checked_at": LANDED,
    },
    "raw.web_reports": {
        "source": "shop",
        "site_id": "2",
        "subject": "",
        "period": "day",
        "period_start": date(2026, 11, 18),
        "period_end": date(2026, 11, 18),
        "rows": 1,
        "fetched_at": LANDED,
        "state": "final",
    },
    "ledger.web_sites": {
        "source": "shop",
        "site_id": "2",
        "zone": "UTC",
        "url": "https://matomo.example.org",
        "name": "Example shop",
        "currency": "EUR",
        "has_ecommerce": True,
    },
    "ledger.web_periods": {
        "source": "shop",
        "site_id": "2",
        "period": "day",
        "period_start": date(2026, 11, 18),
        "period_end": date(2026, 11, 18),
        "state": "final",
        "is_proven": False,
        "reports": 1,
        "asked_at": LANDED,
    },
    "ledger.web_goals": {"source": "shop", "site_id": "2"},
    "ledger.truncated_visits": {"source": "installers", "site_id": "1", "truncated": 0, "seen_at": LANDED},
}


def put(con: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows; what they leave out is taken from DEFAULTS, an event's id from its place."""
    for place, given in enumerate(rows, start=1):
        row = DEFAULTS[table] | dict(given)
        if table.startswith("raw.") and table != "raw.web_reports":
            row.setdefault("event_id", f"{place:05d}")
        columns = ", ".join(row)
        con.execute(f"insert into {table} ({columns}) values ({', '.join('?' for _ in row)})", list(row.values()))


@cache
def models() -> dict[str, Model]:
    return load_models(SQL)


def needed(names: Iterable[str]) -> set[str]:
    """The models, those that they read, those that their checks ask, and the cube, which a build asks for commits."""
    found: set[str] = set()
    left = [*names, CUBE]
    while left:
        model = models()[left.pop()]
        if model.name not in found:
            found.add(model.name)
            left += [name for name in (*model.file.reads, *TABLE.findall(model.checks)) if name in models()]
    return found


@contextmanager
def root_of(names: Iterable[str]) -> Iterator[Path]:
    """A folder like sql/ with the models needed for `names`."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        for name in ("seeds", "macros.sql"):
            (root / name).symlink_to(SQL / name)
        for layer in ("staging", "marts"):
            (root / layer).mkdir()
        for name in needed(names):
            layer, table = name.split(".")
            (root / layer / table).symlink_to(SQL / layer / table)
        yield root


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = in_memory(NOW)
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def land() -> Any:
    return put


@pytest.fixture(scope="session")
def sql_of() -> Any:
    return root_of


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


def pytest_collect_file(parent: pytest.Collector, file_path: Path) -> pytest.Collector | None:
    if file_path.suffix == ".yaml":
        return CaseFile.from_parent(parent, path=file_path)
    return None


class CaseFile(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        case = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        yield CaseItem.from_parent(self, name=f"{self.path.parent.name}-{self.path.stem}", case=case)


class CaseMismatch(Exception):
    """The rows of a model are not those the case expects."""


class CaseItem(pytest.Item):
    def __init__(self, *, case: dict[str, Any], **rest: Any) -> None:
        super().__init__(**rest)
        self.case = case

    def runtest(self) -> None:
        unknown = set(self.case) - {"about", "options", "now", "tables", "expect"}
        assert not unknown, f"unknown keys: {unknown}"
        connection = in_memory(NOW)
        try:
            for table, rows in self.case.get("tables", {}).items():
                put(connection, table, rows)
            options = BuildOptions(**self.case.get("options", {}))
            with root_of(self.case["expect"]) as root:
                build(connection, options=options, now=self.case.get("now", NOW), sql_root=root)
            for model, expected in self.case["expect"].items():
                self._compare(connection, model, expected)
        finally:
            connection.close()

    def _compare(self, connection: duckdb.DuckDBPyConnection, model: str, expected: list[dict[str, Any]]) -> None:
        columns = list(expected[0]) if expected else ["count(*)"]
        found = connection.execute(f"select {', '.join(columns)} from {model}").fetchall()
        if not expected:
            if found != [(0,)]:
                raise CaseMismatch(f"{model} should be empty and holds {found[0][0]} rows")
            return
        ours = sorted(_line(dict(zip(columns, row, strict=True))) for row in found)
        theirs = sorted(_line(row) for row in expected)
        if ours != theirs:
            missing = "\n".join(f"  - {line}" for line in theirs if line not in ours)
            surplus = "\n".join(f"  + {line}" for line in ours if line not in theirs)
            raise CaseMismatch(f"{model}: expected but missing (-), there but not expected (+)\n{missing}\n{surplus}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, CaseMismatch):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{self.path.parent.name}: {self.case['about']}"


def _line(row: Mapping[str, Any]) -> str:
    """A row as text that compares: instants in UTC, numbers to nine places."""
    return json.dumps({name: _plain(value) for name, value in row.items()}, sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.9f}"
    return value
