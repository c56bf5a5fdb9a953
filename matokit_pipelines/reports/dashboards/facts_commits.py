"""The facts of the dashboard of deployments: commits by day, CI beside production, and use by environment.

Not here: the judgement of commits and of CI, which the marts hold.
"""

from __future__ import annotations

import polars as pl

from matokit_pipelines.reports.dashboards.facts_components import ERRORS, error_types_indexed
from matokit_pipelines.reports.dashboards.facts_names import (
    ANY,
    Limits,
    Made,
    added,
    beyond,
    indexed,
    placed,
    shortened,
)
from matokit_pipelines.reports.dashboards.facts_systems import LONGEST_WINDOW, Systems
from matokit_pipelines.reports.dashboards.widgets import WINDOWS
from matokit_pipelines.reports.marking import as_document
from matokit_pipelines.reports.shapes import Queryable

SIDES = ("production", "ci")  # their places are the column `side`
_SYSTEM = ["architecture", "os"]
_KEYS = ["window", "side", *_SYSTEM]

# The last day before the longest window on which a system had events says which commit led it until then.
_COMMITS = """
with daily as (
    select
        last_complete_day - event_date as day,
        architecture,
        os_family,
        os_release,
        commit_sha,
        events,
        failures
    from marts.commit_system_daily
    cross join marts.project_day
    where environment = 'production'
        and event_date <= last_complete_day
),

before as (
    select
        architecture,
        os_family,
        os_release,
        min(day) as day
    from daily
    where day >= cast($days as integer)
    group by architecture, os_family, os_release
)

select
    daily.day,
    daily.architecture,
    daily.os_family,
    daily.os_release,
    daily.commit_sha,
    daily.events,
    daily.failures
from daily
left join before
    on before.architecture = daily.architecture
    and before.os_family = daily.os_family
    and before.os_release = daily.os_release
where daily.day < cast($days as integer)
    or daily.day = before.day
"""

_LIVES = """
select
    life.commit_sha,
    life.first_seen,
    life.last_seen,
    regression.verdict
from marts.commit_performance as life
left join marts.commit_regression as regression on regression.commit_sha = life.commit_sha
where life.first_seen is not null
    and life.commit_sha in (select unnest($commits))
order by life.first_seen desc, life.commit_sha
"""

_SIDES = """
select
    cast(window_days as bigint) as "window",
    environment,
    architecture,
    os_family,
    os_release,
    component,
    events,
    failures
from marts.system_window
where component <> 'all'
    and environment in (select unnest($sides))
    and window_days in (select unnest($windows))
"""

_VERDICTS = """
select
    cast(window_days as bigint) as "window",
    component,
    chance_worse,
    verdict,
    verdict = 'worse' and 100 * ci_successes > 95 * ci_events as is_marked
from marts.ci_vs_production
where window_days in (select unnest($windows))
"""


def deployment_tracking(snapshot: Queryable, systems: Systems, limits: Limits) -> Made:
    """Commits of production, both sides of the comparison with CI, and events by environment."""
    commits, shas = _commits(snapshot, systems, limits.commits)
    sides, names = _sides(snapshot, systems, limits.components)
    return Made(commits | sides | {"environments": _environments(systems)}, {"commit": shortened(shas)} | names)


def _environments(systems: Systems) -> pl.DataFrame:
    keys = ["window", "environment", *_SYSTEM]
    windows = [
        added(systems.segments.filter(pl.col("day") < days), keys[1:], ["events"]).with_columns(
            pl.lit(days, pl.Int64).alias("window")
        )
        for days in WINDOWS
    ]
    return pl.concat(windows).filter(pl.col("events") > 0).select(*keys, "events").sort(keys)


def _commits(snapshot: Queryable, systems: Systems, limit: int) -> tuple[dict[str, pl.DataFrame], list[str]]:
    """`commit_days`, with days before the longest window for the leader until then; `commits`, the one first seen last
    on top, where `age` counts first sights, commits of one instant alike; `commits_beyond`."""
    days = systems.indexed(snapshot.query(_COMMITS, {"days": LONGEST_WINDOW}))
    days = added(days, [*_SYSTEM, "commit_sha", "day"], ["events", "failures"])
    lives = snapshot.query(_LIVES, {"commits": days["commit_sha"].unique().sort().to_list()})
    names = _kept_commits(days, lives, limit)
    rest = pl.concat([
        days.filter((pl.col("day") < window) & ~pl.col("commit_sha").is_in(names)).with_columns(
            pl.lit(window, pl.Int64).alias("window")
        )
        for window in WINDOWS
    ])  # fmt: skip
    dated = lives.with_columns(pl.col("first_seen").rank("dense").cast(pl.Int64).alias("age"))
    kept = dated.filter(pl.col("commit_sha").is_in(names))
    texts = {name: [as_document(value) for value in kept[name]] for name in ("first_seen", "last_seen")}
    shown = kept.with_columns(pl.Series(name, values, dtype=pl.String) for name, values in texts.items())
    tables = {"commit_days": days, "commits": shown}
    found = {
        name: indexed(table, "commit_sha", names, len(names)).rename({"commit_sha": "commit"})
        for name, table in tables.items()
    }
    keys = [*_SYSTEM, "commit", "day"]
    found["commit_days"] = added(found["commit_days"], keys, ["events", "failures"]).sort(keys)
    return found | {"commits_beyond": beyond(rest, ["window"], "commit_sha")}, names


