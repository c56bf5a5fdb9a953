"""Rows of numbers into the cells of a table and the lines of a tile, each value naming its path in the page's JSON.

report_templates/dashboards/drawing.js does the same in the page when a reader chooses other filters; the tests hold
both to the same text. Not here: which columns there are (tables.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from matokit_pipelines.reports.comparison import SMALL_NUMBER
from matokit_pipelines.reports.dashboards.tables import Column, Pivot, Table, TileLine
from matokit_pipelines.reports.formats import in_words

Row = Mapping[str, Any]
_PLACE = re.compile(r"\{([a-z0-9_]+)\|([a-z_]+)\}")
_TIMES = ("day", "weekday", "weekday_of_year", "instant", "instant_of_year")


@dataclass(frozen=True)
class Cell:
    html: Markup
    css: str = ""
    label: str = ""
    is_head: bool = False


@dataclass(frozen=True)
class View:
    """A table ready to be written: heads with their classes, rows of cells with the class of the row."""

    table: Table
    heads: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True)
class Cells:
    """Makes cells of the rows of one widget, which lie at `at` (`widgets.outcomes`) in the page's document."""

    at: str
    zone: ZoneInfo
    commit_url: str = ""
    parts: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    def view(self, table: Table, rows: Sequence[Row]) -> View:
        """`rows`: those of the widget, or of the table's part."""
        at = f"{self.at}.parts.{table.part}" if table.part else f"{self.at}.rows"
        if table.pivot:
            return self._pivot(table, table.pivot, rows, at)
        heads = tuple((column.label, column.css) for column in table.columns)
        lines = tuple(
            (
                "marked" if table.marked and row[table.marked] else "",
                tuple(
                    self._cell(column, row, f"{at}.{place}", is_head=not number, place=place)
                    for number, column in enumerate(table.columns)
                ),
            )
            for place, row in enumerate(rows)
        )
        return View(table, heads, lines)

    def tile(self, lines: Iterable[TileLine], row: Row) -> tuple[tuple[str, Markup], ...]:
        """`(class, line)` of those lines whose values are known, and of the first one."""
        at = f"{self.at}.rows.0"
        return tuple(
            (line.css, self.say(line.template, row, at, few=_is_few(row, line.few)))
            for place, line in enumerate(lines)
            if not place or _is_known(line.template, row)
        )

    def say(
        self, template: str, row: Row, at: str, *, few: bool = False, words: Mapping[str, str] | None = None
    ) -> Markup:
        """A template over a row as HTML."""
        parts: list[str] = []
        end = 0
        for found in _PLACE.finditer(template):
            name, form = found.groups()
            parts += [template[end : found.start()], self._value(row[name], form, f"{at}.{name}", few, words or {})]
            end = found.end()
        parts.append(template[end:])
        return Markup("").join(parts)

    def _value(self, value: Any, form: str, path: str, few: bool, words: Mapping[str, str]) -> Markup:
        if form == "text" and value in words:
            return Markup('<span class="{}">{}</span>').format(
                "chance" if value == "not_reported" else "", words[value]
            )
        shown = in_words(value, form, self.zone)
        mark = Markup(' data-path="{}" data-form="{}"').format(path, form)
        if value is None:
            return Markup("<span{}>{}</span>").format(mark, shown)
        if form == "text":
            return Markup("<bdi{}>{}</bdi>").format(mark, escape(shown).replace("_", Markup("_<wbr>")))
        if form in _TIMES:
            return Markup('<time{} datetime="{}">{}</time>').format(mark, value, shown)
        grey = Markup(' class="few" title="fewer than 10 events"') if few and form == "percent" else Markup("")
        return Markup('<data{}{} value="{}">{}</data>').format(mark, grey, json.dumps(value), shown)

    def _cell(self, column: Column, row: Row, at: str, *, is_head: bool, place: int) -> Cell:
        html = self._lines_of_part(column, row) if column.part else self._lines(column, row, at)
        if column.swatch:
            html = Markup('<span class="swatch s{}"></span>').format(place) + html
        return Cell(html, f"{column.css} {_verdict_class(column, row)}".strip(), column.label, is_head)

    def _lines(self, column: Column, row: Row, at: str) -> Markup:
        few = _is_few(row, column.few)
        first, *others = column.lines
        html = self.say(first, row, at, few=few, words=column.words)
        if column.is_code:
            html = Markup("<code>{}</code>").format(html)
        if column.is_commit and (address := self._commit(row, first)):
            html = Markup('<a href="{}" rel="noreferrer">{}</a>').format(address, html)
        for badge in column.badges:
            if row[badge.field]:
                html += Markup(' <span class="{}">{}</span>').format(badge.css, badge.word)
        for line in others:
            if _is_known(line, row):
                html += Markup("<small>{}</small>").format(self.say(line, row, at, few=few, words=column.words))
        return html

    def _lines_of_part(self, column: Column, row: Row) -> Markup:
        found = Markup("")
        for place, one in enumerate(self.parts[column.part]):
            if one["component"] == row["component"] and all(one[name] == is_ for name, is_ in column.where.items()):
                at = f"{self.at}.parts.{column.part}.{place}"
                found += Markup('<span class="line">{}</span>').format(
                    self.say(column.lines[0], one, at, words=column.words)
                )
        return found or Markup('<span class="chance">none</span>')

    def _commit(self, row: Row, template: str) -> str:
        name = _PLACE.findall(template)[0][0]
        sha = str(row[name])
        return self.commit_url + sha if self.commit_url and re.fullmatch(r"[0-9a-f]{7,40}", sha) else ""

    def _pivot(self, table: Table, pivot: Pivot, rows: Sequence[Row], at: str) -> View:
        names = dict(sorted({row[pivot.across]: row[pivot.name] for row in rows}.items()))
        found: dict[str, dict[Any, int]] = {}
        for place, row in enumerate(rows):
            found.setdefault(row[pivot.row], {})[row[pivot.across]] = place
        column = Column("", pivot.lines, few=pivot.few)
        lines = []
        for places in found.values():
            first = next(iter(places.values()))
            head = self.say(f"{{{pivot.row}|{pivot.form}}}", rows[first], f"{at}.{first}")
            cells = tuple(
                Cell(self._lines(column, rows[places[one]], f"{at}.{places[one]}") if one in places else Markup(""))
                for one in names
            )
            lines.append(("", (Cell(head, "name", is_head=True), *cells)))
        heads = ((pivot.head, "name"), *((in_words(name, "text", self.zone), "") for name in names.values()))
        return View(table, heads, tuple(lines))


def _is_known(template: str, row: Row) -> bool:
    return all(row[name] is not None for name, _ in _PLACE.findall(template))


def _is_few(row: Row, name: str) -> bool:
    return bool(name) and (row[name] or 0) < SMALL_NUMBER


def _verdict_class(column: Column, row: Row) -> str:
    if column.css != "verdict":
        return ""
    return str(row["verdict"]) if row["verdict"] in ("worse", "better") else "chance"
