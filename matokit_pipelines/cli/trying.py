"""`try`: one's own account, read-only, nothing kept: what is there and how it would be read.

Not here: how events are read (sql/), how a source is asked (sources/).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import typer

from matokit_pipelines.cli.frame import AsJson, Frame, frame_of, points_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from matokit_pipelines.sources.sites import Dimension

DAYS = 7
MOST_NAMES = 20
_NAMES = """
select category_raw as category, name_raw as name, count(*) as events,
       any_value(component order by component) as component,
       string_agg(distinct outcome, ', ' order by outcome) as outcomes,
       string_agg(distinct form || ' ' || rule, ', ' order by form || ' ' || rule) as "form and rule",
       count(*) filter (confidence = 'certain') / count(*)::double as certain,
       count(*) filter (confidence = 'inferred') / count(*)::double as inferred,
       count(*) filter (confidence = 'ambiguous') / count(*)::double as ambiguous,
       string_agg(distinct left_out_reason, ', ' order by left_out_reason) as "left out"
from staging.installer_events
group by category_raw, name_raw
order by events desc, category_raw, name_raw
"""
_TOTAL = """
select count(*) as landed, count(*) filter (counted) as counted,
       count(*) filter (counted and confidence = 'ambiguous') as ambiguous
from staging.installer_events
"""
_RATES = """
select environment, count(*) as events, count(*) filter (outcome = 'success') as successes
from staging.installer_events where counted
group by environment order by environment = 'production' desc, events desc, environment
"""
_WORST = """
select environment, component, count(*) as events, count(*) filter (outcome = 'failure') as failures
from staging.installer_events where counted
group by environment, component
order by environment = 'production' desc, failures desc, events desc, component limit 1
"""


def try_source(
    context: typer.Context,
    kind: str = typer.Option("matomo", help="What answers at the address."),
    url: str = typer.Option(..., help="Address of your Matomo."),
    site: str = typer.Option(..., help="Number of the site."),
    name: str = typer.Option("installers", help="Decides the token's variable: MATOKIT_<NAME>_TOKEN."),
    dimensions: str | None = typer.Option(None, help="Such as os=1,architecture=2,commit=3; default: by their names."),
    as_json: bool = AsJson,
) -> None:
    """Read the last 7 days of an account, keep nothing, and say how each event name was read."""
    from matokit_pipelines.cli.setting_up import parse_dimensions
    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.settings import SourceSettings, made
    from matokit_pipelines.warehouse import refresh
    from matokit_pipelines.warehouse.build import build
    from matokit_pipelines.warehouse.connection import in_memory
    from matokit_pipelines.warehouse.matomo_pass import MatomoPass
    from matokit_pipelines.windows import local_date

    frame = frame_of(context)
    loaded = frame.loaded()
    clock = SystemClock()
    now = clock.now()
    values: dict[str, Any] = {"name": name, "kind": kind, "url": url, "site_id": site}
    plain = made(SourceSettings, values)
    token = loaded.credentials(plain)[0]
    client = refresh.client_for(loaded, plain, clock)
    place = client.site()
    found = client.dimensions()
    chosen = parse_dimensions(dimensions) if dimensions else guess_dimensions(found)
    today = local_date(now, place.zone)
    first = today - timedelta(days=DAYS - 1)
    source = made(SourceSettings, values | {"dimensions": chosen, "start_date": first})
    connection = in_memory(now)
    with frame.progress("Reading") as step:
        reader = MatomoPass(
            connection, client, source, token, project_zone=place.zone.key, clock=clock, progress=step
        )  # fmt: skip
        result = reader.run((first, today))
    if result.error:
        raise result.error
    options = refresh.build_options(loaded, zone=place.zone.key)
    build(connection, options=options, now=clock.now())
    if as_json:
        frame.rows(_names(connection), as_json=True)
        return
    frame.say(f'Site {site} is "{place.name}", in {place.zone.key}; {DAYS} days, {first} to {today}.')
    frame.say("Dimensions: " + _dimension_words(found, chosen))
    _show(frame, connection)


def guess_dimensions(found: Sequence[Dimension]) -> dict[str, int]:
    """Which active action dimension carries what, by its name; what no name tells is left out."""
    words = {"os": ("os", "operating"), "architecture": ("arch",), "commit": ("commit", "sha", "version")}
    chosen: dict[str, int] = {}
    for dimension in sorted(found, key=lambda d: d.number):
        label = dimension.name.lower()
        for meaning, marks in words.items():
            fits = any(label == mark or (len(mark) > 2 and mark in label) or label.startswith(mark) for mark in marks)
            if dimension.active and dimension.scope == "action" and meaning not in chosen and fits:
                chosen[meaning] = dimension.number
                break
    return chosen


def _dimension_words(found: Sequence[Dimension], chosen: dict[str, int]) -> str:
    meaning_of = {number: meaning for meaning, number in chosen.items()}
    said = [
        f'{d.number} "{d.name}" ' + (f"read as {meaning_of[d.number]}" if d.number in meaning_of else "not read")
        for d in sorted(found, key=lambda d: d.number)
    ]
    missing = sorted({"os", "architecture", "commit"} - set(chosen))
    if missing:
        said.append(f"none for {', '.join(missing)}: name them with --dimensions")
    return "; ".join(said) or "none configured: name OS, architecture and commit as action dimensions in Matomo"


def _names(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    from matokit_pipelines.warehouse.snapshots import select

    return select(connection, _NAMES).to_dicts()


def _show(frame: Frame, connection: duckdb.DuckDBPyConnection) -> None:
    from matokit_pipelines.warehouse.snapshots import select

    total = select(connection, _TOTAL).to_dicts()[0]
    if not total["landed"]:
        frame.say(
            "No custom event arrived in these days: do the scripts send to this site, with a category and action?"
        )
        return
    names = _names(connection)
    frame.say()
    frame.rows([_in_words(row) for row in names[:MOST_NAMES]], as_json=False)
    if len(names) > MOST_NAMES:
        frame.say(f"... and {len(names) - MOST_NAMES} names more; --json prints all of them.")
    frame.say()
    frame.say(
        f"{total['landed']:,} events, {total['counted']:,} counted; {total['ambiguous']:,} could be read in two ways."
    )
    for row in select(connection, _RATES).to_dicts():
        share = points_of(row["successes"] / row["events"])
        frame.say(f"Success in {row['environment']}: {share} ({row['successes']:,} of {row['events']:,} events).")
    for row in select(connection, _WORST).to_dicts():
        if row["failures"]:
            frame.say(
                f"Most failures in {row['environment']}: {row['component']}, "
                f"{row['failures']:,} of {row['events']:,} events."
            )
    for line in _mend(names):
        frame.say(f"To mend: {line}")


def _in_words(row: dict[str, Any]) -> dict[str, Any]:
    shares = {key: points_of(row[key]) for key in ("certain", "inferred", "ambiguous")}
    return row | shares


def _mend(names: list[dict[str, Any]]) -> list[str]:
    lines = []
    ambiguous = [str(row["name"]) for row in names if row["ambiguous"]]
    if ambiguous:
        lines.append(
            f"{', '.join(ambiguous[:5])}: value 0 may be a failure or a success of 0 s; "
            "always send an error suffix on failure, or set events.zero_value."
        )
    inferred = [str(row["name"]) for row in names if row["inferred"]]
    if inferred:
        lines.append(
            f"{', '.join(inferred[:5])}{' and others' * (len(inferred) > 5)}: what value 0 means was inferred; "
            "an error suffix on the name, such as _network_error, makes a failure certain and says why."
        )
    unknown = [str(row["name"]) for row in names if "unknown_outcome" in str(row["left out"])]
    if unknown:
        lines.append(f"{', '.join(unknown[:5])}: no outcome can be told; send value 1 for success and 0 for failure.")
    return lines
