"""The sixteen widgets of the four dashboards: what each is, the SQL of its numbers, and the numbers themselves.

Not here: drawing (pages.py), and what the numbers mean; that stands at the head of each query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from matokit_pipelines import resources
from matokit_pipelines.errors import MatokitError
from matokit_pipelines.reports.shapes import Queryable

Chart = Literal["tile", "line", "ring", "bar", "table", "combo", "heat_map"]
WINDOWS = (7, 30, 90)  # the choices on a page, in days; each ends with the last complete day
ENVIRONMENT = "production"
_COMMENT = re.compile(r"--[^\n]*")
_PARAMETER = re.compile(r"\$([a-z_]+)")


class WidgetError(MatokitError):
    """The dashboards of sql/ are not what they should be."""


@dataclass(frozen=True)
class Widget:
    """One widget. `days`: its window when nobody chooses one. `sql`: the query of its numbers, `parts`: those of the
    further tables it shows, by name; comments included, for "how is this counted"."""

    name: str
    number: str
    dashboard: str
    dashboard_title: str
    title: str
    chart: Chart
    days: int
    sql: str
    parts: Mapping[str, str]

    @property
    def has_environment(self) -> bool:
        """Whether it shows one environment that a reader may choose."""
        return "environment" in _parameters(self.sql)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    number: str = Field(pattern=r"^[1-4]\.[1-4]$")
    name: str = Field(pattern=r"^[a-z][a-z_]*$")
    title: str
    chart: Chart
    days: Literal[7, 30, 90]
    parts: tuple[str, ...] = ()


class _Dashboard(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z_]*$")
    title: str
    widgets: tuple[_Entry, ...]


def load_widgets(root: Path | None = None) -> dict[str, Widget]:
    """All widgets by name, in the order of the pages; `root`: the folder dashboards/ of sql/.

    WidgetError names the file that is wrong.
    """
    folder = root or resources.path("sql") / "dashboards"
    file = folder / "widgets.yaml"
    try:
        listed = TypeAdapter(list[_Dashboard]).validate_python(yaml.safe_load(file.read_text(encoding="utf-8")))
        return {entry.name: _widget(folder, board, entry) for board in listed for entry in board.widgets}
    except OSError as error:
        raise WidgetError(f"The dashboards lack {error.filename}; install matokit again or add the file.") from error
    except (ValidationError, yaml.YAMLError) as error:
        raise WidgetError(f"{file} cannot be read; mend it: {error}") from error


def numbers(
    snapshot: Queryable, widget: Widget, days: int | None = None, *, environment: str = ENVIRONMENT, part: str = ""
) -> pl.DataFrame:
    """The numbers of a widget, as drawn: one row a mark, a cell or a line of its table, ordered.

    days: one of WINDOWS, else the widget's own; environment: for widgets that show one; part: one of `widget.parts`.
    ValueError for another number of days, KeyError for an unknown part.
    """
    chosen = widget.days if days is None else days
    if chosen not in WINDOWS:
        raise ValueError(f"A widget shows {', '.join(map(str, WINDOWS))} days, not {chosen}.")
    sql = widget.parts[part] if part else widget.sql
    given: dict[str, object] = {"days": chosen, "environment": environment}
    return snapshot.query(sql, {name: given[name] for name in _parameters(sql)})


def _widget(folder: Path, board: _Dashboard, entry: _Entry) -> Widget:
    def text(part: str = "") -> str:
        file = folder / board.name / f"{entry.name}{'.' + part if part else ''}.sql"
        return file.read_text(encoding="utf-8")

    parts = {part: text(part) for part in entry.parts}
    return Widget(
        entry.name, entry.number, board.name, board.title, entry.title, entry.chart, entry.days, text(), parts
    )


def _parameters(sql: str) -> list[str]:
    return sorted(set(_PARAMETER.findall(_COMMENT.sub("", sql))))
