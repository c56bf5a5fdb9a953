"""What a build has to derive besides the touched days: days whose evidence changed and commits; and cutting it all.

Parts are cut so that memory follows the part and not the history. Not here: deriving them (build.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import duckdb

from matokit_pipelines.warehouse.models import CUBE, Part
from matokit_pipelines.windows import ONE_DAY, runs_of_days

WEB_REPORTS = "raw.web_reports"
RAW_EVENTS = ("raw.matomo_events", "raw.piwik_pro_events")
EVIDENCE = "staging.zero_evidence"
BASELINES = "staging.commit_baselines"
ROWS_A_PART = 1_000_000
WEB_ROWS_A_PART = 20_000  # some kilobytes each while JSON is taken apart
COMMITS_A_PART = 20
MOST_PARTS = 40  # above that many stretches of days, fewer longer ones are cheaper
COMPARED_BEFORE = timedelta(days=8)  # seven times 24 hours before a commit reach into the eighth day
MONTHS_REACHED = 2  # the 60 days that end with March may begin on the last of January
COMPARED_AFTER = timedelta(days=2)  # 24 hours after a first event, with the predecessor's events beside it


def keep_before(con: duckdb.DuckDBPyConnection, table: str) -> None:
    """Keep what a table holds before it is derived again."""
    con.execute(f"create or replace temp table derived_before as from {table}")


def days_of_changed_evidence(con: duckdb.DuckDBPyConnection) -> set[date]:
    """Days that hold values 0 or 1 whose reading changes because the evidence on their key did."""
    found = con.execute(
        """
        with changed as (
            select
                coalesce(now_known.evidence_level, before.evidence_level) as evidence_level,
                coalesce(now_known.component, before.component) as component,
                coalesce(now_known.environment, before.environment) as environment,
                coalesce(now_known.commit_sha, before.commit_sha, '') as commit_key
            from staging.zero_evidence as now_known
            full join derived_before as before
                on before.evidence_level = now_known.evidence_level
                and coalesce(before.component, '') = coalesce(now_known.component, '')
                and before.environment = now_known.environment
                and coalesce(before.commit_sha, '') = coalesce(now_known.commit_sha, '')
            where coalesce(now_known.verdict, 'none') <> coalesce(before.verdict, 'none')
        )
        select distinct daily.event_date
        from staging.zero_evidence_daily as daily
        inner join changed
            on changed.environment = daily.environment
            and changed.commit_key = coalesce(daily.commit_sha, '')
            and (changed.evidence_level = 'environment' or changed.component = daily.component)
        where daily.zeros > 0 or daily.ones > 0
        """
    ).fetchall()
    return {row[0] for row in found}


def all_commits(con: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> set[str]:
    """Every commit of the tables."""
    return set().union(*(_commits(con, table, "true", {}) for table in tables))


def commits_on(con: duckdb.DuckDBPyConnection, parts: Iterable[Part]) -> set[str]:
    """The commits of the cube on the days of `parts`."""
    found: set[str] = set()
    for part in parts:
        days = {"first_day": part.first, "last_day": part.last}
        found |= _commits(con, CUBE, "event_date between $first_day and $last_day", days)
    return found


def _commits(con: duckdb.DuckDBPyConnection, table: str, where: str, parameters: dict[str, date]) -> set[str]:
    query = f"select distinct commit_sha from {table} where commit_sha is not null and {where}"
    return {row[0] for row in con.execute(query, parameters).fetchall()}


def commits_compared_anew(con: duckdb.DuckDBPyConnection, parts: Iterable[Part]) -> set[str]:
    """Commits that are compared with others or until another time than before, or over days of `parts`."""
    found = con.execute(
        f"""
        select commit_sha from ((from {BASELINES} except from derived_before)
            union all (from derived_before except from {BASELINES}))
        """
    ).fetchall()
    commits = {row[0] for row in found}
    for part in parts:
        # a day of the project lies within 14 hours of the day of the same name in UTC
        first = datetime.combine(part.first - ONE_DAY, time(), UTC)
        last = datetime.combine(part.last + 2 * ONE_DAY, time(), UTC)
        found = con.execute(
            f"select distinct commit_sha from {BASELINES} "
            "where deployed_at < $last + $before and compared_until > $first",
            {"first": first, "last": last, "before": COMPARED_BEFORE},
        ).fetchall()
        commits |= {row[0] for row in found}
    return commits


def commit_parts(con: duckdb.DuckDBPyConnection, commits: Iterable[str]) -> Iterator[tuple[list[str], Part]]:
    """The commits, a few at a time in the order of their days, each with the days that may hold their comparisons."""
    found = con.execute(
        f"""
        select wanted.commit_sha, min(cube.event_date), max(cube.event_date)
        from (select unnest($commits) as commit_sha) as wanted
        left join {CUBE} as cube on cube.commit_sha = wanted.commit_sha
        group by wanted.commit_sha
        order by 2, 1
        """,
        {"commits": sorted(commits)},
    ).fetchall()
    for start in range(0, len(found), COMMITS_A_PART):
        rows = found[start : start + COMMITS_A_PART]
        firsts = [first for _, first, _ in rows if first]
        lasts = [last for _, _, last in rows if last]
        first, last = (min(firsts), max(lasts)) if firsts else (date.min + ONE_DAY, date.min + ONE_DAY)
        yield [sha for sha, _, _ in rows], Part(first - COMPARED_BEFORE if firsts else first, last + COMPARED_AFTER)


def note_commits(con: duckdb.DuckDBPyConnection, commits: Sequence[str]) -> None:
    """Say which commits are derived now, for queries that ask ledger.touched_commits."""
    con.execute("delete from ledger.touched_commits")
    if commits:
        con.execute("insert into ledger.touched_commits select unnest($commits)", {"commits": list(commits)})


def touch_all_web(con: duckdb.DuckDBPyConnection) -> None:
    """Have every period of web reports derived."""
    con.execute("delete from ledger.touched_web")
    con.execute(
        f"insert into ledger.touched_web select distinct source, site_id, period, period_start from {WEB_REPORTS}"
    )


def web_parts(con: duckdb.DuckDBPyConnection) -> list[Part]:
    """The touched periods of web reports, cut by the day they begin on into parts of about WEB_ROWS_A_PART rows."""
    found = con.execute(
        f"""
        select touched.period_start, coalesce(sum(report.rows), 0)
        from (select distinct source, site_id, period, period_start from ledger.touched_web) as touched
        left join {WEB_REPORTS} as report using (source, site_id, period, period_start)
        group by touched.period_start
        order by touched.period_start
        """
    ).fetchall()
    parts: list[Part] = []
    rows = 0
    for start, more in found:
        if parts and rows + more <= WEB_ROWS_A_PART:
            parts[-1], rows = Part(parts[-1].first, start), rows + more
        else:
            parts.append(Part(start, start))
            rows = more
    return parts


def landed_days(con: duckdb.DuckDBPyConnection) -> dict[date, int]:
    """Landed rows by day of UTC: near enough to the project's days to cut parts by."""
    counts: dict[date, int] = {}
    for table in RAW_EVENTS:
        found = con.execute(
            f"select epoch_ms(event_ts) // 86400000 as day, count(*) from {table} group by 1"
        ).fetchall()
        for day, rows in found:
            key = date(1970, 1, 1) + timedelta(days=day)
            counts[key] = counts.get(key, 0) + rows
    return counts


