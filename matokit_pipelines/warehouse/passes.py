"""What a pass over any source shares: its result, credentials that were refused, errors that are noted, its requests.

Not here: what is read of which kind of source (matomo_pass.py, piwik_pro_pass.py).
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import AccessRefused, CredentialsRefused, MatokitError, SettingsError, SourceError
from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse.landing import Landed, SourceKey, transaction
from matokit_pipelines.windows import ONE_DAY, local_date, start_of_day

WAIT_AFTER_REFUSAL = timedelta(hours=1)
DEFAULT_HISTORY_DAYS = 90

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PassResult:
    """What one pass over one source did. `error`: why it ended early; everything landed before it is kept.

    `truncated`: withheld actions that no pass before knew of. `unproven`: windows that did not add up. `what` was
    read: events, or web reports, whose windows are periods and whose watermark is not the product's.
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
    unproven: int = 0
    differing_days: tuple[date, ...] = ()
    requests: int = 0
    bytes_received: int = 0
    watermark: datetime | None = None
    error: MatokitError | None = None
    what: str = "events"


def fingerprint(secret: str) -> str:
    """A secret's fingerprint: enough to see that it is the same again, not enough to use it."""
    return hashlib.sha256(f"matokit:{secret}".encode()).hexdigest()[:12]


def without_access(credentials: str) -> str:
    """How the ledger keeps good credentials that may not view the site."""
    return f"access:{credentials}"


def hold_back(source: SourceSettings, refused_at: datetime | None, now: datetime) -> None:
    """CredentialsRefused while credentials that were refused at `refused_at` are not to be tried again."""
    if refused_at is None or now >= (again := refused_at + WAIT_AFTER_REFUSAL):
        return
    raise CredentialsRefused(
        f"The {source.secret_name} of source {source.name} was refused at {refused_at:%H:%M} UTC and is not tried "
        f"again before {again:%H:%M} UTC, so that the server does not lock this address out; put a valid one into "
        f"{' and '.join(source.secret_variables)}, which is tried at once."
    )


class SourcePass(ABC):
    """One pass over one source, inside an open warehouse. `secret`: what is refused when the source refuses us."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        source: SourceSettings,
        secret: str,
        *,
        project_zone: str,
        clock: Clock,
        progress: Progress | None = None,
    ) -> None:
        self._connection = connection
        self._source = source
        self._key = SourceKey(source.name, source.site_id)
        self._credentials = fingerprint(secret)
        self._project_zone = project_zone
        self._clock = clock
        self._progress = progress or (lambda label, done, total: None)
        self._result = PassResult(source.name)

    def run(self, days: tuple[date, date] | None = None) -> PassResult:
        """Read what is due, or the whole site-days `days`. A source's refusal ends up in the result, not raised."""
        started = self._clock.now()
        try:
            self._hold_back_refused()
            self._read_all(days)
        except (SourceError, SettingsError) as error:  # the other sources are still read
            self._note_error(error)
        state = ledger.state(self._connection, self._source.name)
        requests, received = self._traffic()
        result = replace(
            self._result, requests=requests, bytes_received=received, watermark=state.watermark if state else None
        )
        with transaction(self._connection):
            ledger.note_pass(self._connection, self._key, started, self._clock.now(), result.requests, received)
        self._result = result
        return result

    @abstractmethod
    def _read_all(self, days: tuple[date, date] | None) -> None:
        """Meet the source, read what is due and land it, compare with the source's own report."""

    @abstractmethod
    def _advance(self, zone: ZoneInfo, since: datetime, started: datetime) -> None:
        """Move the watermark to what is proven. `started`: when the reading began that ended just now."""

    @abstractmethod
    def _traffic(self) -> tuple[int, int]:
        """Requests made and bytes received so far."""

    @abstractmethod
    def _check_access(self) -> None:
        """Raise AccessRefused when the credentials are good and may still not view the site."""

    @property
    def _mapping(self) -> str:
        """Which dimension carries what, in one comparable text."""
        return json.dumps({str(meaning): number for meaning, number in self._source.dimensions.items()}, sort_keys=True)

    def _hold_back_refused(self) -> None:
        known = ledger.state(self._connection, self._source.name)
        if known and known.refused_credentials == without_access(self._credentials):
            self._check_access()  # asking for the site itself may count as one more failed log-in each pass
        if known and known.refused_credentials == self._credentials:
            hold_back(self._source, known.refused_at, self._clock.now())

    def _note_refused(self, error: CredentialsRefused | AccessRefused) -> None:
        kept = self._credentials if isinstance(error, CredentialsRefused) else without_access(self._credentials)
        with transaction(self._connection):
            if ledger.state(self._connection, self._source.name) is None:
                self._introduce("UTC")
            ledger.note_refusal(self._connection, self._source.name, kept, self._clock.now())

    def _introduce(self, zone: str) -> None:
        """Meet the source under its name; refuses another site or zone than before. Call inside a transaction."""
        ledger.introduce(self._connection, self._key, self._source.kind, zone, self._source.url, self._source.mirror_of)

    def _since(self, zone: ZoneInfo) -> datetime:
        """From when on the source is read: its start_date, else 90 days before its first pass."""
        today = local_date(self._clock.now(), zone)
        if self._source.start_date:
            if self._source.start_date > today:
                raise SettingsError(
                    f"The start_date of source {self._source.name}, {self._source.start_date}, is still to come; "
                    "correct it."
                )
            return start_of_day(self._source.start_date, zone)
        otherwise = start_of_day(today - DEFAULT_HISTORY_DAYS * ONE_DAY, zone)
        return ledger.read_since(self._connection, self._key, otherwise)

    def _add(self, landed: Landed) -> None:
        r = self._result
        self._result = replace(
            r, windows=r.windows + 1, received=r.received + landed.received, landed=r.landed + landed.landed,
            inserted=r.inserted + landed.inserted, changed=r.changed + landed.changed,
            vanished=r.vanished + landed.vanished, quarantined=r.quarantined + landed.quarantined,
            truncated=r.truncated + landed.newly_truncated,
        )  # fmt: skip

    def _note_error(self, error: MatokitError) -> None:
        self._result = replace(self._result, error=error)
        with transaction(self._connection):
            ledger.note_error(self._connection, self._source.name, str(error), self._clock.now())
