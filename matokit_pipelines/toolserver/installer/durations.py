"""GetDurations: how long steps take. Only successes say so, in whole seconds, waiting for a person included.

Not here: rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from matokit_pipelines.reports.comparison import SMALL_NUMBER
from matokit_pipelines.toolserver.installer.answering import Call, call
from matokit_pipelines.toolserver.installer.asking import ENVIRONMENT, LIMIT, Compare, Environment, SpanParameters
from matokit_pipelines.toolserver.installer.counting import fitted
from matokit_pipelines.toolserver.installer.kept import kept
from matokit_pipelines.toolserver.installer.names import architecture_of, component_of
from matokit_pipelines.toolserver.installer.queries import query
from matokit_pipelines.toolserver.installer.shapes import OfSpan, Result
from matokit_pipelines.toolserver.installer.words import count, joined, many, shown
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import Parameters, Whole
from matokit_pipelines.toolserver.problems import refused
from matokit_pipelines.toolserver.tools import Answer
from matokit_pipelines.warehouse.serving import Reader

WINDOWS = (1, 7, 30, 90)


def _window(value: int) -> int:
    if value not in WINDOWS:
        raise ValueError("must be 1, 7, 30 or 90")
    return value


class DurationParameters(Parameters):
    """Which steps."""

    days: Annotated[Whole, AfterValidator(_window)] = Field(
        30, description="1, 7, 30 or 90 days that end with the last complete day; other spans are not kept. Default 30."
    )
    component: str | None = Field(None, description="Only this component. Default: each of them.")
    architecture: str | None = Field(None, description="Only this one: arm64, x86_64 or x86. Default: all together.")
    environment: Environment = Field("production", description=ENVIRONMENT.replace(", or all of them", ""))
    compare: Compare | None = Field(
        None, description="previous: beside the next longer window (of 90 days: the next shorter), since durations of "
        "the span before are not kept. Default: no comparison."
    )  # fmt: skip
    limit: Whole = Field(10, ge=1, le=50, description=LIMIT.format(10))


class DurationRow(Result):
    """One component; durations in seconds."""

    component: str
    events: int = Field(description="Successes that say how long they took.")
    few_events: bool = Field(description="Fewer than ten of them.")
    median_s: float = Field(description="At least half took no longer, seconds.")
    p75_s: float = Field(description="At least three quarters took no longer, seconds.")
    p90_s: float = Field(description="At least nine in ten took no longer, seconds.")
    p95_s: float = Field(description="At least nineteen in twenty took no longer, seconds.")
    max_s: float = Field(description="The longest, seconds.")
    compared_events: int | None = Field(None, description="Successes of the window compared with.")
    compared_median_s: float | None = Field(None, description="Median of the window compared with, seconds.")
    compared_p90_s: float | None = Field(None, description="90th percentile of the window compared with, seconds.")


class Durations(OfSpan):
    """Answer of GetDurations."""

    architecture: str = Field(description="The architecture, or all.")
    compared_days: int | None = Field(None, description="Length of the window compared with, days; both end together.")
    rows: list[DurationRow] = Field(description="Components, the longest median first.")


def durations(kit: Kit, asked: DurationParameters) -> Answer:
    """How long steps take."""
    if asked.environment == "all":
        raise refused("Durations are kept for each environment apart.", "Name one environment, such as production.")
    is_compared = asked.compare is not None
    with call(kit, SpanParameters(days=asked.days, environment=asked.environment)) as it:
        component = component_of(asked.component, it.ground)
        architecture = architecture_of(asked.architecture, it.ground) or "all"
        found: dict[int, dict[str, Mapping[str, Any]]] = {}
        for row in rows_of(it, asked.environment, architecture, component):
            found.setdefault(row["window_days"], {})[row["component"]] = row
        other = _other(asked.days)
        rows = [
            _row(row, found.get(other, {}).get(name) if is_compared else None)
            for name, row in sorted(found.get(asked.days, {}).items(), key=lambda one: (-one[1]["median_s"], one[0]))
        ]
        listed, more = fitted(rows, asked.limit)
        where = "In production" if asked.environment == "production" else f"In {asked.environment}"
        on = f" on {architecture}" if architecture != "all" else ""
        head = f"{where} {it.span.words}{on}"
        compared = {"compared_days": other} if is_compared else {}
        summary = _sentence(head, rows, component, other if is_compared else None)
        return it.answer(summary, more, architecture=architecture, **compared, rows=listed)


def rows_of(it: Call, environment: str, architecture: str, component: str | None) -> list[Mapping[str, Any]]:
    """The rows of all windows, of one component or of each, by component and window."""
    by_architecture = kept(
        it.kit.snapshots, it.reader, ("durations", environment), lambda reader: _read(reader, environment)
    )
    rows = by_architecture.get(architecture, [])
    return [row for row in rows if component in (None, row["component"])]


def _read(reader: Reader, environment: str) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in reader.rows(query("durations"), {"environment": environment}):
        found.setdefault(row["architecture"], []).append(row)
    return found


def _other(days: int) -> int:
    return 30 if days == WINDOWS[-1] else WINDOWS[WINDOWS.index(days) + 1]


def _row(row: Mapping[str, Any], other: Mapping[str, Any] | None) -> dict[str, Any]:
    shape = {
        "component": shown(row["component"]), "events": row["events"], "few_events": row["events"] < SMALL_NUMBER,
        **{name: row[name] for name in ("median_s", "p75_s", "p90_s", "p95_s", "max_s")},
    }  # fmt: skip
    if other is None:
        return shape
    return shape | {
        "compared_events": other["events"], "compared_median_s": other["median_s"], "compared_p90_s": other["p90_s"],
    }  # fmt: skip


def _sentence(head: str, rows: list[dict[str, Any]], component: str | None, other: int | None) -> str:
    if not rows:
        about = f" of {shown(component)}" if component else ""
        return f"{head}, no success{about} said how long it took."
    if component:
        [row] = rows
        said = f"half of {many(row['events'], 'success', 'successes')} of {row['component']} took up to "
        said += f"{seconds(row['median_s'])}, nine in ten up to {seconds(row['p90_s'])}{_few(row)}"
    else:
        said = "the slowest components are " + joined([
            f"{row['component']} (half within {seconds(row['median_s'])}, nine in ten within {seconds(row['p90_s'])}, "
            f"{many(row['events'], 'success', 'successes')}{_few(row)})"
            for row in rows
        ])  # fmt: skip
    if other is None:
        return f"{head}, {said}."
    beside = [f"{row['component']} {seconds(row['compared_median_s'])}" for row in rows if "compared_median_s" in row]
    return f"{head}, {said}; median over {count(other)} days: {joined(beside)}. The span before is not kept."


def _few(row: Mapping[str, Any]) -> str:
    return ", too few to say much" if row["few_events"] else ""


def seconds(value: float) -> str:
    """`45 s`, `3 min 20 s`, `1 h 5 min`."""
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
