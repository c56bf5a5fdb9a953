"""All numbers of a widget as a CSV file, for spreadsheets and for programs.

UTF-8 with a byte order mark, without which spreadsheets take names for another encoding; RFC 4180 otherwise. Numbers
with a dot and without an exponent, days and instants (UTC) as ISO text, null as an empty cell. Text that a spreadsheet
would run as a formula gets an apostrophe before it. report_templates/dashboards/csv.js writes the drawn numbers by the
same rules. Not here: which rows.
"""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path

import polars as pl

from matokit_pipelines.delivery.escaping import csv_cell
from matokit_pipelines.reports.dashboards.widgets import Widget, load_widgets, numbers
from matokit_pipelines.reports.marking import as_document
from matokit_pipelines.reports.rendering import write_whole
from matokit_pipelines.reports.shapes import Queryable

MARK = "\ufeff"


def csv_of(rows: pl.DataFrame) -> str:
    """The rows as the text of a CSV file; the first line names the columns."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    lines = [[_cell(name) for name in rows.columns], *([_cell(value) for value in row] for row in rows.iter_rows())]
    writer.writerows(lines)
    return MARK + file.getvalue()


def write_csv(path: Path, rows: pl.DataFrame) -> Path:
    """Write the rows; the file is replaced atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, csv_of(rows))
    return path


def write_csvs(snapshot: Queryable, dashboard: str, folder: Path) -> tuple[Path, ...]:
    """Write `<widget>.csv`, and `<widget>.<part>.csv` for further tables, of all widgets of a dashboard: every row of
    the window and environment that nobody chose."""
    widgets = [widget for widget in load_widgets().values() if widget.dashboard == dashboard]
    return tuple(
        write_csv(folder / csv_name(widget, part), numbers(snapshot, widget, part=part))
        for widget in widgets
        for part in ("", *widget.parts)
    )


def csv_name(widget: Widget, part: str = "") -> str:
    """The name of a widget's file, or of one of its parts."""
    return f"{widget.name}.{part}.csv" if part else f"{widget.name}.csv"


def _cell(value: object) -> str:
    plain = as_document(value)
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, float):
        return str(int(plain)) if plain.is_integer() else format(Decimal(repr(plain)), "f")
    text = str(plain)
    return csv_cell(text) if isinstance(plain, str) else text