def every_day(con: duckdb.DuckDBPyConnection) -> list[Part]:
    """Parts that hold every landed row, none when nothing has landed."""
    counts = landed_days(con)
    if not counts:
        return []
    return cut([Part(min(counts) - ONE_DAY, max(counts) + ONE_DAY)], counts)


def with_days_after(con: duckdb.DuckDBPyConnection, days: Iterable[date], reaching: int) -> set[date]:
    """The days, and the days after them up to `reaching` on which the cube has events."""
    reached = set(days)
    for run in runs_of_days(reached):
        first, last = run[0], run[1] + reaching * ONE_DAY
        found = con.execute(
            f"select distinct event_date from {CUBE} where event_date between $first and $last",
            {"first": first, "last": last},
        ).fetchall()
        reached |= {row[0] for row in found}
    return reached


def of_days(con: duckdb.DuckDBPyConnection, days: Iterable[date]) -> list[Part]:
    """The days as parts: neighbours together, many scattered ones in fewer longer stretches."""
    runs = [Part(*run) for run in runs_of_days(days)]
    if not runs or (len(runs) == 1 and runs[0].first == runs[0].last):
        return runs
    if len(runs) > MOST_PARTS:
        runs = [Part(runs[0].first, runs[-1].last)]
    return runs if _is_short(runs) else cut(runs, landed_days(con))


def _is_short(runs: Sequence[Part]) -> bool:
    return all(run.last - run.first < 3 * ONE_DAY for run in runs)


def cut(runs: Iterable[Part], counts: dict[date, int]) -> list[Part]:
    """Runs of days cut into parts of about ROWS_A_PART rows, at least a day each."""
    parts: list[Part] = []
    for run in runs:
        first, rows, day = run.first, 0, run.first
        while day <= run.last:
            more = counts.get(day, 0)
            if rows and rows + more > ROWS_A_PART:
                parts.append(Part(first, day - ONE_DAY))
                first, rows = day, 0
            rows += more
            day += ONE_DAY
        parts.append(Part(first, run.last))
    return parts


def whole_weeks(parts: Sequence[Part]) -> list[Part]:
    """The weeks that hold the days of `parts`, none of them twice."""
    return _each_once(part.whole_weeks() for part in parts)


def whole_months(parts: Iterable[Part], until: date) -> list[Part]:
    """The months that hold the days of `parts`, and the next ones that they reach; complete on `until`, none twice."""
    last_complete = months_on(until + ONE_DAY, 0) - ONE_DAY
    months = _each_once(
        Part(months_on(part.first, 0), months_on(part.last, MONTHS_REACHED + 1) - ONE_DAY) for part in parts
    )
    return [replace(part, last=min(part.last, last_complete)) for part in months if part.first <= last_complete]


def months_on(day: date, months: int) -> date:
    """The first day of the month so many months after that of `day`."""
    years, month = divmod(day.month - 1 + months, 12)
    return date(day.year + years, month + 1, 1)


def _each_once(parts: Iterable[Part]) -> list[Part]:
    """The parts in order, without the days that the one before holds too."""
    apart: list[Part] = []
    for part in sorted(parts):
        if apart and part.first <= apart[-1].last:
            if part.last <= apart[-1].last:
                continue
            part = replace(part, first=apart[-1].last + ONE_DAY)
        apart.append(part)
    return apart
