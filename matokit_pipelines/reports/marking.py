"""Values of a report's document, put into pages and text so that each can be found again in the JSON.

A template names a value by its path in the document and a form (`{totals.events.absolute|change}`); nothing is shown
that is not in the document. Not here: how a form reads (formats.py) and which document it is.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from matokit_pipelines.reports.formats import in_words

_PLACE = re.compile(r"\{([a-z0-9_.]+)\|([a-z_]+)\}")
_TIMES = ("day", "day_of_year", "month", "weekday", "weekday_of_year", "clock", "instant", "instant_of_year")


def as_document(value: Any) -> Any:
    """Dataclasses, tuples, days and instants as what JSON has; instants as ISO text in UTC."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_document(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [as_document(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): as_document(one) for name, one in value.items()}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


class Marker:
    """Shows values of one document in one zone, as HTML elements or as plain text."""

    def __init__(self, document: Mapping[str, Any], zone: ZoneInfo, *, html: bool) -> None:
        self._document = document
        self._zone = zone
        self._html = html

    def value(self, path: str) -> Any:
        """The value at `path` (`failing.rows.0.component`); KeyError or IndexError when there is none."""
        found: Any = self._document
        for step in path.split("."):
            found = found[int(step)] if isinstance(found, list) else found[step]
        return found

    def show(self, path: str, form: str) -> str:
        """One value. A rate of a small number is grey in HTML and stands in brackets in text."""
        value = self.value(path)
        shown = in_words(value, form, self._zone)
        if not self._html:
            return f"({shown})" if value is not None and self._is_small(path) else shown
        mark = Markup(' data-path="{}" data-form="{}"').format(path, form)
        grey = Markup(' class="few" title="fewer than 10 events"') if self._is_small(path) else Markup("")
        if value is None:
            return Markup("<span{}>{}</span>").format(mark, shown)
        if form == "text":
            breakable = escape(shown).replace("_", Markup("_<wbr>"))  # long names of components break there
            return Markup("<bdi{}>{}</bdi>").format(mark, breakable)
        if form in _TIMES:
            return Markup('<time{} datetime="{}">{}</time>').format(mark, value, shown)
        return Markup('<data{}{} value="{}">{}</data>').format(mark, grey, json.dumps(value), shown)

    def say(self, template: str) -> str:
        """A sentence with its values in place. The template is ours; only the values come from outside."""
        parts: list[str] = []
        end = 0
        for place in _PLACE.finditer(template):
            parts += [template[end : place.start()], self.show(place[1], place[2])]
            end = place.end()
        parts.append(template[end:])
        if not self._html:
            return "".join(parts)
        return Markup("").join(parts)  # escapes what is not marked up yet

    def _is_small(self, path: str) -> bool:
        holder, _, name = path.rpartition(".")
        if not name.startswith(("success_rate", "failure_rate")) or not holder:
            return False
        values = self.value(holder)
        return isinstance(values, dict) and values.get("small") is True
