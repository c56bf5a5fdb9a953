"""How old the tables are against how old they may be: by source, and by table.

Tables of installer events may be as old as the rule data_stale allows; those of web reports twice the time between two
readings, and a quarter of an hour. Not here: the other checks (checks.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from matokit_pipelines import resources
from matokit_pipelines.alerts.content.wording import lasting
from matokit_pipelines.errors import MatokitError
from matokit_pipelines.toolserver.health.shapes import HealthCheck, TableAge, Verdict, stamp
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.upstream import problem_of
from matokit_pipelines.warehouse.serving import Reader

GAPS_OF = timedelta(days=7)
SLACK = timedelta(minutes=15)
WEB_TABLE = "web_"


@dataclass(frozen=True)
class _Found:
    """What is wrong, in words that stand by themselves, and up to when events and web reports tell."""

    faults: tuple[str, ...]
    events_to: datetime | None
    web_to: datetime | None


def warehouse(kit: Kit, now: datetime, *, with_tables: bool) -> HealthCheck:
    """The check of the tables; never raises. Its observed value: seconds that the data of all sources are old."""
    try:
        with kit.snapshots.reading() as reader:
            found = _looked(kit, reader, now)
            rows = dict(reader.manifest.rows)
            generation = reader.manifest.generation
    except MatokitError as error:
        problem = problem_of(error)
        return _check(now, "fail", problem.message)
    faults = list(found.faults)
    if kit.snapshots.trouble:
        faults.insert(0, "what was published last cannot be put in service (the server's log says why)")
    age = None if found.events_to is None else max(0.0, (now - found.events_to).total_seconds())
    told = f"Snapshot {generation} in service"
    if found.events_to is not None:
        told += f", events complete to {stamp(found.events_to)[:16]}Z"
    if found.web_to is not None:
        told += f", web reports as of {stamp(found.web_to)[:16]}Z"
    output = f"{told}{': ' + '; '.join(faults) if faults else ''}."
    tables = list(_tables(kit, now, found, rows)) if with_tables else None
    return _check(now, "warn" if faults else "pass", output, age, tables)


def _check(
    now: datetime, verdict: Verdict, output: str, age: float | None = None, tables: list[TableAge] | None = None
) -> HealthCheck:
    return HealthCheck(
        name="warehouse",
        status=verdict,
        componentType="datastore",
        observedValue=None if age is None else round(age),
        observedUnit=None if age is None else "seconds",
        time=stamp(now),
        output=output,
        tables=tables,
    )


def expected_of_events(kit: Kit) -> timedelta:
    """How old tables of events may be."""
    return timedelta(hours=kit.loaded.settings.alerts.rules.data_stale.after_hours)


def expected_of_web(kit: Kit) -> timedelta:
    """How old tables of web reports may be."""
    return 2 * timedelta(minutes=kit.loaded.settings.web_reports.every_minutes) + SLACK


def _looked(kit: Kit, reader: Reader, now: datetime) -> _Found:
    sources = kit.loaded.settings.sources
    faults: list[str] = []
    if any(source.has_events for source in sources):
        counting = {source.name for source in sources if source.has_events and source.mirror_of is None}
        rows = {row["source"]: row for row in reader.rows(_sql("health_sources"), {"since": now - GAPS_OF})}
        for name in sorted(counting):
            faults += _faults_of_events(name, rows.get(name), now, expected_of_events(kit))
    web_to = None
    with_reports = [source for source in sources if source.has_web_reports]
    if with_reports and reader.has("web_sites"):
        known = {(row["source"], row["site_id"]): row["as_of"] for row in reader.rows(_sql("health_web_sites"))}
        ages = [known.get((source.name, source.site_id)) for source in with_reports]
        web_to = min((at for at in ages if at is not None), default=None)
        for source, as_of in zip(with_reports, ages, strict=True):
            if as_of is None:
                faults.append(f"web reports of {source.name} have not been read to the end yet")
            elif now - as_of > expected_of_web(kit):
                faults.append(f"web reports of {source.name} were last read {lasting(now - as_of)} ago")
    elif with_reports:
        faults.append("the snapshot has no web reports; it was made before they were set up")
    return _Found(tuple(faults), reader.manifest.watermark, web_to)


def _faults_of_events(name: str, row: dict[str, object] | None, now: datetime, expected: timedelta) -> Iterator[str]:
    watermark = row["watermark"] if row else None
    if row is None or not isinstance(watermark, datetime):
        yield f"source {name} was not read yet"
        return
    if now - watermark > expected:
        yield f"source {name} is complete only to {lasting(now - watermark)} ago"
    if row["has_failed"]:
        yield f"the last pass over source {name} failed"
    if gaps := row["recent_gaps"]:
        windows = "1 window" if gaps == 1 else f"{gaps} windows"
        yield f"{windows} of source {name} in the last {GAPS_OF.days} days {'does' if gaps == 1 else 'do'} not add up"


def _tables(kit: Kit, now: datetime, found: _Found, rows: dict[str, int]) -> Iterator[TableAge]:
    """Every table that a source is set up for; the others are empty for good."""
    sources = kit.loaded.settings.sources
    has_events, has_web = any(s.has_events for s in sources), any(s.has_web_reports for s in sources)
    for name in sorted(rows):
        is_web = name.startswith(WEB_TABLE)
        if not (has_web if is_web else has_events):
            continue
        as_of = found.web_to if is_web else found.events_to
        expected = expected_of_web(kit) if is_web else expected_of_events(kit)
        yield TableAge(
            name=name,
            rows=rows[name],
            as_of=stamp(as_of) if as_of else None,
            ageSeconds=round((now - as_of).total_seconds()) if as_of else None,
            expectedSeconds=round(expected.total_seconds()),
            status="pass" if as_of and now - as_of <= expected else "warn",
        )


@cache
def _sql(name: str) -> str:
    return (resources.path("sql") / "tools" / f"{name}.sql").read_text(encoding="utf-8")
