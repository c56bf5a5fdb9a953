"""Whether a refresh would do anything: asked every few minutes, cheaply, so that quiet hours cost no run.

Due is what the home itself says (events landed and not derived, other settings or tables, a snapshot that is missing
or behind) or what a source holds. Not here: how a source is asked (questions.py), doing what is due (refresh.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import duckdb

from matokit_pipelines import __version__, resources
from matokit_pipelines.errors import NothingPublished, SnapshotDamaged, WarehouseLocked
from matokit_pipelines.settings import NO_SOURCE, Loaded, SourceSettings
from matokit_pipelines.sources.piwik_pro import PiwikProClient
from matokit_pipelines.warehouse import ledger, refresh, web_facts, web_ledger
from matokit_pipelines.warehouse.build import state_hashes
from matokit_pipelines.warehouse.connection import Warehouse
from matokit_pipelines.warehouse.models import in_order, load_models
from matokit_pipelines.warehouse.questions import MatomoQuestion, PiwikProQuestion, Question
from matokit_pipelines.warehouse.refresh import Home, rule_version
from matokit_pipelines.warehouse.seeds import load_seeds
from matokit_pipelines.warehouse.snapshots import Manifest, open_current
from matokit_pipelines.windows import local_date

BEHIND = timedelta(hours=1)  # how much less than the ledger the snapshot in service may say it is complete to
SECONDS = 30.0  # for the answers of all sources together: a schedule's tick has 60
LONGEST_ANSWER = 5.0
REQUESTS = 4  # a token and an answer; twice that when a token has just run out


@dataclass(frozen=True)
class Due:
    """Whether a refresh is due, and why, or why not, in one sentence.

    complete_to: the time up to which everything is landed and derived, known where no refresh is due; UTC.
    """

    is_due: bool
    reason: str
    complete_to: datetime | None = None


def probe(home: Home) -> Due:
    """Ask each source whether it holds anything new, unless the home itself says that a refresh is due.

    Two small requests a source at most in the common case, each bounded in time. A source with nothing new is noted
    as read, and its watermark moves on; one that refuses is noted, and is no reason for a refresh. Another process at
    work makes nothing due. Raises what the warehouse raises when it cannot be used, SettingsError for settings that
    a refresh would refuse.
    """
    sources = home.loaded.settings.sources
    if not sources:
        return Due(False, NO_SOURCE)
    warehouse = Warehouse(home.loaded.home, home.clock, wait_seconds=0)
    if not warehouse.path.exists():
        return Due(True, "Nothing was read yet.")
    try:
        with warehouse.writer() as connection:
            return _asked(home, connection, sources)
    except WarehouseLocked:
        return Due(False, "Another process is writing to the warehouse; the next tick asks again.")


def _asked(home: Home, connection: duckdb.DuckDBPyConnection, sources: Sequence[SourceSettings]) -> Due:
    ledger.project_zone(connection, home.zone_name)
    if reason := _due_by_tables(home, connection) or _due_by_snapshot(home, connection):
        return Due(True, reason)
    troubles = []
    of_events = [source for source in sources if source.has_events]
    for source in of_events:
        question, error = ask(home, connection, source, len(of_events))
        if question.finding:
            return Due(True, f"Source {source.name} {question.finding}.")
        if error:
            troubles.append(error)
    for source in sources:
        if source.has_web_reports and web_facts.is_due(
            connection, source, home.loaded.settings.web_reports, home.clock
        ):
            return Due(True, f"Web reports of source {source.name} are due.")
    if reason := _due_by_snapshot(home, connection):  # the answers may have moved the watermark
        return Due(True, reason)
    return Due(False, " ".join(troubles) or "No source holds anything new.", _watermark(connection))


def ask(
    home: Home, connection: duckdb.DuckDBPyConnection, source: SourceSettings, sources: int
) -> tuple[Question, str | None]:
    """A question that was asked, and the sentence of a source that refused."""
    hurried = _hurried(home.loaded, sources)
    secret = "\n".join(hurried.credentials(source))
    client = (
        refresh.piwik_pro_client_for(hurried, source, home.clock)
        if source.kind == "piwik_pro"
        else refresh.matomo_client_for(hurried, source, home.clock)
    )
    try:
        question: Question
        if isinstance(client, PiwikProClient):
            question = PiwikProQuestion(
                connection, client, source, secret, project_zone=home.zone_name, clock=home.clock
            )
        else:
            question = MatomoQuestion(connection, client, source, secret, project_zone=home.zone_name, clock=home.clock)
        error = question.run().error
        return question, str(error) if error else None
    finally:
        client.close()


def _hurried(loaded: Loaded, sources: int) -> Loaded:
    """The settings with less patience: the next tick asks again, and a pass has all of it."""
    patience = loaded.settings.http
    seconds = min(LONGEST_ANSWER, SECONDS / (2 * sources))
    hurry = patience.model_copy(
        update={
            "connect_timeout": min(patience.connect_timeout, seconds),
            "read_timeout": min(patience.read_timeout, seconds),
            "attempts": 1,
            "requests": REQUESTS,
        }
    )
    return replace(loaded, settings=loaded.settings.model_copy(update={"http": hurry}))


def _due_by_tables(home: Home, connection: duckdb.DuckDBPyConnection) -> str | None:
    """Why a build is due, whatever the sources hold."""
    if connection.execute("select 1 from ledger.touched_days limit 1").fetchall():
        return "Events were landed and not derived yet."
    if web_ledger.is_touched(connection):
        return "Web reports were landed and not derived yet."
    root = resources.path("sql")
    models = load_models(root)
    lists = load_seeds(root / "seeds", refresh.build_options(home.loaded))
    macros = (root / "macros.sql").read_text(encoding="utf-8")
    wanted = state_hashes(in_order(models), macros, lists)
    known = dict(connection.execute("select model, state_hash from ledger.model_state").fetchall())
    if any(known.get(model) != state for model, state in wanted.items()):
        return "Settings or tables are other ones than those the marts were derived with."
    return None


def _due_by_snapshot(home: Home, connection: duckdb.DuckDBPyConnection) -> str | None:
    """Why publishing is due: the snapshot in service is missing, made by other rules, or tells of too little."""
    published = _published(home)
    if published is None:
        return "There is no snapshot to read."
    made_by = (published.code_version, published.rule_version, published.project_zone)
    if made_by != (__version__, rule_version(connection), home.zone_name):
        return "The snapshot was made by another version or other rules."
    mark, shown = _watermark(connection), published.watermark
    if mark is None:
        return None
    if shown is None or mark - shown > BEHIND:
        return "The snapshot says less than is known to be complete."
    zone = home.loaded.settings.project.zone
    if local_date(mark, zone) > local_date(shown, zone):
        return f"{local_date(shown, zone)} is complete."
    return None


def _watermark(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    mark: datetime | None = connection.execute("select watermark from ledger.product_watermark").fetchall()[0][0]
    return None if mark is None else mark.astimezone(UTC)


def _published(home: Home) -> Manifest | None:
    try:
        with open_current(home.loaded.home) as snapshot:
            return snapshot.manifest
    except (NothingPublished, SnapshotDamaged):
        return None
