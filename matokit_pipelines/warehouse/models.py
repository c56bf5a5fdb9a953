"""The models of `sql/`: reading them, their order, and running one for a window of days.

A model is a folder `sql/<layer>/<table>/` with query.sql, model.yaml and at times checks.sql. `run_model` is the seam
to another engine. Not here: DDL (schemas.py), seeds (seeds.py), what has to be run (build.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import duckdb
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from matokit_pipelines.errors import MatokitError
from matokit_pipelines.windows import days_window

LAYERS = ("staging", "marts")
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times faster and not everywhere
ColumnType = Literal["varchar", "bigint", "integer", "double", "boolean", "date", "timestamptz"]
Materialisation = Literal["view", "incremental", "full"]
Additivity = Literal["additive", "not_additive", "ratio"]


class ModelError(MatokitError):
    """A folder of sql/ is not what it should be."""


class Column(BaseModel):
    """One column of a model; `range` holds the least and the greatest allowed value, null for an open end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    type: ColumnType
    description: str = Field(min_length=3)
    nullable: bool = False
    key: bool = False
    values: tuple[str, ...] | None = None
    range: tuple[float | None, float | None] | None = None
    additivity: Additivity | None = None


class ModelFile(BaseModel):
    """What model.yaml says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = Field(min_length=10)
    grain: str = Field(min_length=2)
    materialisation: Materialisation
    reads: tuple[str, ...] = ()
    columns: tuple[Column, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits_together(self) -> ModelFile:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError("a column is named twice")
        if self.materialisation == "incremental" and "event_date" not in names:
            raise ValueError("an incremental model needs the column event_date")
        return self


@dataclass(frozen=True)
class Model:
    """One table or view: `name` is `layer.table`, `checks` the text of checks.sql ("" when there is none)."""

    name: str
    file: ModelFile
    query: str
    checks: str
    source: str = field(repr=False)

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.file.columns if column.key)


def load_models(root: Path) -> dict[str, Model]:
    """The models below the folder `root` (that of `sql/`) by name; ModelError naming the file that is wrong."""
    models: dict[str, Model] = {}
    for layer in LAYERS:
        for folder in sorted(path for path in (root / layer).iterdir() if path.is_dir()):
            name = f"{layer}.{folder.name}"
            models[name] = _load(name, folder)
    return models


def _load(name: str, folder: Path) -> Model:
    try:
        source = (folder / "model.yaml").read_text(encoding="utf-8")
        query = (folder / "query.sql").read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(f"The model {name} lacks {error.filename}; add the file or remove its folder.") from error
    try:
        file = ModelFile.model_validate(yaml.load(source, _YAML))  # noqa: S506 - a safe loader
    except (ValidationError, yaml.YAMLError) as error:
        raise ModelError(f"{folder / 'model.yaml'} cannot be read; mend it: {error}") from error
    checks = folder / "checks.sql"
    return Model(name, file, query, checks.read_text(encoding="utf-8") if checks.exists() else "", source)


def in_order(models: Mapping[str, Model]) -> list[Model]:
    """The models, each after those it reads, ties by layer and name; ModelError on a cycle or an unknown model."""
    graph: dict[str, list[str]] = {}
    for model in models.values():
        parents = [table for table in model.file.reads if table.split(".", 1)[0] in LAYERS]
        for parent in parents:
            if parent not in models:
                raise ModelError(f"{model.name} reads {parent}, which is no model; correct `reads` in its model.yaml.")
        graph[model.name] = parents
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ModelError(f"Models read each other in a circle ({circle}); break it in their model.yaml.") from error
    ordered: list[Model] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        ordered += [models[name] for name in ready]
        sorter.done(*ready)
    return ordered


def run_parameters(run: tuple[date, date], zone: ZoneInfo) -> dict[str, Any]:
    """What an incremental query may ask for: the days of `run`, both included, and their instants in UTC."""
    window = days_window(*run, zone)
    return {"first_day": run[0], "last_day": run[1], "start_ts": window.start, "end_ts": window.end}


def run_model(
    con: duckdb.DuckDBPyConnection, model: Model, run: tuple[date, date] | None, parameters: Mapping[str, Any]
) -> int:
    """Derive `model` again and return the rows written; 0 for a view, which is (re)made.

    Incremental: the days of `run` are replaced. Full: the table is replaced, and `run` is not used. `parameters` may
    hold more than the query asks for (`run_parameters`). The caller holds the transaction.
    """
    if model.file.materialisation == "view":
        con.execute(f"create or replace view {model.name} as {model.query}")
        return 0
    if model.file.materialisation == "incremental":
        if run is None:
            raise ValueError(f"{model.name} is incremental and needs days")
        con.execute(f"delete from {model.name} where event_date between ? and ?", list(run))
    else:
        con.execute(f"delete from {model.name}")
    statement = f"insert into {model.name} by name {model.query}"
    wanted = con.extract_statements(statement)[0].named_parameters
    written = con.execute(statement, {name: parameters[name] for name in wanted}).fetchall()
    return int(written[0][0])
