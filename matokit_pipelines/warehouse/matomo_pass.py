"""One pass over one source: reading the windows that are due, landing them, holding closed days against reports.

Interrupted anywhere, the next pass goes on. Not here: which windows are due (planning.py), how a source is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import (
    AccessRefused,
    CredentialsRefused,
    SourceError,
    SourceMissing,
)
from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.sources.matomo import MatomoClient
from matokit_pipelines.sources.matomo_pages import Page
from matokit_pipelines.sources.sites import Dimension
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse.landing import transaction
from matokit_pipelines.warehouse.ledger import Reconciled
from matokit_pipelines.warehouse.matomo_landing import Place, WindowLanding
from matokit_pipelines.warehouse.matomo_pages import PageReader
from matokit_pipelines.warehouse.passes import Progress, SourcePass
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
PART_BYTES = 40_000_000  # of pages read at once: what planning a statement costs is paid once for all of them
ROWS_AT_ONCE = 150_000  # landed at once: above 122,880 DuckDB writes whole groups of rows, and each of them only once


class MatomoPass(SourcePass):
    """One pass over one Matomo source, inside an open warehouse."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        client: MatomoClient,
        source: SourceSettings,
        secret: str,
        *,
        project_zone: str,
        clock: Clock,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(connection, source, secret, project_zone=project_zone, clock=clock, progress=progress)
        self._client = client
        self._dimensions: dict[str, int] = {str(meaning): number for meaning, number in source.dimensions.items()}

    def _read_all(self, days: tuple[date, date] | None) -> None:
        zone, hidden = self._meet()
        since = self._since(zone)
        steps = self._steps(zone, since, days)
        for number, step in enumerate(steps):
            self._progress(step.label, number, len(steps))
            started = self._clock.now()
            self._read(step, zone, hidden)
            self._advance(zone, since, started)
        self._reconcile(zone, hidden, since, days)
        self._progress("", len(steps), len(steps))

    def _traffic(self) -> tuple[int, int]:
        return self._client.requests_made, self._client.bytes_received

    def _check_access(self) -> None:
        self._client.check_access()

    # -- meeting the source -------------------------------------------------------------------------------------

    def _meet(self) -> tuple[ZoneInfo, str]:
        """The site's zone, and the names of columns not wanted; refuses another site under a known name."""
        try:
            site = self._client.site()
        except (CredentialsRefused, AccessRefused) as error:
            self._note_refused(error)
            raise
        hidden = check_dimensions(self._source, self._client.dimensions())
        with transaction(self._connection):
            self._introduce(site.zone.key)
        return site.zone, hidden

    def _steps(self, zone: ZoneInfo, since: datetime, days: tuple[date, date] | None) -> list[Step]:
        now = self._clock.now()
        if days:
            return asked(*days, now=now, zone=zone)
        name = self._source.name
        # what was read when the dimensions carried something else is read again
        covered = ledger.proven_windows(self._connection, name, now, self._mapping)
        covered += ledger.given_up_windows(self._connection, name, now, dimensions=self._mapping)
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
        landing = WindowLanding(Place(self._connection, self._key, zone.key, self._project_zone))
        failure = self._land_pages(self._pages(step, zone, hidden), zone, landing)
        with transaction(self._connection):
            gone, detail = self._absence(step, landing.received, started)
            now = self._clock.now()
            landed = landing.finish(None if failure else gone, now)
            whole = failure is None and detail is None
            ledger.note_window(
                self._connection, self._key, Window(step.window.start, step.window.end), landed,
                tier=step.tier, zone=zone.key, proof="drained" if whole else "none",
                status=("complete_with_loss" if landed.truncated else "complete") if whole else "incomplete",
                detail=str(failure) if failure else detail, started=started, finished=now,
                dimensions=self._mapping,
            )  # fmt: skip
        self._add(landed)
        if failure:
            raise failure

    def _land_pages(self, pages: Iterable[Page], zone: ZoneInfo, landing: WindowLanding) -> SourceError | None:
        """Land pages as they come, a part while the next one is fetched; gives why they ended early, if they did."""
        reader = PageReader(self._connection, zone, self._dimensions)
        failure: SourceError | None = None
        landings: list[Future[None]] = []
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="landing") as beside:
            try:
                for part in _in_parts(pages):
                    _finished(landings)
                    landings.append(beside.submit(self._take_in, part, reader, landing))
            except SourceError as error:
                failure = error
            _finished(landings)
        self._land(reader, landing)
        if landing.broken and not failure:
            failure = self._client.odd(f"{landing.broken} pages of its visit log are broken within")
        return failure

    def _take_in(self, part: Sequence[Page], reader: PageReader, landing: WindowLanding) -> None:
        reader.read(part)
        if reader.arrived.rows >= ROWS_AT_ONCE:
            self._land(reader, landing)

    def _land(self, reader: PageReader, landing: WindowLanding) -> None:
        """Land what was read and commit it: it is found there when a window that never ended is read again."""
        with transaction(self._connection):
            landing.add(reader.arrived, self._clock.now())
        reader.start()

    def _pages(self, step: Step, zone: ZoneInfo, hidden: str) -> Iterable[Page]:
        if step.day:
            return self._client.visits_of_day(step.day, zone, hidden)
        return self._client.visits_since(step.window.start, hidden)

    def _absence(self, step: Step, received: int, now: datetime) -> tuple[Window | None, str | None]:
        """In which window a stored row that was not received is gone; or why nothing can be said of it."""
        if step.window.start < now - timedelta(days=self._source.kept_days):
            return None, None
        if received:
            return step.window, None
        if not step.day:
            return None, None  # nothing at all is no proof that what was landed is gone
        stored, _ = ledger.extracted_on(self._connection, self._key, step.window, step.day)
        return None, "the server gives no visits of this day any more; what was landed is kept" if stored else None

    def _advance(self, zone: ZoneInfo, since: datetime, started: datetime) -> None:
        """Move the watermark. `started`: when the last reading began; what came during it may be in it or not."""
        final = start_of_day(local_date(started, zone) - RECONCILED_DAYS * ONE_DAY, zone)
        with transaction(self._connection):
            name = self._source.name
            passed = [
                *ledger.proven_windows(self._connection, name, self._clock.now()),
                *ledger.given_up_windows(self._connection, name, self._clock.now()),
            ]
            ledger.advance(
                self._connection, name, passed,
                since=since, read_at=started, lag=ledger.MATOMO_LAG, final_before=final,
            )  # fmt: skip

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


def _in_parts(pages: Iterable[Page]) -> Iterator[list[Page]]:
    """The pages, PART_BYTES or somewhat more at once; also those that came before a SourceError, which is raised."""
    part: list[Page] = []
    try:
        for page in pages:
            part.append(page)
            if sum(len(page.body) for page in part) >= PART_BYTES:
                yield part
                part = []
    except SourceError:
        yield part
        raise
    yield part


def _finished(landings: list[Future[None]]) -> None:
    """Wait for what is being landed; raises what went wrong with it."""
    while landings:
        landings.pop().result()
