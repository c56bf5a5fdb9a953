"""The lists of `sql/seeds/` and the settings that SQL needs, as tables of schema `seeds`.

A table is written only when its content differs. Not here: what the lists mean (the models that read them).
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import duckdb

from matokit_pipelines.errors import SettingsError
from matokit_pipelines.warehouse.schemas import columns_in_database
from matokit_pipelines.windows import zone_named

ENVIRONMENTS = ("production", "test", "development", "ci", "staging", "unknown")
OUTCOMES = ("success", "failure", "partial", "started", "finished", "cancelled", "unknown")

# the columns of each list; the first one is its key
SEEDS: dict[str, dict[str, str]] = {
    "categories": {"category": "varchar", "environment": "varchar", "is_code": "boolean"},
    "component_codes": {"code": "integer", "component": "varchar", "outcome": "varchar"},
    "error_suffixes": {"suffix": "varchar", "error_type": "varchar"},
    "marker_endings": {"ending": "varchar", "outcome": "varchar"},
    "first_version_endings": {"ending": "varchar", "outcome": "varchar"},
    "run_starts": {"name": "varchar"},
    "test_names": {"name": "varchar", "is_prefix": "boolean"},
    "macos_names": {"release": "varchar", "name": "varchar"},
}
MIRRORS = {"source": "varchar", "mirror_of": "varchar"}
PARAMETERS = {"project_zone": "varchar", "zero_value": "varchar"}


@dataclass(frozen=True)
class BuildOptions:
    """The settings that decide how events are read.

    `environments`: category -> environment, over the defaults; a category that no list knows comes into scope.
    `component_codes`: code -> (component, outcome), over the defaults; component None for a code about a whole run.
    `mirrors`: source -> the source whose events it holds again; those are compared and never counted.
    `zero_value`: what a value 0 without suffix means where both logging functions are in use.
    """

    project_zone: str = "Europe/Copenhagen"
    environments: Mapping[str, str] = field(default_factory=dict)
    component_codes: Mapping[int, tuple[str | None, str]] = field(default_factory=dict)
    zero_value: Literal["failure", "success", "unknown"] = "failure"
    mirrors: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        zone_named(self.project_zone)
        if self.zero_value not in ("failure", "success", "unknown"):
            raise SettingsError(f'zero_value is "{self.zero_value}"; use failure, success or unknown.')
        for category, environment in self.environments.items():
            if environment not in ENVIRONMENTS:
                raise SettingsError(
                    f'The category {category} is given the environment "{environment}"; use one of '
                    f"{', '.join(ENVIRONMENTS)}."
                )
        for code, (component, outcome) in self.component_codes.items():
            if outcome not in OUTCOMES or (outcome in ("success", "failure") and not component):
                raise SettingsError(
                    f"The code {code} needs an outcome out of {', '.join(OUTCOMES)}, and a component when it tells of"
                    " success or failure."
                )


@dataclass(frozen=True)
class Seed:
    """One table of schema `seeds`: columns with types, rows in order, and a hash of both."""

    columns: dict[str, str]
    rows: tuple[tuple[Any, ...], ...]

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(json.dumps([self.columns, self.rows]).encode()).hexdigest()


def load_seeds(folder: Path, options: BuildOptions) -> dict[str, Seed]:
    """The tables of schema `seeds` by name (`seeds.categories`): the lists with the options laid over them."""
    lists = {name: _read_list(folder / f"{name}.csv", columns) for name, columns in SEEDS.items()}
    for category, environment in options.environments.items():
        key = category.strip().lower()
        was_code = bool(lists["categories"].get(key, (key, environment, False))[2])
        lists["categories"][key] = (key, environment, was_code)
    for code, (component, outcome) in options.component_codes.items():
        lists["component_codes"][code] = (code, component, outcome)
    seeds = {
        f"seeds.{name}": Seed(columns, tuple(lists[name][key] for key in sorted(lists[name])))
        for name, columns in SEEDS.items()
    }
    seeds["seeds.mirrors"] = Seed(MIRRORS, tuple(sorted(options.mirrors.items())))
    seeds["seeds.parameters"] = Seed(PARAMETERS, ((options.project_zone, options.zero_value),))
    return seeds


def _read_list(path: Path, columns: dict[str, str]) -> dict[Any, tuple[Any, ...]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != list(columns):
            raise SettingsError(f"The list {path} has other columns than {', '.join(columns)}; restore its first line.")
        rows: dict[Any, tuple[Any, ...]] = {}
        for line in reader:
            row = tuple(_typed(line[name], kind) for name, kind in columns.items())
            if row[0] in rows:
                raise SettingsError(f"The list {path} names {row[0]} twice; remove one of the lines.")
            rows[row[0]] = row
    return rows


def _typed(text: str, kind: str) -> str | int | bool | None:
    if text == "":
        return None
    if kind == "integer":
        return int(text)
    return text == "true" if kind == "boolean" else text


def write_seeds(con: duckdb.DuckDBPyConnection, seeds: Mapping[str, Seed]) -> list[str]:
    """Make the seed tables whose content differs from what is there, and name them."""
    there = columns_in_database(con)
    written: list[str] = []
    for name, seed in seeds.items():
        columns = ", ".join(seed.columns)
        has_columns = [column for column, _ in there.get(name, [])] == list(seed.columns)
        if has_columns and con.execute(f"select {columns} from {name} order by 1").fetchall() == list(seed.rows):
            continue
        con.execute(f"drop table if exists {name}")
        con.execute(f"create table {name} ({', '.join(f'{column} {kind}' for column, kind in seed.columns.items())})")
        row = f"({', '.join('?' for _ in seed.columns)})"
        if seed.rows:
            values = ", ".join(row for _ in seed.rows)
            con.execute(f"insert into {name} values {values}", [value for line in seed.rows for value in line])
        written.append(name)
    return written
