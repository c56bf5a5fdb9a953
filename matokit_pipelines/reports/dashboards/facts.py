"""What the page of a dashboard knows, so that its controls work without a server: small tables of counts, and packing.

`facts` gives, for one dashboard: `last_day`, `first_known_day` (ISO days of the project's zone, or null), `zone`,
`windows`, `lines` (environments that ever counted an event), `has_other_os` (the last release stands for all that have
no place of their own), `names` (of what the indices in tables stand for) and `tables` (columns of equal length).
A `day` is a number of days before `last_day`; an index one past the end of a list of names stands for all names that
have no place of their own. `rowsOf` of report_templates/dashboards/rows.js turns facts and filters into the rows of a
widget. Not here: which counts a page has (facts_systems.py, facts_components.py, facts_commits.py), and drawing.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from matokit_pipelines import resources
from matokit_pipelines.reports.dashboards import facts_commits, facts_components, facts_systems
from matokit_pipelines.reports.dashboards.facts_names import Limits, Made
from matokit_pipelines.reports.dashboards.facts_systems import Systems, read_systems
from matokit_pipelines.reports.dashboards.widgets import WINDOWS
from matokit_pipelines.reports.shapes import Queryable

BUDGET = 450_000  # bytes of packed facts in one page
# The first that keeps a page within its budget is taken: fewer names have a place of their own, the sums stay whole.
LIMITS = (
    Limits(releases=60, components=200, commits=200),
    Limits(releases=30, components=200, commits=200),
    Limits(releases=15, components=200, commits=200),
    Limits(releases=8, components=200, commits=200),
    Limits(releases=8, components=100, commits=100),
    Limits(releases=6, components=50, commits=50),
    Limits(releases=3, components=20, commits=20, rows=None),
)
# Scripts of report_templates/dashboards that count, in the order in which they are put together, and what they offer.
_SCRIPTS = (
    "statistics.js", "facts.js", "counting.js", "rows_systems.js", "rows_components.js", "rows_commits.js", "rows.js",
    "csv.js",
)  # fmt: skip
_OFFERED = ("unpackFacts", "rowsOf", "columnsOf", "csvOf", "isPooled")

_Tables = Callable[[Queryable, Systems, Limits], Made | None]
_DASHBOARDS: dict[str, _Tables] = {
    "installation_health": facts_systems.installation_health,
    "system_compatibility": facts_systems.system_compatibility,
    "component_analysis": facts_components.component_analysis,
    "deployment_tracking": facts_commits.deployment_tracking,
}


def facts(snapshot: Queryable, dashboard: str, *, zone: str, budget: int = BUDGET) -> dict[str, Any]:
    """The facts of one dashboard; packed they hold at most `budget` bytes unless the fewest names still need more.

    KeyError for a dashboard that does not exist.
    """
    tables, asked = _DASHBOARDS[dashboard], _Asked(snapshot)
    found: dict[str, Any] = {}
    for limits in LIMITS:
        systems = read_systems(asked, limits.releases)
        made = tables(asked, systems, limits)
        if made is None or (limits.rows is not None and made.rows > limits.rows):
            continue
        found = _document(systems, made, zone)
        if len(packed(found)) <= budget:
            break
    return found


class _Asked:
    """A snapshot that is asked everything once: fewer names need no other counts."""

    def __init__(self, snapshot: Queryable) -> None:
        self._snapshot = snapshot
        self._known: dict[str, pl.DataFrame] = {}

    def query(self, sql: str, params: Mapping[str, object] | None = None) -> pl.DataFrame:
        key = f"{sql} {params}"
        if key not in self._known:
            self._known[key] = self._snapshot.query(sql, params)
        return self._known[key]


def _document(systems: Systems, made: Made, zone: str) -> dict[str, Any]:
    return {
        "last_day": systems.last_day and systems.last_day.isoformat(),
        "first_known_day": systems.first_known_day and systems.first_known_day.isoformat(),
        "zone": zone,
        "windows": list(WINDOWS),
        "lines": systems.lines,
        "has_other_os": systems.others > 0,
        "names": systems.names() | {kind: list(names) for kind, names in made.names.items()},
        "tables": {name: table.to_dict(as_series=False) for name, table in made.tables.items()},
    }


def packed(found: dict[str, Any]) -> str:
    """Facts as a page carries them: base64 of zlib-compressed JSON."""
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode("utf-8"), 9)).decode("ascii")


def script() -> str:
    """The scripts that count, as one statement that declares `unpackFacts`, `rowsOf`, `columnsOf`, `csvOf` and
    `isPooled` and no other name."""
    folder = resources.path("report_templates") / "dashboards"
    text = "\n".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    offered = ", ".join(_OFFERED)
    return f"const {{ {offered} }} = (() => {{\n{text}\nreturn {{ {offered} }};\n}})();\n"
