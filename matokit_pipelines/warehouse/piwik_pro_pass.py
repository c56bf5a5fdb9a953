"""One pass over one Piwik PRO source: what is due is read, counts that changed are read again, days are compared.

Interrupted anywhere, the next pass goes on. Not here: how a window is read and proven (piwik_pro_windows.py), which
windows there are and how they are cut (piwik_pro_planning.py), how the server is asked (sources/piwik_pro.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import AccessRefused, CredentialsRefused, SourceError
from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.sources.piwik_pro import App, PiwikProClient
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse import piwik_pro_planning as planning
from matokit_pipelines.warehouse.landing import transaction
from matokit_pipelines.warehouse.ledger import Reconciled
from matokit_pipelines.warehouse.passes import Progress, SourcePass
from matokit_pipelines.warehouse.piwik_pro_columns import columns_of
from matokit_pipelines.warehouse.piwik_pro_landing import EVENTS, land_provisional, read_pages
from matokit_pipelines.warehouse.piwik_pro_planning import LAG, Step
from matokit_pipelines.warehouse.piwik_pro_windows import ATTEMPTS, WindowReader, page_folder, whole_seconds
from matokit_pipelines.warehouse.planning import READ_AGAIN, days_to_reconcile, latest_night, verdict_of
from matokit_pipelines.windows import ONE_DAY, Window, day_window, outside_repeated_hours, start_of_day, wall_clock

GIVEN_UP_A_NIGHT = 100
PROBE_AGAIN = timedelta(hours=1)
REAL_TIME = timedelta(minutes=60)
ALL_TIERS: tuple[ledger.Tier, ...] = ("recent", "history", "hourly", "look_back", "reconcile", "asked")


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

    def _read_all(self, days: tuple[date, date] | None) -> None:
        app = self._meet()
        zone = app.site.zone
        since = self._since(zone)
        started = self._now()
        with page_folder(self._scratch) as folder:
            self._reader = self._reader_of(zone, folder)
            try:
                self._read_steps(self._steps(zone, since, started, days))
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

    def _now(self) -> datetime:
        return whole_seconds(self._clock)

    def _reader_of(self, zone: ZoneInfo, folder: Path) -> WindowReader:
        return WindowReader(
            self._connection, self._client, self._source, zone=zone, project_zone=self._project_zone,
            dimensions=self._dimensions, mapping=self._mapping, folder=folder, clock=self._clock,
            progress=self._progress,
        )  # fmt: skip

    def _read_steps(self, steps: Sequence[Step]) -> None:
        for kept in self._reader.read(steps):
            self._add(kept.landed)
            self._result = replace(self._result, unproven=self._result.unproven + (not kept.is_proven))

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
            self._read_steps([s for s in parts if s.window in changed or self._has_changed(s.window, zone)])
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
                self._read_steps(self._by_pages([Step("reconcile", day_window(day, zone))], zone))
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
        columns = ["event_id", "visitor_id", *(c for c in self._reader.columns if c != "event_index")]
        pages = []
        received = self._client.real_time(start, end, columns, limit=self._page)
        pages.append(self._reader.stored(received))
        for offset in range(self._page, received.count, self._page):
            page = self._client.real_time(start, end, columns, limit=self._page, offset=offset)
            pages.append(self._reader.stored(page))
        read_pages(self._connection, pages, self._dimensions, window, zone)
        state = ledger.state(self._connection, self._source.name)
        with transaction(self._connection):
            land_provisional(self._connection, self._key, before=state.watermark if state else None, now=now)
