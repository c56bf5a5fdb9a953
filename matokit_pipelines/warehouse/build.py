"""One build: what was touched or changed is derived again, checked, and committed in one transaction.

Not here: opening the file and its lock (connection.py), publishing (publish.py), how one model runs (models.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb

from matokit_pipelines import resources
from matokit_pipelines.errors import CheckFailed
from matokit_pipelines.warehouse import schemas, seeds
from matokit_pipelines.warehouse.checks import CheckResult, run_checks
from matokit_pipelines.warehouse.models import Model, in_order, load_models, run_model, run_parameters
from matokit_pipelines.warehouse.seeds import BuildOptions
from matokit_pipelines.windows import local_date, runs_of_days, zone_named

__all__ = ["BuildOptions", "BuildResult", "build"]

RAW_EVENTS = ("raw.matomo_events", "raw.piwik_pro_events")
MOST_RUNS = 40  # above that many stretches of days, one run over all of them is cheaper
EVIDENCE = "staging.zero_evidence"
MACROS = "macros"  # the name of sql/macros.sql in ledger.model_state

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class BuildResult:
    """What a build did: days derived again (project zone), rows written by model, models derived in full because
    they or what they read had changed, all checks that ran, and whether any row of any table may differ."""

    days: tuple[date, ...]
    rows: dict[str, int]
    rebuilt: tuple[str, ...]
    checks: tuple[CheckResult, ...]
    changed: bool

    @property
    def warnings(self) -> tuple[CheckResult, ...]:
        return tuple(check for check in self.checks if not check.passed)


def build(
    con: duckdb.DuckDBPyConnection,
    *,
    options: BuildOptions,
    now: datetime,
    days: Sequence[date] | None = None,
    full: bool = False,
    sql_root: Path | None = None,
    progress: Progress | None = None,
) -> BuildResult:
    """Derive staging and marts from raw and ledger, and commit.

    The days are those of `ledger.touched_days` and `days` (project zone); `full` derives everything. A model whose
    SQL, description, lists, settings or parents changed is derived in full. `progress` is told (model, number, of).
    Raises CheckFailed when a blocking check fails; then nothing has changed.
    """
    work = _Build(con, options, sql_root or resources.path("sql"), full)
    con.execute("begin transaction")
    try:
        result = work.run(days or (), now, progress)
        con.execute("commit")
    except BaseException:
        with suppress(duckdb.Error):  # a commit that failed on a full disk has rolled back already
            con.execute("rollback")
        raise
    return result


class _Build:
    """The state of one build; its methods run inside the transaction."""

    def __init__(self, con: duckdb.DuckDBPyConnection, options: BuildOptions, root: Path, full: bool) -> None:
        self.con = con
        self.full = full
        self.zone = zone_named(options.project_zone)
        self.models = load_models(root)
        self.ordered = in_order(self.models)
        self.seeds = seeds.load_seeds(root / "seeds", options)
        self.macros = (root / "macros.sql").read_text(encoding="utf-8")
        self.days: set[date] = set()
        self.stale: set[str] = set()
        self.dirty: set[str] = set()
        self.rows: dict[str, int] = {}

    def run(self, days: Iterable[date], now: datetime, progress: Progress | None) -> BuildResult:
        states = self._prepare()
        touched = {row[0] for row in self.con.execute("select distinct event_date from ledger.touched_days").fetchall()}
        self.days = touched | set(days)
        for number, model in enumerate(self.ordered, start=1):
            if progress:
                progress(model.name, number, len(self.ordered))
            self._derive(model)
        checks = self._check()
        if touched:
            self.con.execute("delete from ledger.touched_days")
        self._remember(states, now)
        rebuilt = tuple(model.name for model in self.ordered if model.name in self.stale)
        return BuildResult(tuple(sorted(self.days)), self.rows, rebuilt, checks, bool(self.dirty))

    def _prepare(self) -> dict[str, str]:
        """Make what models stand on, and find the stale ones; returns the states to remember."""
        states = {MACROS: _hash(self.macros)} | state_hashes(self.ordered, self.macros, self.seeds)
        known = dict(self.con.execute("select model, state_hash from ledger.model_state").fetchall())
        schemas.ensure_schemas(self.con)
        seeds.write_seeds(self.con, self.seeds)
        if known.get(MACROS) != states[MACROS]:
            self.con.execute(self.macros)
        schemas.drop_unknown(self.con, self.models)
        made = schemas.ensure_tables(self.con, self.models)
        for model in self.ordered:
            is_other = model.name in made or known.get(model.name) != states[model.name]
            if self.full or is_other or self.stale & set(model.file.reads):
                self.stale.add(model.name)
        return {name: state for name, state in states.items() if known.get(name) != state}

    def _derive(self, model: Model) -> None:
        is_stale = model.name in self.stale
        if model.file.materialisation == "view":
            if is_stale:
                run_model(self.con, model, None, {})
            reads = set(model.file.reads)
            if is_stale or self.dirty & reads or (self.days and reads & set(RAW_EVENTS)):
                self.dirty.add(model.name)  # what it shows may differ now
        elif model.file.materialisation == "incremental":
            if is_stale:
                self.con.execute(f"delete from {model.name}")
            self._derive_days(model, self._all_days() if is_stale else self._runs())
        elif is_stale or self.dirty & set(model.file.reads):
            self._derive_full(model)
        elif any(table.startswith("ledger.") for table in model.file.reads):
            self._derive_if_different(model)

    def _derive_days(self, model: Model, runs: list[tuple[date, date]]) -> None:
        for run in runs:
            written = run_model(self.con, model, run, run_parameters(run, self.zone))
            self.rows[model.name] = self.rows.get(model.name, 0) + written
        if runs or model.name in self.stale:
            self.dirty.add(model.name)

    def _derive_full(self, model: Model) -> None:
        if model.name == EVIDENCE:
            self.con.execute("create or replace temp table evidence_before as from staging.zero_evidence")
        self.rows[model.name] = run_model(self.con, model, None, {})
        self.dirty.add(model.name)
        if model.name == EVIDENCE:
            self.days |= self._days_of_changed_evidence()
            self.con.execute("drop table evidence_before")

    def _derive_if_different(self, model: Model) -> None:
        """A model that follows the ledger: cheap to compute, written only when something differs."""
        columns = ", ".join(column.name for column in model.file.columns)
        self.con.execute(f"create or replace temp table derived_anew as select {columns} from ({model.query}\n)")
        old, new = f"select {columns} from {model.name}", f"select {columns} from derived_anew"
        differing = self.con.execute(
            f"select count(*) from ((({old}) except ({new})) union all (({new}) except ({old})))"
        ).fetchall()[0][0]
        self.con.execute("drop table derived_anew")
        if differing:
            self._derive_full(model)

    def _days_of_changed_evidence(self) -> set[date]:
        """Days that hold values 0 or 1 whose reading changes because the evidence on their key did."""
        found = self.con.execute(
            """
            with changed as (
                select
                    coalesce(now_known.evidence_level, before.evidence_level) as evidence_level,
                    coalesce(now_known.component, before.component) as component,
                    coalesce(now_known.environment, before.environment) as environment,
                    coalesce(now_known.commit_sha, before.commit_sha, '') as commit_key
                from staging.zero_evidence as now_known
                full join evidence_before as before
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

    def _runs(self) -> list[tuple[date, date]]:
        runs = runs_of_days(self.days)
        return runs if len(runs) <= MOST_RUNS else [(runs[0][0], runs[-1][1])]

    def _all_days(self) -> list[tuple[date, date]]:
        """One run over every landed row; none when nothing has landed."""
        edges: list[datetime] = []
        for table in RAW_EVENTS:
            first, last = self.con.execute(f"select min(event_ts), max(event_ts) from {table}").fetchall()[0]
            edges += [first, last] if first is not None else []
        return [(local_date(min(edges), self.zone), local_date(max(edges), self.zone))] if edges else []

    def _check(self) -> tuple[CheckResult, ...]:
        results: list[CheckResult] = []
        for model in self.ordered:
            if model.name not in self.dirty:
                continue
            is_partial = model.file.materialisation == "incremental" and model.name not in self.stale
            days = sorted(self.days)
            results += run_checks(self.con, model, (days[0], days[-1]) if is_partial else None)
        for result in results:
            if not result.passed and result.severity == "fail":
                raise CheckFailed(
                    f'The check "{result.name}" on {result.table} failed for {result.failing_rows} rows'
                    f" ({result.sentence}); nothing was changed, the last good snapshot stays in service."
                    " Run `matokit build --full`, and report it if that fails too."
                )
        return tuple(results)

    def _remember(self, states: Mapping[str, str], now: datetime) -> None:
        if not states:
            return
        names = sorted(states)
        kept = [*self.models, MACROS]
        self.con.execute("delete from ledger.model_state where list_contains(?, model)", [names])
        self.con.execute("delete from ledger.model_state where not list_contains(?, model)", [kept])
        self.con.executemany(
            "insert into ledger.model_state values (?, ?, ?)", [[name, states[name], now] for name in names]
        )


def state_hashes(ordered: Iterable[Model], macros: str, seed_tables: Mapping[str, seeds.Seed]) -> dict[str, str]:
    """For each model a hash of all that decides its rows besides raw and ledger: its own files, the macros, the lists
    and settings it reads, and the same of every model it reads (`ordered` holds parents first)."""
    states: dict[str, str] = {}
    for model in ordered:
        parts = [model.query, model.source, macros]
        for table in sorted(model.file.reads):
            parts.append(table)
            if table in seed_tables:
                parts.append(seed_tables[table].content_hash)
            elif table in states:
                parts.append(states[table])
        states[model.name] = _hash(*parts)
    return states


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
