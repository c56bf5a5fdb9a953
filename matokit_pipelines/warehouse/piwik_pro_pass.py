"""One pass over one Piwik PRO source: reading the windows that are due, each proven by the count the server announces.

Four threads fetch, one lands. Interrupted anywhere, the next pass goes on. Not here: which windows are due and how
they are cut (piwik_pro_planning.py), how the server is asked (sources/piwik_pro.py), rows (piwik_pro_landing.py).
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import (
    AccessRefused,
    AnswerNotUnderstood,
    CredentialsRefused,
    PageTooLarge,
    SourceError,
)
from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.sources.piwik_pro import App, PiwikProClient
from matokit_pipelines.sources.piwik_pro_pages import Page
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse import piwik_pro_planning as planning
from matokit_pipelines.warehouse.landing import transaction
from matokit_pipelines.warehouse.ledger import Reconciled
from matokit_pipelines.warehouse.passes import Progress, SourcePass
from matokit_pipelines.warehouse.piwik_pro_columns import columns_of
from matokit_pipelines.warehouse.piwik_pro_landing import (
    BY_ITSELF,
    COLUMNS,
    EVENTS,
    ReadRows,
    StoredPage,
    land,
    land_provisional,
    read_pages,
)
from matokit_pipelines.warehouse.piwik_pro_planning import LAG, Step
from matokit_pipelines.warehouse.planning import READ_AGAIN, days_to_reconcile, latest_night, verdict_of
from matokit_pipelines.windows import ONE_DAY, Window, day_window, outside_repeated_hours, start_of_day, wall_clock

THREADS = 4
ATTEMPTS = 3
ATTEMPTS_BY_OFFSET = 12
GIVEN_UP_A_NIGHT = 100
BETWEEN_ATTEMPTS = 2.0  # seconds, for a count that is moving
PROBE_AGAIN = timedelta(hours=1)
REAL_TIME = timedelta(minutes=60)
ALL_TIERS: tuple[ledger.Tier, ...] = ("recent", "history", "hourly", "look_back", "reconcile", "asked")
BELIEVED_AROUND = timedelta(days=3)


@dataclass(frozen=True)
class Fetched:
    """What the server gave of a window: all its pages, or the count of rows that one page cannot hold."""

    pages: tuple[StoredPage, ...]
    count: int
    is_too_large: bool = False
    trouble: str | None = None


class PiwikProPass(SourcePass):
    """One pass over one Piwik PRO source, inside an open warehouse."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        client: PiwikProClient,
        source: SourceSettings,
        secret: str,
        *,
        project_zone: str,
        clock: Clock,
        progress: Progress | None = None,
        scratch: Path | None = None,
    ) -> None:
        super().__init__(connection, source, secret, project_zone=project_zone, clock=clock, progress=progress)
        self._scratch = scratch
        self._client = client
        self._page = source.rows_a_page
        self._dimensions: dict[str, str] = {}
        self._is_night = False
        self._makes_sense: bool | None = None
        self._nonsense_lock = threading.Lock()
        self._earlier: dict[Window, Fetched] = {}

    def _read_all(self, days: tuple[date, date] | None) -> None:
        app = self._meet()
        zone = self._zone = app.site.zone
        since = self._since(zone)
        started = self._now()
        with self._scratch_folder() as self._folder:
            try:
                self._read_steps(self._steps(zone, since, started, days), zone)
            finally:  # what was proven before an error is proven
                self._advance(zone, since, started)
            if days:
                self._reconcile(zone, since, days)
                return
            if self._is_night:  # read to its end: by the look-back, or because nothing was known before
                ledger.note_looked_back(self._connection, self._source.name, started)
                self._advance(zone, since, started)
            self._probe(zone, since, started)
            self._reconcile(zone, since, None)
            self._real_time(app, zone)

    def _traffic(self) -> tuple[int, int]:
        return self._client.requests_made, self._client.bytes_received

    def _check_access(self) -> None:
        self._client.app()

    @contextmanager
    def _scratch_folder(self) -> Iterator[Path]:
        """Where pages wait to be landed; what a killed pass left there goes."""
        if self._scratch:
            self._scratch.mkdir(parents=True, exist_ok=True)
            for left_over in self._scratch.glob("pages-*"):
                shutil.rmtree(left_over, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="pages-", dir=self._scratch) as folder:
            yield Path(folder)

    def _now(self) -> datetime:
        """In whole seconds: the server keeps no finer time, and windows are asked for in them."""
        return self._clock.now().replace(microsecond=0)

    # -- meeting the source -------------------------------------------------------------------------------------

    def _meet(self) -> App:
        try:
            app = self._client.app()
            self._dimensions = columns_of(self._source, self._client)
        except (CredentialsRefused, AccessRefused) as error:
            self._note_refused(error)
            raise
        with transaction(self._connection):
            self._introduce(app.site.zone.key)
        return app

    @property
    def _mapping(self) -> str:
        return json.dumps(self._dimensions, sort_keys=True)

    @property
    def _columns(self) -> list[str]:
        """The columns to ask for: nothing personal, and nothing that comes by itself."""
        return [column for column in COLUMNS.values() if column not in BY_ITSELF] + sorted(self._dimensions.values())

    # -- what is due --------------------------------------------------------------------------------------------

    def _steps(self, zone: ZoneInfo, since: datetime, now: datetime, days: tuple[date, date] | None) -> list[Step]:
        name = self._source.name
        if days:
            return self._by_pages(planning.asked(*days, now=now, zone=zone), zone)
        # what was read when the dimensions carried something else is read again
        covered = ledger.covered_windows(self._connection, name, now, LAG, self._mapping)
        given_up = ledger.given_up_windows(self._connection, name, now, ALL_TIERS, self._mapping)
        troubled = ledger.troubled_windows(self._connection, name, now)
        steps = planning.due(covered, troubled, given_up, since=since, now=now, zone=zone)
        # what was given up shows rows all the same, but is not worth a second try
        steps = [replace(step, attempt=ATTEMPTS) if step.window in given_up else step for step in steps]
        return self._by_pages([*steps, *self._look_back(steps, given_up, since, now, zone)], zone)

    def _look_back(
        self, steps: Sequence[Step], given_up: Sequence[Window], since: datetime, now: datetime, zone: ZoneInfo
    ) -> list[Step]:
        """The nightly reading of the look-back, after what is new: what neither `steps` nor a pass of this night read.

        So a pass that ends in the middle of it, killed or out of requests, is gone on with and not begun again.
        """
        name = self._source.name
        last, night = ledger.looked_back_at(self._connection, name), latest_night(now, zone)
        self._is_night = last is None or last > now or last < night
        if not self._is_night:
            return []
        windows = planning.look_back(now, since, zone, last or ledger.first_reading(self._connection, name))
        read = [*ledger.read_since_night(self._connection, name, night, now), *(step.window for step in steps)]
        open_parts = [gap for window in windows for gap in planning.gaps(read, window.start, window.end)]
        # and once a night what was given up long ago: a server may be mended
        older = [window for window in given_up if windows and window.end <= windows[0].start]
        older = [window for window in older if planning.gaps(read, window.start, window.end)]
        return [Step("look_back", window, ATTEMPTS) for window in older[-GIVEN_UP_A_NIGHT:]] + [
            Step("look_back", outside_repeated_hours(part, zone)) for part in open_parts
        ]

    def _by_pages(self, steps: list[Step], zone: ZoneInfo) -> list[Step]:
        """The steps cut by how many rows an hour holds; a short one of a small site needs no question for that."""
        if not steps:
            return []
        largest = ledger.largest_recent_count(self._connection, self._source.name)
        whole = sum((step.window.end - step.window.start for step in steps), timedelta())
        if whole <= ONE_DAY and largest is not None and largest < planning.FILL * self._page / 2:
            return steps
        start, end = min(s.window.start for s in steps), max(s.window.end for s in steps)
        counts = self._client.events_by("to_start_of_hour", wall_clock(start, zone), wall_clock(end, zone))
        return [
            replace(step, window=window)
            for step in steps
            for window in planning.by_pages(step.window, counts, zone, self._page)
        ]

    # -- reading ------------------------------------------------------------------------------------------------

    def _read_steps(self, steps: Sequence[Step], zone: ZoneInfo) -> None:
        """Fetch ahead with four threads, land in order. A window that does not add up is narrowed, then left."""
        waiting = deque(steps)
        running: deque[tuple[Step, datetime, Future[Fetched]]] = deque()
        done = 0
        with ThreadPoolExecutor(THREADS) as threads:
            try:
                while waiting or running:
                    while waiting and len(running) < THREADS:
                        step = waiting.popleft()
                        running.append((step, self._clock.now(), threads.submit(self._fetch, step, zone)))
                    step, started, future = running.popleft()
                    self._progress(step.label, done, done + len(running) + len(waiting) + 1)
                    more = self._land(step, started, future.result(), zone)
                    waiting.extendleft(reversed(more))
                    done += not more
            finally:
                for _, _, future in running:
                    future.cancel()
        self._progress("", done, done)

    def _fetch(self, step: Step, zone: ZoneInfo) -> Fetched:
        """Every page of a window (in a thread). More rows than a page holds are fetched only if it cannot be cut."""
        start, end = wall_clock(step.window.start, zone), wall_clock(step.window.end, zone)
        if step.attempt > 1:
            self._clock.sleep(BETWEEN_ATTEMPTS)
        try:
            first = self._client.events(start, end, self._columns, limit=self._page)
            pages = [StoredPage.keep(first, self._file())]
            if first.count <= self._page or _is_surely_not_full(first, self._page):
                return Fetched(tuple(pages), first.count)
            if len(planning.split(step.window, first.count, self._page, zone)) > 1:
                return Fetched((), first.count, is_too_large=True)
            for offset in range(self._page, first.count, self._page):
                page = self._client.events(start, end, self._columns, limit=self._page, offset=offset)
                if page.count != first.count:
                    return Fetched((), first.count, trouble="the number of its rows changed while it was read")
                pages.append(StoredPage.keep(page, self._file()))
            return Fetched(tuple(pages), first.count)
        except PageTooLarge as error:
            self._refuse_nonsense(error)
            if len(planning.split(step.window, 0, self._page, zone)) > 1:
                return Fetched((), 0, is_too_large=True)
            return Fetched((), 0, trouble=str(error))
        except AnswerNotUnderstood as error:
            self._refuse_nonsense(error)
            return Fetched((), 0, trouble=str(error))

    def _refuse_nonsense(self, error: SourceError) -> None:
        """Raise `error` when the server answers so to any window: then no window of its own is to be given up.

        Asked once a pass, of the last hour and in one row.
        """
        with self._nonsense_lock:
            if self._makes_sense is None:
                now = outside_repeated_hours(Window(self._now() - planning.ONE_HOUR, self._now()), self._zone)
                start, end = wall_clock(now.start, self._zone), wall_clock(now.end, self._zone)
                try:
                    self._client.events(start, end, self._columns, limit=1)
                    self._makes_sense = True
                except (AnswerNotUnderstood, PageTooLarge):
                    self._makes_sense = False
        if not self._makes_sense:
            raise error

    def _file(self) -> Path:
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".json", delete=False) as file:
            return Path(file.name)

    def _land(self, step: Step, started: datetime, fetched: Fetched, zone: ZoneInfo) -> list[Step]:
        """Land what was fetched of a window; gives what has to be read instead or again."""
        if fetched.is_too_large:
            return self._parts(step, planning.split(step.window, fetched.count, self._page, zone))
        fetched = self._with_earlier(step.window, fetched)
        reading = read_pages(self._connection, fetched.pages, self._dimensions, step.window, zone)
        trouble = fetched.trouble or _what_is_wrong(fetched, reading)
        if trouble is None and not reading.received and not self._is_empty(step.window, zone):
            trouble = "the server gives nothing of it any more; what was landed is kept"
        if trouble:
            narrower = planning.narrowed(step.window, zone)
            if step.attempt > 1 and len(narrower) > 1:
                return self._parts(step, narrower)
            if step.attempt < (ATTEMPTS if len(fetched.pages) < 2 else ATTEMPTS_BY_OFFSET):
                self._earlier[step.window] = fetched
                return [replace(step, attempt=step.attempt + 1)]
        self._keep(step, started, fetched, reading, trouble, zone)
        return []

    def _with_earlier(self, window: Window, fetched: Fetched) -> Fetched:
        """Pages by offset over a store without an order repeat and skip rows: several rounds together hold them all."""
        earlier = self._earlier.pop(window, None)
        if earlier is None or len(fetched.pages) < 2 or earlier.count != fetched.count:
            return fetched
        return replace(fetched, pages=earlier.pages + fetched.pages)

    @staticmethod
    def _parts(step: Step, windows: Sequence[Window]) -> list[Step]:
        return [replace(step, window=window, attempt=1) for window in windows]

    def _keep(
        self, step: Step, started: datetime, fetched: Fetched, reading: ReadRows, trouble: str | None, zone: ZoneInfo
    ) -> None:
        """Land a window and note it. Rows of a window that does not add up are landed too, but prove nothing."""
        is_kept = step.window.start >= started - timedelta(days=max(1, self._source.kept_days - 31))
        with transaction(self._connection):
            now = self._clock.now()
            landed = land(
                self._connection, self._key, reading, gone=step.window if is_kept and not trouble else None,
                project_zone=self._project_zone, now=now,
            )  # fmt: skip
            ledger.note_window(
                self._connection, self._key, step.window, landed,
                tier=step.tier, zone=zone.key, proof="none" if trouble else "count",
                status="incomplete" if trouble else "complete", detail=trouble, started=started, finished=now,
                dimensions=self._mapping, expected=fetched.count,
            )  # fmt: skip
        self._add(landed)
        if trouble:
            self._result = replace(self._result, unproven=self._result.unproven + 1)

    def _is_empty(self, window: Window, zone: ZoneInfo) -> bool:
        """Whether a window that came back empty may be believed: nothing of it is stored, or around it there is more.

        A server that answers with nothing at all (rights withdrawn, data removed) must not delete what we hold.
        """
        if not ledger.stored_in(self._connection, self._key, EVENTS.name, window):
            return True
        around = Window(window.start - BELIEVED_AROUND, min(window.end + BELIEVED_AROUND, self._now()))
        around = outside_repeated_hours(around, zone)
        return self._client.count(wall_clock(around.start, zone), wall_clock(around.end, zone)) > 0

    def _advance(self, zone: ZoneInfo, since: datetime, started: datetime) -> None:
        name = self._source.name
        with transaction(self._connection):
            passed = [
                *ledger.covered_windows(self._connection, name, self._clock.now(), LAG),
                *ledger.given_up_windows(self._connection, name, self._clock.now(), ALL_TIERS),
            ]
            ledger.advance(
                self._connection, name, passed,
                since=since, read_at=started, lag=LAG,
                final_before=planning.final_before(ledger.looked_back_at(self._connection, name) or since, zone),
            )  # fmt: skip

    # -- counts that have changed ---------------------------------------------------------------------------------

    def _probe(self, zone: ZoneInfo, since: datetime, now: datetime) -> None:
        """Once an hour: ask for the counts of the older windows of the look-back, and read those that changed."""
        name = self._source.name
        last = ledger.probed_at(self._connection, name)
        if last and last <= now < last + PROBE_AGAIN:
            return
        if last and not self._is_night:  # else everything has just been read
            given_up = ledger.given_up_windows(self._connection, name, now, ALL_TIERS, self._mapping)
            windows = [
                outside_repeated_hours(part, zone)
                for window in planning.look_back(now, since, zone)
                for part in planning.gaps(given_up, window.start, window.end)
            ]
            changed = [window for window in windows if self._has_changed(window, zone)]
            parts = self._by_pages([Step("hourly", window) for window in changed], zone)
            # of a large day only the pages whose own count has changed
            self._read_steps([s for s in parts if s.window in changed or self._has_changed(s.window, zone)], zone)
        ledger.note_probed(self._connection, name, now)

    def _has_changed(self, window: Window, zone: ZoneInfo) -> bool:
        """Whether the server announces another number of rows than we hold, and than when the window was last read."""
        announced = self._client.count(wall_clock(window.start, zone), wall_clock(window.end, zone))
        return not self._is_known(announced, window)

    def _is_known(self, announced: int, window: Window) -> bool:
        """Whether as many rows are stored, or were given when the window was last read and are stored still.

        The second holds where copies of a session that is being rebuilt, or rows that cannot be read, are counted too.
        """
        stored = ledger.stored_in(self._connection, self._key, EVENTS.name, window)
        return announced == stored or ledger.last_counts(self._connection, self._source.name, window) == (
            announced,
            stored,
        )

    # -- the source's own counts ----------------------------------------------------------------------------------

    def _reconcile(self, zone: ZoneInfo, since: datetime, days: tuple[date, date] | None) -> None:
        """Hold closed days against the server's aggregated counts; read a day again that they count otherwise."""
        name = self._source.name
        now = self._now()
        known = ledger.reconciled(self._connection, name)
        due = days_to_reconcile(known, since=since, now=now, zone=zone, asked_days=days)
        due = [day for day in due if day_window(day, zone).end <= now - LAG]  # before, sessions still arrive
        if not due:
            return
        start, end = (
            wall_clock(start_of_day(due[0], zone), zone),
            wall_clock(start_of_day(due[-1] + ONE_DAY, zone), zone),
        )
        reported = {at.date(): rows for at, rows in self._client.events_by("to_date", start, end).items()}
        differing = []
        for day in due:
            if self._compare(day, reported.get(day, 0), zone) in READ_AGAIN | {"not_archived"}:
                self._read_steps(self._by_pages([Step("reconcile", day_window(day, zone))], zone), zone)
                verdict = self._compare(day, reported.get(day, 0), zone, again=True)
                if verdict == "differs" and day in known:  # once may be a moment between two answers
                    differing.append(day)
        self._result = replace(self._result, differing_days=tuple(differing))

    def _compare(self, day: date, reported: int, zone: ZoneInfo, *, again: bool = False) -> str:
        window = day_window(day, zone)
        stored = ledger.stored_in(self._connection, self._key, EVENTS.name, window)
        agrees = self._is_known(reported, window)  # raw data and this report count copies alike
        known = ledger.reconciled(self._connection, self._source.name).get(day)
        entry = Reconciled(
            day, reported, stored, 0, "equal" if agrees else verdict_of(reported, stored, 0),
            (known.reads if known else 0) + again, self._clock.now(),
        )  # fmt: skip
        with transaction(self._connection):
            ledger.note_reconciled(self._connection, self._key, entry)
        return entry.verdict

    # -- the last hour, provisionally -----------------------------------------------------------------------------

    def _real_time(self, app: App, zone: ZoneInfo) -> None:
        """Keep the last hour apart as real-time data know it; that there are none stops nothing."""
        wanted = app.real_time_dashboards if self._source.real_time is None else self._source.real_time
        note = None if wanted else "real-time data are switched off for this site"
        if wanted:
            try:
                self._read_real_time(zone)
            except SourceError as error:
                note = str(error)
        with transaction(self._connection):
            ledger.note_real_time(self._connection, self._source.name, note)

    def _read_real_time(self, zone: ZoneInfo) -> None:
        now = self._now()
        window = Window(now - REAL_TIME, now)
        if outside_repeated_hours(window, zone) != window:
            return  # the server could not tell which of the two hours is meant
        start, end = wall_clock(window.start, zone), wall_clock(window.end, zone)
        columns = ["event_id", "visitor_id", *(c for c in self._columns if c != "event_index")]
        pages = []
        received = self._client.real_time(start, end, columns, limit=self._page)
        pages.append(StoredPage.keep(received, self._file()))
        for offset in range(self._page, received.count, self._page):
            page = self._client.real_time(start, end, columns, limit=self._page, offset=offset)
            pages.append(StoredPage.keep(page, self._file()))
        read_pages(self._connection, pages, self._dimensions, window, zone)
        state = ledger.state(self._connection, self._source.name)
        with transaction(self._connection):
            land_provisional(self._connection, self._key, before=state.watermark if state else None, now=now)


def _what_is_wrong(fetched: Fetched, reading: ReadRows) -> str | None:
    """Why a window does not add up, None when it does."""
    if reading.outside:
        return f"{reading.outside} rows lie outside of it"
    read = reading.copies + len(reading.quarantined) if len(fetched.pages) > 1 else reading.received
    if read != fetched.count:
        return f"the server announced {fetched.count} rows and gave {read}"
    return None


def _is_surely_not_full(page: Page, limit: int) -> bool:
    """Whether a page holds fewer rows than were asked for, whatever it announces: then a part of its window would not
    either. Rows stand apart by these bytes; a text that holds them too makes the page look fuller."""
    if page.exact_frame:
        return page.rows.count(b"],[") + 1 < limit
    return len(json.loads(page.rows.decode("utf-8", errors="replace"))["data"]) < limit