def _kept_commits(days: pl.DataFrame, lives: pl.DataFrame, limit: int) -> list[str]:
    """Commits with a place of their own: leaders of days, then by their best place among the newest and those with most
    events in a window."""
    of_day = placed(added(days, ["day", "commit_sha"], ["events"]), ["day"], ["events"], ["commit_sha"])
    leading = of_day.filter(pl.col("place") == 0).select("commit_sha", pl.lit(-1, pl.Int64).alias("place"))
    newest = lives.select("commit_sha", pl.int_range(pl.len()).alias("place"))
    age = newest.rename({"place": "age"})
    most = [
        placed(
            added(days.filter(pl.col("day") < window), ["commit_sha"], ["events"]), [], ["events"], ["commit_sha"]
        ).select("commit_sha", "place")
        for window in WINDOWS
    ]
    best = pl.concat([leading, newest, *most]).group_by("commit_sha").agg(pl.col("place").min())
    return sorted(best.join(age, on="commit_sha").sort("place", "age")["commit_sha"].head(limit))


def _sides(snapshot: Queryable, systems: Systems, limit: int) -> tuple[dict[str, pl.DataFrame], dict[str, list[str]]]:
    """`ci` and `ci_errors` by window, side, system and component; `ci_verdicts` over all systems, `ANY` for all
    components together; `ci_beyond`."""
    asked = {"windows": list(WINDOWS)}
    rows = _with_side(snapshot.query(_SIDES, asked | {"sides": list(SIDES)}))
    counts = added(systems.indexed(rows), [*_KEYS, "component"], ["events", "failures"])
    verdicts = snapshot.query(_VERDICTS, asked)
    kept = _kept_components(counts, verdicts, limit)
    names = kept["component"].unique().sort().to_list()
    errors = _with_side(snapshot.query(ERRORS, asked).filter(pl.col("environment").is_in(SIDES)))
    judged = verdicts.filter((pl.col("component") == "all") | pl.col("component").is_in(names))
    tables = {
        "ci": _apart(counts, kept, [*_KEYS, "component"], ["events", "failures"]),
        "ci_errors": _apart(
            systems.indexed(errors), kept, [*_KEYS, "component", "error_type"], ["failures"]
        ),
    }  # fmt: skip
    found = {name: indexed(table, "component", names, len(names)) for name, table in tables.items()}
    found["ci"] = found["ci"].sort(*_KEYS, "component")
    found["ci_errors"], error_types = error_types_indexed(found["ci_errors"], [*_KEYS, "component"])
    found["ci_verdicts"] = indexed(judged, "component", names, ANY).sort("window", "component")
    found["ci_beyond"] = beyond(counts.join(kept, on=kept.columns, how="anti"), ["window"], "component")
    return found, {"component": shortened(names), "error_type": shortened(error_types)}


def _with_side(rows: pl.DataFrame) -> pl.DataFrame:
    return indexed(rows, "environment", SIDES, ANY).rename({"environment": "side"})


def _kept_components(counts: pl.DataFrame, verdicts: pl.DataFrame, limit: int) -> pl.DataFrame:
    """Window and component of those with a place of their own: the marked ones, then those with most failures in
    production, then those with most events."""
    is_production = pl.col("side") == SIDES.index("production")
    sums = counts.group_by("window", "component").agg(
        pl.col("failures").filter(is_production).sum(), pl.col("events").sum()
    )
    marked = verdicts.select("window", "component", "is_marked")
    ordered = sums.join(marked, on=["window", "component"], how="left")
    ordered = placed(
        ordered.with_columns(pl.col("is_marked").fill_null(False)),
        ["window"], ["is_marked", "failures", "events"], ["component"],
    )  # fmt: skip
    return ordered.filter(pl.col("place") < limit).select("window", "component")


def _apart(rows: pl.DataFrame, kept: pl.DataFrame, keys: list[str], values: list[str]) -> pl.DataFrame:
    """Sums of the values, where components without a place of their own are null, one and the same."""
    named = rows.join(kept, on=kept.columns, how="semi").select(*keys, *values)
    rest = rows.join(kept, on=kept.columns, how="anti").with_columns(pl.lit(None, pl.String).alias("component"))
    return added(pl.concat([named, rest.select(*keys, *values)]), keys, values)
