"""The models of `sql/`: reading them, their order, and running one for a window of days.

A model is a folder `sql/<layer>/<table>/` with query.sql, model.yaml and at times checks.sql. `run_model` is the seam
to another engine. Not here: DDL (schemas.py), seeds (seeds.py), what has to be run (build.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from matokit_pipelines.errors import MatokitError
from matokit_pipelines.warehouse import steps
from matokit_pipelines.windows import days_window

_PARAMETER = re.compile(r"\$([a-z_]+)")
CUBE = "staging.events_daily"
LAYERS = ("staging", "marts")
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times faster and not everywhere
ColumnType = Literal["varchar", "bigint", "integer", "double", "boolean", "date", "timestamptz"]
Materialisation = Literal["view", "incremental", "full"]
Additivity = Literal["additive", "not_additive", "ratio"]
By = Literal["day", "week", "month", "commit", "web_period"]


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
    """What model.yaml says.

    An incremental model is derived for the days, weeks, months or commits that are touched (`by`), or for the periods
    of web reports; one by month holds months that are complete, from their own days and those of the two months
    before. A full one with
    `window_days` depends on that many last complete days only. A row of one with `reaches_days` depends on so many days
    before its own as well, so that a touched day reaches the days after it. `step` names a function of steps.py that
    the rows of the query go through.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = Field(min_length=10)
    grain: str = Field(min_length=2)
    materialisation: Materialisation
    by: By = "day"
    reaches_days: int = Field(0, ge=0)
    window_days: int | None = Field(None, ge=1)
    step: str | None = None
    reads: tuple[str, ...] = ()
    columns: tuple[Column, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits_together(self) -> ModelFile:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError("a column is named twice")
        if self.materialisation == "incremental" and self.part_column not in names:
            raise ValueError(f"an incremental model by {self.by} needs the column {self.part_column}")
        if self.materialisation != "incremental" and "by" in self.model_fields_set:
            raise ValueError("only an incremental model is derived by something")
        if self.reaches_days and (self.materialisation != "incremental" or self.by != "day"):
            raise ValueError("only an incremental model by day reaches days")
        if self.materialisation != "full" and self.window_days is not None:
            raise ValueError("only a full model has window_days")
        if self.step is not None and (self.step not in steps.STEPS or self.materialisation == "view"):
            raise ValueError(f"there is no step {self.step}, or it is given to a view")
        return self

    @property
    def part_column(self) -> str:
        """The column by which an incremental model is cut into parts."""
        return {
            "day": "event_date",
            "week": "week_start",
            "month": "month",
            "commit": "commit_sha",
            "web_period": "period_start",
        }[self.by]


@dataclass(frozen=True)
class Model:
    """One table or view: `name` is `layer.table`, `checks` the text of checks.sql ("" when there is none)."""

    name: str
    file: ModelFile
    query: str
    checks: str
    source: str = field(repr=False)

    @property
    def code(self) -> str:
        """Everything of the model's own that decides its rows."""
        return "\0".join((self.query, self.source, steps.code() if self.file.step else ""))

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
        file = _read(source)
    except (ValidationError, yaml.YAMLError) as error:
        raise ModelError(f"{folder / 'model.yaml'} cannot be read; mend it: {error}") from error
    checks = folder / "checks.sql"
    return Model(name, file, query, checks.read_text(encoding="utf-8") if checks.exists() else "", source)


@lru_cache(maxsize=256)  # a process that goes on building reads the same texts each time
def _read(source: str) -> ModelFile:
    return ModelFile.model_validate(yaml.load(source, _YAML))  # noqa: S506 - a safe loader


def in_order(models: Mapping[str, Model]) -> list[Model]:
    """The models, each after those it reads, ties by layer and name; ModelError on a cycle or an unknown model."""
    graph: dict[str, list[str]] = {}
    for model in models.values():
        parents = [table for table in model.file.reads if table.split(".", 1)[0] in LAYERS]
        for parent in parents:
            if parent not in models:
                raise ModelError(f"{model.name} reads {parent}, which is no model; correct `reads` in its model.yaml.")
        if (model.file.by == "commit" or model.file.reaches_days) and CUBE in models:
            parents.append(CUBE)  # it says which commits are touched, and which days there are
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


@dataclass(frozen=True, order=True)
class Part:
    """A part of a table that is derived at once: the days `first` to `last`, both included, in the project's zone.

    Of a model by commit: the commits of ledger.touched_commits, whose events lie in those days. Of one by web period:
    those of ledger.touched_web that begin on these days.
    """

    first: date
    last: date

    def whole_weeks(self) -> Part:
        """The weeks, Monday to Sunday, that hold these days."""
        monday = self.first - timedelta(days=self.first.weekday())
        return Part(monday, self.last + timedelta(days=6 - self.last.weekday()))

    def parameters(self, zone: ZoneInfo) -> dict[str, Any]:
        """What a query may ask for: the days, and their instants in UTC."""
        window = days_window(self.first, self.last, zone)
        return {"first_day": self.first, "last_day": self.last, "start_ts": window.start, "end_ts": window.end}


def condition(model: Model) -> str:
    """What of an incremental table belongs to a part, with the part's parameters."""
    if model.file.by == "commit":
        return "commit_sha in (select touched.commit_sha from ledger.touched_commits as touched)"
    if model.file.by == "web_period":
        return (
            "period_start between $first_day and $last_day and (source, site_id, period, period_start) in "
            "(select (touched.source, touched.site_id, touched.period, touched.period_start) "
            "from ledger.touched_web as touched)"
        )
    return f"{model.file.part_column} between $first_day and $last_day"


def run_model(con: duckdb.DuckDBPyConnection, model: Model, part: Part | None, zone: ZoneInfo) -> int:
    """Derive `model` again and return the rows written; 0 for a view, which is (re)made.

    Incremental: the part is replaced. Full: the table is replaced, and `part` is not used. The caller holds the
    transaction.
    """
    if model.file.materialisation == "view":
        con.execute(f"create or replace view {model.name} as {model.query}")
        return 0
    parameters: dict[str, Any] = {}
    if model.file.materialisation == "incremental":
        if part is None:
            raise ValueError(f"{model.name} is incremental and needs a part")
        parameters = part.parameters(zone)
        execute(con, f"delete from {model.name} where {condition(model)}", parameters)
    else:
        con.execute(f"delete from {model.name}")
    if model.file.step:
        return _run_step(con, model, parameters)
    return int(execute(con, f"insert into {model.name} by name {model.query}", parameters)[0][0])


def _run_step(con: duckdb.DuckDBPyConnection, model: Model, parameters: Mapping[str, Any]) -> int:
    """The rows of the query go through Python and into the table."""
    assert model.file.step
    relation = con.sql(model.query, params=_wanted(model.query, parameters))
    counts: pl.DataFrame = relation.pl()
    rows = steps.STEPS[model.file.step](counts)
    con.register("step_rows", rows.to_arrow())
    try:
        columns = ", ".join(column.name for column in model.file.columns)
        written = con.execute(f"insert into {model.name} by name select {columns} from step_rows").fetchall()
    finally:
        con.unregister("step_rows")
    return int(written[0][0])


def execute(con: duckdb.DuckDBPyConnection, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run a statement with those of the parameters that it asks for, as `$name`."""
    return con.execute(statement, _wanted(statement, parameters)).fetchall()


def _wanted(statement: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: parameters[name] for name in set(_PARAMETER.findall(statement)) & set(parameters)}
