"""One build: what was touched or changed is derived again, checked, and committed in one transaction.

Not here: opening the file and its lock (connection.py), publishing (publish.py), how one model runs (models.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb

from matokit_pipelines import resources
from matokit_pipelines.errors import CheckFailed
from matokit_pipelines.warehouse import schemas, seeds
from matokit_pipelines.warehouse import touched as touched_by
from matokit_pipelines.warehouse.checks import CheckResult, run_checks
from matokit_pipelines.warehouse.models import CUBE, Model, Part, in_order, load_models, run_model
from matokit_pipelines.warehouse.seeds import BuildOptions
from matokit_pipelines.windows import ONE_DAY, zone_named

__all__ = ["BuildOptions", "BuildResult", "build"]

CHECKS, COMMIT = "checks", "commit"  # what progress is told after the models
MACROS = "macros"  # the name of sql/macros.sql in ledger.model_state
PRODUCT_DAY = "staging.product_day"

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
    SQL, description, lists, settings or parents changed is derived in full. `progress` is told (model, number, of),
    then of checks and of the commit.
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
        self.commits: set[str] = set()
        self.stale: set[str] = set()
        self.dirty: set[str] = set()
        self.parts: dict[str, list[Part]] = {}
        self.web: list[Part] = []
        self.completed: list[Part] = []  # days that are complete now and were not before, or the other way round
        self.rows: dict[str, int] = {}
        self._every_day: list[Part] | None = None

    def run(self, days: Iterable[date], now: datetime, progress: Progress | None) -> BuildResult:
        states = self._prepare()
        touched = {row[0] for row in self.con.execute("select distinct event_date from ledger.touched_days").fetchall()}
        self.days = touched | set(days)
        self.web = self._web_parts()
        tell = progress or (lambda *_: None)
        steps = len(self.ordered) + 2
        for number, model in enumerate(self.ordered, start=1):
            tell(model.name, number, steps)
            self._derive(model)
        tell(CHECKS, steps - 1, steps)
        checks = self._check()
        if touched:
            self.con.execute("delete from ledger.touched_days")
        if self.commits:
            touched_by.note_commits(self.con, [])
        if self.web:
            self.con.execute("delete from ledger.touched_web")
        self._remember(states, now)
        tell(COMMIT, steps, steps)
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

    def _web_parts(self) -> list[Part]:
        """The periods of web reports to derive: those touched, or all where a model of them is stale."""
        if any(self.models[name].file.by == "web_period" for name in self.stale):
            touched_by.touch_all_web(self.con)
        return touched_by.web_parts(self.con)

    def _derive(self, model: Model) -> None:
        is_stale = model.name in self.stale
        if model.file.materialisation == "view":
            if is_stale:
                run_model(self.con, model, None, self.zone)
            reads = set(model.file.reads)
            if is_stale or self.dirty & reads or (self.days and reads & set(touched_by.RAW_EVENTS)):
                self.dirty.add(model.name)  # what it shows may differ now
        elif model.file.materialisation == "incremental":
            self._derive_parts(model)
        elif is_stale or (self.dirty & set(model.file.reads) and self._is_reached(model)):
            self._derive_full(model)
        elif any(table.startswith("ledger.") for table in model.file.reads):
            self._derive_if_different(model)

    def _derive_parts(self, model: Model) -> None:
        if model.name in self.stale:
            schemas.make_empty(self.con, model)
        if model.name == CUBE:
            self.commits |= touched_by.commits_on(self.con, self._day_parts())
        written, parts = 0, []
        for part in self._parts_of(model):
            written += run_model(self.con, model, part, self.zone)
            parts.append(part)
        if model.name == CUBE:
            self.commits |= self._commits_of_cube()
        if parts or model.name in self.stale:
            self.parts[model.name] = parts
            self.rows[model.name] = written
            self.dirty.add(model.name)

    def _commits_of_cube(self) -> set[str]:
        by_commit = [model.name for model in self.ordered if model.file.by == "commit"]
        if self.stale & {CUBE, *by_commit}:
            return touched_by.all_commits(self.con, [CUBE, *by_commit])
        return touched_by.commits_on(self.con, self._day_parts())

    def _parts_of(self, model: Model) -> Iterator[Part]:
        """What of an incremental model is to be derived, piece by piece."""
        if model.file.by == "web_period":
            yield from self.web
            return
        if model.file.by == "commit":
            for commits, part in touched_by.commit_parts(self.con, self.commits):
                touched_by.note_commits(self.con, commits)
                yield part
            return
        days = self._whole() if model.name in self.stale else self._day_parts(model.file.reaches_days)
        if model.file.by == "month":
            yield from self._month_parts(days)
        else:
            yield from touched_by.whole_weeks(days) if model.file.by == "week" else days

    def _month_parts(self, days: Iterable[Part]) -> list[Part]:
        """The complete months of these days and of those that completed now; a running month has no rows."""
        until = [day for day in (self._last_complete_day(), *(part.last for part in self.completed)) if day]
        return touched_by.whole_months([*days, *self.completed], max(until)) if until else []

    def _last_complete_day(self) -> date | None:
        found: date | None = self.con.execute(f"select max(last_complete_day) from {PRODUCT_DAY}").fetchall()[0][0]
        return found

    def _note_completed(self, before: date | None) -> None:
        """Keep between which days the last complete one moved; all days too when there was none or is none."""
        last = self._last_complete_day()
        if before != last:
            known = [day for day in (before, last) if day]
            self.completed = [Part(min(known), max(known)), *(self._whole() if len(known) == 1 else [])]

    def _day_parts(self, reaching: int = 0) -> list[Part]:
        """The touched days, with so many days after each that there are events on."""
        days = touched_by.with_days_after(self.con, self.days, reaching) if reaching else self.days
        return touched_by.of_days(self.con, days)

    def _whole(self) -> list[Part]:
        if self._every_day is None:
            self._every_day = touched_by.every_day(self.con)
        return self._every_day

    def _is_reached(self, model: Model) -> bool:
        """Whether a model that shows the last days only is reached by what changed."""
        if model.file.window_days is None:
            return True
        changed = self.dirty & set(model.file.reads)
        if any(name in self.stale or self.models[name].file.materialisation == "full" for name in changed):
            return True
        last = self._last_complete_day()
        return last is not None and any(last - model.file.window_days * ONE_DAY < day <= last for day in self.days)

    def _derive_full(self, model: Model) -> None:
        tells = model.name in (touched_by.EVIDENCE, touched_by.BASELINES)
        if tells:
            touched_by.keep_before(self.con, model.name)
        before = self._last_complete_day() if model.name == PRODUCT_DAY else None
        self.rows[model.name] = run_model(self.con, model, None, self.zone)
        self.dirty.add(model.name)
        if model.name == PRODUCT_DAY:
            self._note_completed(before)
        if model.name == touched_by.EVIDENCE:
            self.days |= touched_by.days_of_changed_evidence(self.con)
        if model.name == touched_by.BASELINES:
            self.commits |= touched_by.commits_compared_anew(self.con, self._day_parts())
        if tells:
            self.con.execute("drop table derived_before")

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

    def _check(self) -> tuple[CheckResult, ...]:
        results: list[CheckResult] = []
        for model in self.ordered:
            if model.name in self.dirty:
                results += run_checks(self.con, model, self._checked(model), self.zone)
        for result in results:
            if not result.passed and result.severity == "fail":
                raise CheckFailed(
                    f'The check "{result.name}" on {result.table} failed for {result.failing_rows} rows'
                    f" ({result.sentence}); nothing was changed, the last good snapshot stays in service."
                    " Run `matokit build --full`, and report it if that fails too."
                )
        return tuple(results)

    def _checked(self, model: Model) -> list[Part] | None:
        """The parts of an incremental model that were derived; None for one that was derived whole."""
        if model.file.materialisation != "incremental":
            return None
        if model.file.by in ("commit", "web_period"):  # few rows, so all of them
            return None
        return self.parts[model.name]

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
        parts = [model.code, macros]
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
