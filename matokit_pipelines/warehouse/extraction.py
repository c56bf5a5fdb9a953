"""One pass over one source: reading the windows that are due, landing them, holding closed days against reports.

Interrupted anywhere, the next pass goes on. Not here: which windows are due (planning.py), how a source is asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import (
    AccessRefused,
    CredentialsRefused,
    MatokitError,
    SettingsError,
    SourceError,
    SourceMissing,
)
from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.sources.matomo import Dimension, MatomoClient, Page
from matokit_pipelines.sources.matomo_visits import Reading, read_visits
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse.landing import Landed, SourceKey, land, transaction
from matokit_pipelines.warehouse.ledger import Reconciled
from matokit_pipelines.warehouse.planning import (
    READ_AGAIN,
    RECONCILED_DAYS,
    Step,
    asked,
    days_to_reconcile,
    plan,
    stretches,
    verdict_of,
)
from matokit_pipelines.windows import ONE_DAY, Window, day_window, each_day, local_date, start_of_day

REPORT_DAYS_AT_ONCE = 31
WAIT_AFTER_REFUSAL = timedelta(hours=1)
DEFAULT_HISTORY_DAYS = 90

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PassResult:
    """What one pass over one source did. `error`: why it ended early; everything landed before it is kept.

    `truncated`: withheld actions that no pass before knew of.
    """

    source: str
    windows: int = 0
    received: int = 0
    landed: int = 0
    inserted: int = 0
    changed: int = 0
    vanished: int = 0
    quarantined: int = 0
    truncated: int = 0
    differing_days: tuple[date, ...] = ()
    requests: int = 0
    watermark: datetime | None = None
    error: MatokitError | None = None


def fingerprint(token: str) -> str:
    """A token's fingerprint: enough to see that it is the same again, not enough to use it."""
    return hashlib.sha256(f"matokit:{token}".encode()).hexdigest()[:12]


def _without_access(credentials: str) -> str:
    """How the ledger keeps a good token that may not view the site."""
    return f"access:{credentials}"


