"""The tables of the dashboards: columns, wording and marks of each, shared by the page as written and its script.

A line of a cell is a template over one row of the widget's numbers (`{success_rate|percent}`, forms of formats.py).
Not here: the rows (widgets.py), and making cells of them (cells.py, report_templates/dashboards/drawing.js).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

RATE = ("{success_rate|percent}", "{success_rate_low|percent} to {success_rate_high|percent}")
ERRORS = {"not_reported": "not reported"}
VERDICTS = {"worse": "worse, more than chance", "better": "better, more than chance"}


@dataclass(frozen=True)
class Badge:
    """A word beside a value of the rows whose `field` is true."""

    field: str
    word: str
    css: str = "badge"


@dataclass(frozen=True)
class Column:
    """One column. The first line is the value, the further ones stand small below it and are left out when a value
    of theirs is missing. `few`: the field with the events behind a rate, which is grey when they are fewer than ten.

    `words`: our own words for values that are names of ours. `part`, `where`: the lines are made of the rows of that
    part which have the row's component. `swatch`: a patch in the colour that the row has in the chart.
    """

    label: str
    lines: tuple[str, ...]
    css: str = ""
    few: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    badges: tuple[Badge, ...] = ()
    is_code: bool = False
    is_commit: bool = False
    swatch: bool = False
    part: str = ""
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pivot:
    """Days (or what `row` says) as lines, the chart's lines as columns: `across` tells them apart, `name` is how they
    are called."""

    across: str
    name: str
    lines: tuple[str, ...]
    few: str = ""
    row: str = "event_date"
    form: str = "weekday"
    head: str = "Day"


@dataclass(frozen=True)
class Table:
    """A table of a widget's rows, or of one of its parts. `open`: shown at once, else behind a line to be opened.

    `stack`: one block a row on a phone. `nothing`: said in place of an empty table. `marked`: a field; rows in which
    it is true stand out.
    """

    caption: str
    columns: tuple[Column, ...] = ()
    pivot: Pivot | None = None
    part: str = ""
    open: bool = True
    stack: bool = False
    nothing: str = "No events in this period."
    marked: str = ""


@dataclass(frozen=True)
class TileLine:
    """A line of a tile; left out, except the first, when a value of it is missing."""

    template: str
    css: str = ""
    few: str = ""


def _text(label: str, name: str, **options: object) -> Column:
    return Column(label, (f"{{{name}|text}}",), css="name first", **options)  # type: ignore[arg-type]


def _count(label: str, name: str) -> Column:
    return Column(label, (f"{{{name}|count}}",))


EVENTS, FAILURES = _count("Events", "events"), _count("Failures", "failures")
SUCCESS = Column("Success", RATE, few="events")
FAILED = Column("Failure rate", ("{failure_rate|percent}", "{failures|count} failed"), few="events")
SHARE = Column("Share", ("{share|percent}",))


def _side(name: str, title: str) -> tuple[Column, ...]:
    rate = f"{name}_success_rate"
    return (
        Column(
            f"Success, {title}",
            (f"{{{rate}|percent}}", f"{{{rate}_low|percent}} to {{{rate}_high|percent}}"),
            few=f"{name}_events",
        ),
        _count(f"Events, {title}", f"{name}_events"),
    )


def _errors(name: str, title: str) -> Column:
    return Column(
        f"Errors, {title}",
        ("{error_type|text} {failures|count}",),
        css="name free",
        words=ERRORS,
        part="errors",
        where={"environment": name},
    )


TILE = (
    TileLine("{success_rate|percent}", "large", "events"),
    TileLine("{change_points|percentage_points} against the same number of days before", "delta"),
    TileLine("95 % interval {success_rate_low|percent} to {success_rate_high|percent}"),
    TileLine("{successes|count} of {events|count} events succeeded"),
    TileLine("before: {success_rate_before|percent} of {events_before|count} events", few="events_before"),
    TileLine(
        "all environments: {success_rate_everywhere|percent} of {events_everywhere|count} events, "
        "{success_rate_everywhere_low|percent} to {success_rate_everywhere_high|percent}",
        few="events_everywhere",
    ),
)

TABLES: dict[str, tuple[Table, ...]] = {
    "success_rate": (),
    "daily_volume": (
        Table(
            "Events by day and environment; installations (estimate) below",
            pivot=Pivot("environment", "environment", ("{events|count}", "{installations|count}")),
            open=False,
        ),
    ),
    "outcomes": (Table("Outcomes", (_text("Outcome", "outcome", swatch=True), EVENTS, SHARE)),),
    "environments": (
        Table(
            "Events by environment",
            (
                _text("Environment", "environment"),
                EVENTS,
                Column("Installations (estimate)", ("{installations|count}",)),
            ),
            open=False,
        ),
    ),
    "architecture_performance": (
        Table("Architectures", (_text("Architecture", "architecture"), EVENTS, SUCCESS, FAILED), stack=True),
    ),
    "os_versions": (
        Table(
            "Versions of operating systems",
            (
                Column(
                    "Version", ("{os_release|text}", "{os_family|text}"), "name first", badges=(Badge("is_new", "new"),)
                ),
                EVENTS,
                SUCCESS,
                Column("First seen", ("{first_seen|instant}",), "name"),
            ),
            stack=True,
        ),
    ),
    "architecture_success": (
        Table(
            "Events and success by architecture", (_text("Architecture", "architecture"), EVENTS, SUCCESS), open=False
        ),
    ),
    "os_version_trends": (
        Table("Events by day and version", pivot=Pivot("place", "os_release", ("{events|count}",)), open=False),
    ),
    "component_success": (
        Table(
            "Components, most failures first",
            (
                _text("Component", "component"),
                FAILURES,
                _count("Successes", "successes"),
                SUCCESS,
                Column("Machines failing", ("{machines_failing|count}", "of {machines|count}")),
            ),
            stack=True,
        ),
    ),
    "problematic_components": (
        Table(
            "Failures by component and error type",
            (
                _text("Component", "component"),
                Column("Error type", ("{error_type|text}",), "name", words=ERRORS),
                FAILURES,
                Column("Failures of the component", ("{component_failures|count}",)),
            ),
            open=False,
            nothing="No failures in this period.",
        ),
    ),
    "component_trends": (
        Table(
            "Success rate by day and component; events below",
            pivot=Pivot("place", "component", ("{success_rate|percent}", "{events|count}"), few="events"),
            open=False,
        ),
    ),
    "component_matrix": (
        Table(
            "Success by component and architecture; events below",
            pivot=Pivot(
                "architecture",
                "architecture",
                ("{success_rate|percent}", "{events|count}"),
                few="events",
                row="component",
                form="text",
                head="Component",
            ),
            open=False,
        ),
    ),
    "commit_table": (
        Table(
            "Commits, latest first production event on top",
            (
                Column(
                    "Commit",
                    ("{commit_sha|text}",),
                    "name first",
                    badges=(Badge("is_regression", "regression", "badge bad"),),
                    is_code=True,
                    is_commit=True,
                ),
                EVENTS,
                SUCCESS,
                FAILED,
                Column("First and last seen", ("{first_seen|instant}", "{last_seen|instant}"), "name seen"),
                Column("Against those before", ("{verdict|text}",), "verdict", words=VERDICTS),
            ),
            stack=True,
            nothing="No event of this period names a commit.",
        ),
    ),
    "version_rollback": (
        Table(
            "Days on which another commit led",
            (
                Column("Day", ("{event_date|weekday}",), "name first", badges=(Badge("is_rollback", "rollback"),)),
                Column("From", ("{from_commit|text}",), "name", is_code=True, is_commit=True),
                Column("To", ("{to_commit|text}",), "name", is_code=True, is_commit=True),
            ),
            part="changes",
            nothing="The leading commit did not change in this period.",
        ),
        Table("Events by day and commit", pivot=Pivot("place", "commit_sha", ("{events|count}",)), open=False),
    ),
    "ci_comparison": (
        Table(
            "CI and production by component",
            (
                _text(
                    "Component",
                    "component",
                    words={"all": "All components"},
                    badges=(Badge("is_marked", "green in CI, failing here", "badge bad"),),
                ),
                *_side("production", "production"),
                *_side("ci", "CI"),
                Column(
                    "CI less production",
                    ("{gap_points|percentage_points}", "{verdict|text}"),
                    words={**VERDICTS, "worse": "production worse, more than chance"}
                    | {"better": "production better, more than chance"},
                ),
                _errors("production", "production"),
                _errors("ci", "CI"),
            ),
            stack=True,
            marked="is_marked",
        ),
    ),
    "test_environments": (
        Table("Events by environment", (_text("Environment", "environment", swatch=True), EVENTS, SHARE)),
    ),
}
