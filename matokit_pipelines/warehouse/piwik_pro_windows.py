"""Windows of a Piwik PRO source, read: fetched ahead, landed in order, each proven by the count the server announces.

Four threads fetch, one lands. What does not add up is read again, narrowed, then left as unproven. Not here: which
windows are due (piwik_pro_pass.py), how they are cut (piwik_pro_planning.py), rows (piwik_pro_landing.py).
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import AnswerNotUnderstood, PageTooLarge, SourceError
from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.sources.piwik_pro import PiwikProClient
from matokit_pipelines.sources.piwik_pro_pages import Page
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse import piwik_pro_planning as planning
from matokit_pipelines.warehouse.landing import Landed, SourceKey, transaction
from matokit_pipelines.warehouse.passes import Progress
from matokit_pipelines.warehouse.piwik_pro_landing import (
    BY_ITSELF,
    COLUMNS,
    EVENTS,
    ReadRows,
    StoredPage,
    lacking,
    land,
    read_pages,
)
from matokit_pipelines.warehouse.piwik_pro_planning import Step
from matokit_pipelines.windows import Window, outside_repeated_hours, wall_clock

THREADS = 4
ATTEMPTS = 3
ATTEMPTS_BY_OFFSET = 12
BETWEEN_ATTEMPTS = 2.0  # seconds, for a count that is moving
BELIEVED_AROUND = timedelta(days=3)


@dataclass(frozen=True)
class Kept:
    """A window that is landed and noted; not proven when it did not add up."""

    landed: Landed
    is_proven: bool


@dataclass(frozen=True)
class Fetched:
    """What the server gave of a window: all its pages, or the count of rows that one page cannot hold."""

    pages: tuple[StoredPage, ...]
    count: int
    is_too_large: bool = False
    trouble: str | None = None


class WindowReader:
    """Reads windows of one source into an open warehouse, for the length of one pass.

    `zone`: the site's; `dimensions`: columns of ours and the server's names of them, `mapping` the same as the text
    that the ledger compares; `folder`: where pages wait to be landed (see page_folder).
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        client: PiwikProClient,
        source: SourceSettings,
        *,
        zone: ZoneInfo,
        project_zone: str,
        dimensions: Mapping[str, str],
        mapping: str,
        folder: Path,
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._connection = connection
        self._client = client
        self._source = source
        self._key = SourceKey(source.name, source.site_id)
        self._page = source.rows_a_page
        self._zone = zone
        self._project_zone = project_zone
        self._dimensions = dimensions
        self._mapping = mapping
        self._folder = folder
        self._clock = clock
        self._progress = progress
        self._makes_sense: bool | None = None
        self._nonsense_lock = threading.Lock()
        self._earlier: dict[Window, Fetched] = {}
        self._lacking: dict[Window, list[str]] = {}

    @property
    def columns(self) -> list[str]:
        """The columns to ask for: nothing personal, and nothing that comes by itself."""
        return [column for column in COLUMNS.values() if column not in BY_ITSELF] + sorted(self._dimensions.values())

    def stored(self, page: Page) -> StoredPage:
        """A page kept in the folder until it is landed."""
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".json", delete=False) as file:
            path = Path(file.name)
        return StoredPage.keep(page, path)

    def read(self, steps: Sequence[Step]) -> Iterator[Kept]:
        """Read windows as far as the caller iterates; gives each once it is committed, narrowed ones in their parts.

        A refusal of the source is raised; what was given before it stays landed.
        """
        waiting = deque(steps)
        running: deque[tuple[Step, datetime, Future[Fetched]]] = deque()
        done = 0
        with ThreadPoolExecutor(THREADS) as threads:
            try:
                while waiting or running:
                    while waiting and len(running) < THREADS:
                        step = waiting.popleft()
                        running.append((step, self._clock.now(), threads.submit(self._fetch, step)))
                    step, started, future = running.popleft()
                    self._progress(step.label, done, done + len(running) + len(waiting) + 1)
                    outcome = self._land(step, started, future.result())
                    if isinstance(outcome, Kept):
                        done += 1
                        yield outcome
                    else:
                        waiting.extendleft(reversed(outcome))
            finally:
                for _, _, future in running:
                    future.cancel()
        self._progress("", done, done)

    def _fetch(self, step: Step) -> Fetched:
        """Every page of a window (in a thread). More rows than a page holds are fetched only if it cannot be cut.

        A full page proves nothing, even if no more rows are announced: so does a count that is too low by chance.
        """
        start, end = wall_clock(step.window.start, self._zone), wall_clock(step.window.end, self._zone)
        if step.attempt > 1:
            self._clock.sleep(BETWEEN_ATTEMPTS)
        try:
            first = self._client.events(start, end, self.columns, limit=self._page)
            pages = [self.stored(first)]
            if first.count < self._page or (first.count > self._page and _is_surely_not_full(first, self._page)):
                return Fetched(tuple(pages), first.count)
            if len(planning.split(step.window, first.count, self._page, self._zone)) > 1:
                return Fetched((), first.count, is_too_large=True)
            for offset in range(self._page, first.count + 1, self._page):  # the last one is not full
                page = self._client.events(start, end, self.columns, limit=self._page, offset=offset)
                if page.count != first.count:
                    return Fetched((), first.count, trouble="the number of its rows changed while it was read")
                pages.append(self.stored(page))
            return Fetched(tuple(pages), first.count)
        except PageTooLarge as error:
            self._refuse_nonsense(error)
            if len(planning.split(step.window, 0, self._page, self._zone)) > 1:
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
                now = whole_seconds(self._clock)
                hour = outside_repeated_hours(Window(now - planning.ONE_HOUR, now), self._zone)
                start, end = wall_clock(hour.start, self._zone), wall_clock(hour.end, self._zone)
                try:
                    self._client.events(start, end, self.columns, limit=1)
                    self._makes_sense = True
                except (AnswerNotUnderstood, PageTooLarge):
                    self._makes_sense = False
        if not self._makes_sense:
            raise error

    def _land(self, step: Step, started: datetime, fetched: Fetched) -> Kept | list[Step]:
        """Land what was fetched of a window, or give what has to be read instead or again."""
        if fetched.is_too_large:
            return self._parts(step, planning.split(step.window, fetched.count, self._page, self._zone))
        fetched = self._with_earlier(step.window, fetched)
        reading = read_pages(self._connection, fetched.pages, self._dimensions, step.window, self._zone)
        trouble = fetched.trouble or _what_is_wrong(fetched, reading)
        if trouble is None and not reading.received and not self._is_empty(step.window):
            trouble = "the server gives nothing of it any more; what was landed is kept"
        before = self._lacking.pop(step.window, None)
        missed = [] if trouble else self._lacking_in(step, started, reading)
        if missed and before is None:  # one answer may lack rows for a moment, and count accordingly
            self._lacking[step.window] = missed
            return [replace(step, attempt=step.attempt + 1)]
        if missed and missed != before:
            trouble = "rows of it are there and not there by turns"
        if trouble:
            narrower = planning.narrowed(step.window, self._zone)
            if step.attempt > 1 and len(narrower) > 1:
                return self._parts(step, narrower)
            if step.attempt < (ATTEMPTS if len(fetched.pages) < 2 else ATTEMPTS_BY_OFFSET):
                self._earlier[step.window] = fetched
                return [replace(step, attempt=step.attempt + 1)]
        return self._keep(step, started, fetched, reading, trouble, is_lacking=bool(missed))

    def _lacking_in(self, step: Step, started: datetime, reading: ReadRows) -> list[str]:
        """The ids of stored rows that a whole reading lacks; none where the source may have let them go by age."""
        if step.window.start < started - timedelta(days=max(1, self._source.kept_days - 31)):
            return []
        return lacking(self._connection, self._key, reading, step.window)

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
        self,
        step: Step,
        started: datetime,
        fetched: Fetched,
        reading: ReadRows,
        trouble: str | None,
        *,
        is_lacking: bool,
    ) -> Kept:
        """Land a window and note it. Rows of a window that does not add up are landed too, but prove nothing.

        `is_lacking`: stored rows that were not received are gone.
        """
        gone = step.window if is_lacking and not trouble else None
        with transaction(self._connection):
            now = self._clock.now()
            landed = land(self._connection, self._key, reading, gone=gone, project_zone=self._project_zone, now=now)
            ledger.note_window(
                self._connection, self._key, step.window, landed,
                tier=step.tier, zone=self._zone.key, proof="none" if trouble else "count",
                status="incomplete" if trouble else "complete", detail=trouble, started=started, finished=now,
                dimensions=self._mapping, expected=fetched.count,
            )  # fmt: skip
        return Kept(landed, is_proven=not trouble)

    def _is_empty(self, window: Window) -> bool:
        """Whether a window that came back empty may be believed: nothing of it is stored, or around it there is more.

        A server that answers with nothing at all (rights withdrawn, data removed) must not delete what we hold.
        """
        if not ledger.stored_in(self._connection, self._key, EVENTS.name, window):
            return True
        around = Window(window.start - BELIEVED_AROUND, min(window.end + BELIEVED_AROUND, whole_seconds(self._clock)))
        around = outside_repeated_hours(around, self._zone)
        return self._client.count(wall_clock(around.start, self._zone), wall_clock(around.end, self._zone)) > 0


@contextmanager
def page_folder(scratch: Path | None) -> Iterator[Path]:
    """Where the pages of a pass wait to be landed; what a killed pass left in `scratch` goes."""
    if scratch:
        scratch.mkdir(parents=True, exist_ok=True)
        for left_over in scratch.glob("pages-*"):
            shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="pages-", dir=scratch) as folder:
        yield Path(folder)


def whole_seconds(clock: Clock) -> datetime:
    """Now in whole seconds: the server keeps no finer time, and windows are asked for in them."""
    return clock.now().replace(microsecond=0)


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