class MatomoPass:
    """One pass over one Matomo source, inside an open warehouse."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        client: MatomoClient,
        source: SourceSettings,
        token: str,
        *,
        project_zone: str,
        clock: Clock,
        progress: Progress | None = None,
    ) -> None:
        self._connection = connection
        self._client = client
        self._source = source
        self._key = SourceKey(source.name, source.site_id)
        self._dimensions: dict[str, int] = {str(meaning): number for meaning, number in source.dimensions.items()}
        self._mapping = json.dumps(self._dimensions, sort_keys=True)
        self._credentials = fingerprint(token)
        self._project_zone = project_zone
        self._clock = clock
        self._progress = progress or (lambda label, done, total: None)
        self._result = PassResult(source.name)

    def run(self, days: tuple[date, date] | None = None) -> PassResult:
        """Read what is due, or the whole site-days `days`. A source's refusal ends up in the result, not raised."""
        try:
            self._hold_back_refused()
            zone, hidden = self._meet()
            since = self._since(zone)
            steps = self._steps(zone, since, days)
            for number, step in enumerate(steps):
                self._progress(step.label, number, len(steps))
                started = self._clock.now()
                self._read(step, zone, hidden)
                self._advance(zone, since, started)
            if not days:
                ledger.note_dimensions(self._connection, self._source.name, self._mapping)
            self._reconcile(zone, hidden, since, days)
            self._progress("", len(steps), len(steps))
        except (SourceError, SettingsError) as error:  # the other sources are still read
            self._note(error)
        state = ledger.state(self._connection, self._source.name)
        return replace(self._result, requests=self._client.requests_made, watermark=state.watermark if state else None)

    # -- meeting the source -------------------------------------------------------------------------------------

    def _hold_back_refused(self) -> None:
        known = ledger.state(self._connection, self._source.name)
        if known and known.refused_credentials == _without_access(self._credentials):
            self._client.check_access()  # asking for the site itself would be one more failed log-in each pass
        if not known or not known.refused_at or known.refused_credentials != self._credentials:
            return
        again = known.refused_at + WAIT_AFTER_REFUSAL
        if self._clock.now() < again:
            raise CredentialsRefused(
                f"The token of source {self._source.name} was refused at {known.refused_at:%H:%M} UTC and is not tried "
                f"again before {again:%H:%M} UTC, so that the server does not lock this address out; put a valid one "
                f"into {self._source.token_variable}, which is tried at once."
            )

    def _meet(self) -> tuple[ZoneInfo, str]:
        """The site's zone, and the names of columns not wanted; refuses another site under a known name."""
        try:
            site = self._client.site()
        except CredentialsRefused:
            self._note_refused(self._credentials)
            raise
        except AccessRefused:
            self._note_refused(_without_access(self._credentials))
            raise
        hidden = check_dimensions(self._source, self._client.dimensions())
        with transaction(self._connection):
            ledger.introduce(self._connection, self._key, self._source.kind, site.zone.key, self._source.url)
        return site.zone, hidden

    def _note_refused(self, credentials: str) -> None:
        with transaction(self._connection):
            if ledger.state(self._connection, self._source.name) is None:
                ledger.introduce(self._connection, self._key, self._source.kind, "UTC", self._source.url)
            ledger.note_refusal(self._connection, self._source.name, credentials, self._clock.now())

    def _since(self, zone: ZoneInfo) -> datetime:
        """From when on the source is read: its start_date, else 90 days before its first pass."""
        if self._source.start_date:
            return start_of_day(self._source.start_date, zone)
        known = ledger.proven_windows(self._connection, self._source.name, self._clock.now())
        if known:
            return start_of_day(local_date(min(window.start for window in known), zone), zone)
        return start_of_day(local_date(self._clock.now(), zone) - DEFAULT_HISTORY_DAYS * ONE_DAY, zone)

    def _steps(self, zone: ZoneInfo, since: datetime, days: tuple[date, date] | None) -> list[Step]:
        now = self._clock.now()
        if days:
            return asked(*days, now=now, zone=zone)
        name = self._source.name
        known = ledger.state(self._connection, name)
        covered = []
        if known and known.dimensions in (None, self._mapping):  # else all carries other meanings and is read again
            covered += ledger.proven_windows(self._connection, name, now)
            covered += ledger.given_up_windows(self._connection, name, now)
        return plan(
            covered,
            since=since,
            now=now,
            zone=zone,
            looked_back_at=ledger.last_reading(self._connection, name, ("look_back",), now)
            or ledger.first_reading(self._connection, name),
        )

    # -- reading ------------------------------------------------------------------------------------------------

    def _read(self, step: Step, zone: ZoneInfo, hidden: str) -> None:
        """Read and land one window. What a broken reading gave is landed too, but proves nothing."""
        started = self._clock.now()
        reading = Reading()
        failure: SourceError | None = None
        try:
            for page in self._pages(step, zone, hidden):
                read_visits(page, zone, self._dimensions, reading)
        except SourceError as error:
            failure = error
        gone, detail = self._absence(step, reading, started)
        with transaction(self._connection):
            now = self._clock.now()
            landed = land(
                self._connection, self._key, reading, gone=None if failure else gone,
                site_zone=zone.key, project_zone=self._project_zone, now=now,
            )  # fmt: skip
            whole = failure is None and detail is None
            ledger.note_window(
                self._connection, self._key, Window(step.window.start, step.window.end), landed,
                tier=step.tier, zone=zone.key, proof="drained" if whole else "none",
                status=("complete_with_loss" if landed.truncated else "complete") if whole else "incomplete",
                detail=str(failure) if failure else detail, started=started, finished=now,
            )  # fmt: skip
        self._add(landed)
        if failure:
            raise failure

    def _pages(self, step: Step, zone: ZoneInfo, hidden: str) -> Iterable[Page]:
        if step.day:
            return self._client.visits_of_day(step.day, zone, hidden)
        return self._client.visits_since(step.window.start, hidden)

    def _absence(self, step: Step, reading: Reading, now: datetime) -> tuple[Window | None, str | None]:
        """In which window a stored row that was not received is gone; or why nothing can be said of it."""
        if step.window.start < now - timedelta(days=self._source.retention_days):
            return None, None
        if reading.received:
            return step.window, None
        if not step.day:
            return None, None  # nothing at all is no proof that what was landed is gone
        stored, _ = ledger.extracted_on(self._connection, self._key, step.window, step.day)
        return None, "the server gives no visits of this day any more; what was landed is kept" if stored else None

    def _add(self, landed: Landed) -> None:
        r = self._result
        self._result = replace(
            r, windows=r.windows + 1, received=r.received + landed.received, landed=r.landed + landed.landed,
            inserted=r.inserted + landed.inserted, changed=r.changed + landed.changed,
            vanished=r.vanished + landed.vanished, quarantined=r.quarantined + landed.quarantined,
            truncated=r.truncated + landed.newly_truncated,
        )  # fmt: skip

    def _advance(self, zone: ZoneInfo, since: datetime, started: datetime) -> None:
        """Move the watermark. `started`: when the last reading began; what came during it may be in it or not."""
        final = start_of_day(local_date(started, zone) - RECONCILED_DAYS * ONE_DAY, zone)
        with transaction(self._connection):
            ledger.advance(self._connection, self._source.name, since=since, read_at=started, final_before=final)

    def _note(self, error: MatokitError) -> None:
        self._result = replace(self._result, error=error)
        with transaction(self._connection):
            ledger.note_error(self._connection, self._source.name, str(error), self._clock.now())

    # -- reconciling --------------------------------------------------------------------------------------------

    def _reconcile(self, zone: ZoneInfo, hidden: str, since: datetime, days: tuple[date, date] | None) -> None:
        """Hold closed days against the source's own report; read a day again on which the report counts more."""
        due = days_to_reconcile(
            ledger.reconciled(self._connection, self._source.name),
            since=since, now=self._clock.now(), zone=zone, asked_days=days,
        )  # fmt: skip
        differing = []
        for first, last in stretches(due, REPORT_DAYS_AT_ONCE):
            reported = self._client.events_reported(first, last)
            for day in each_day(first, last):
                if self._compare(day, reported.get(day, 0), zone) in READ_AGAIN:
                    self._read(Step("reconcile", day_window(day, zone), day), zone, hidden)
                    if self._compare(day, reported.get(day, 0), zone, again=True) == "differs":
                        differing.append(day)
        self._result = replace(self._result, differing_days=tuple(differing))

    def _compare(self, day: date, reported: int, zone: ZoneInfo, *, again: bool = False) -> str:
        extracted, cut = ledger.extracted_on(self._connection, self._key, day_window(day, zone), day)
        known = ledger.reconciled(self._connection, self._source.name).get(day)
        entry = Reconciled(
            day, reported, extracted, cut, verdict_of(reported, extracted, cut),
            (known.reads if known else 0) + again, self._clock.now(),
        )  # fmt: skip
        with transaction(self._connection):
            ledger.note_reconciled(self._connection, self._key, entry)
            if entry.verdict == "equal":
                ledger.confirm_window(self._connection, self._key, day_window(day, zone), reported)
        return entry.verdict


def check_dimensions(source: SourceSettings, configured: Sequence[Dimension]) -> str:
    """Hold the settings against what the site has; gives the columns that are not to be sent, comma separated.

    SourceMissing names a dimension that the site does not have, or no longer records. Dimensions that nobody asked
    for stay unread: one of them held whole error outputs with names and paths of users.
    """
    active = {d.number: d for d in configured if d.active and d.scope == "action"}
    for meaning, number in sorted(source.dimensions.items()):
        if number not in active:
            has = ", ".join(f"{d.number} ({d.name})" for d in sorted(active.values(), key=lambda d: d.number)) or "none"
            raise SourceMissing(
                f"Source {source.name} has no active custom dimension {number} of scope action for {meaning}; "
                f"it has {has}: correct dimensions.{meaning} in the settings."
            )
    unwanted = sorted(set(active) - set(source.dimensions.values()))
    return ",".join([f"dimension{number}" for number in unwanted] + ["url", "title", "subtitle", "icon", "iconSVG"])
