"""The tracking queue at work: accept a hit for good, attempt it at once, go on until the Matomo took it.

What `accept` gave back is in the home's store, so it outlives this process. Several processes may work on one home. The
threads wait on the machine's clock; what is due says the clock handed in. Not here: the rows (rows.py), HTTP
(sources/tracking_hits.py).
"""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from matokit_pipelines import state
from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import MatokitError, StateError
from matokit_pipelines.sources.tracking_hits import Ended, Later, Patience, send_hit
from matokit_pipelines.toolserver.problems import Problem, refused
from matokit_pipelines.toolserver.sites import Site, Sites
from matokit_pipelines.toolserver.tracking import keeping, rows
from matokit_pipelines.toolserver.tracking.hits import Hit, form_of
from matokit_pipelines.toolserver.tracking.rows import Claimed, Row

_LOG = logging.getLogger(__name__)
WORKERS = 4
ANSWER_WITHIN = 2.0
LOOK_AGAIN = 1.0  # seconds after which an idle worker looks for what other processes left behind
TIDY_EVERY = timedelta(minutes=10)
MOST_WAITING = 50_000
SPARE = 5.0  # seconds that a lease lasts longer than the longest attempt


@dataclass(frozen=True)
class Outcome:
    """What became of a hit within the time its caller waits; `row` as it is now, `is_new` unless its key was known."""

    row: Row
    is_new: bool

    @property
    def is_queued(self) -> bool:
        """Whether it is kept for later."""
        return not self.row.is_over


class TrackingQueue:
    """The queue of one home. `start` it, `accept` hits from any number of threads, `stop` it.

    `unkept`: since when, and when last, this process could not keep a hit; None once one was kept again.
    """

    def __init__(
        self,
        home: Path,
        sites: Sites,
        clock: Clock,
        *,
        workers: int = WORKERS,
        answer_within: float = ANSWER_WITHIN,
        patience: Patience | None = None,
        spare: float = SPARE,
    ) -> None:
        self._home, self._sites, self._clock = home, sites, clock
        self._workers, self._answer_within = workers, answer_within
        self._patience = patience or Patience()
        self._lease = timedelta(seconds=self._patience.longest + spare)
        self._threads: list[threading.Thread] = []
        self._news = threading.Condition()
        self._changes = 0
        self._stopping = False
        self._callers: defaultdict[int, list[threading.Event]] = defaultdict(list)
        self._tidied = clock.now()
        self.unkept: tuple[datetime, datetime] | None = None

    # -- for callers ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """StateError when the store cannot be written."""
        with state.opened(self._home) as connection:
            keeping.tidy(connection, self._clock)

    def start(self) -> None:
        """Begin to send, also what an earlier process left behind. StateError when the store cannot be written."""
        self.check()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"tracking-{number}", daemon=True)
            for number in range(self._workers)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send nothing new; come back when what is being sent has ended, or its time is over."""
        with self._news:
            self._stopping = True
            self._news.notify_all()
        for thread in self._threads:
            thread.join(self._patience.connect + self._patience.read)
        self._threads = []
        with self._news:
            waiting = [event for events in self._callers.values() for event in events]
        for event in waiting:
            event.set()

    def accept(self, hit: Hit) -> Outcome:
        """Keep a hit for good, and wait shortly for what becomes of it.

        Problem when its key stands for another hit or too many wait; StateError when the store cannot be used.
        """
        seen = threading.Event()
        try:
            with state.opened(self._home) as connection:
                row, is_new = self._keep(connection, hit, seen)
                self.unkept = None
                self._tell_workers()
                if not row.is_over and self._may_go_soon(connection, row):
                    seen.wait(self._answer_within)
                return Outcome(rows.found_row(connection, row.id) or row, is_new)
        except StateError as error:
            now, before = self._clock.now(), self.unkept
            if before is None:
                _LOG.warning("Hits cannot be kept: %s", error)
            self.unkept = (before[0] if before else now, now)
            raise
        finally:
            self._forget(seen)

    @property
    def depth(self) -> int:
        """Hits that are neither done nor dead."""
        with state.opened(self._home) as connection:
            return keeping.waiting(connection)[0]

    @property
    def oldest_age(self) -> float | None:
        """Seconds since the oldest of them was accepted; None when there is none."""
        with state.opened(self._home) as connection:
            oldest = keeping.waiting(connection)[1]
        return None if oldest is None else max(0.0, (self._clock.now() - oldest).total_seconds())

    @property
    def dead(self) -> int:
        """Hits that were given up and wait for a person."""
        with state.opened(self._home) as connection:
            return keeping.counts(connection)["dead"]

    # -- accepting ------------------------------------------------------------------------------------------------

    def _keep(self, connection: sqlite3.Connection, hit: Hit, seen: threading.Event) -> tuple[Row, bool]:
        """The row of a hit, committed; `seen` is set when it is over."""
        try:
            with state.transaction(connection):
                if rows.is_full(connection, MOST_WAITING):
                    raise Problem("rate-limit", "Too many hits wait to be sent to Matomo.", retry_after=60.0)
                row, is_new = rows.accept(connection, hit, self._clock.now())
                with self._news:  # before the commit: a worker may end it at once
                    self._callers[row.id].append(seen)
                return row, is_new
        except rows.KeyTaken:
            raise Problem(
                "client",
                "idempotencyKey was used for another hit.",
                "Give each hit a key of its own; send a key again only with the same parameters.",
            ) from None

    def _may_go_soon(self, connection: sqlite3.Connection, row: Row) -> bool:
        """Whether waiting for it may help: it is not held back for longer than its caller waits."""
        at = rows.goes_from(connection, row)
        return at is None or at <= self._clock.now() + timedelta(seconds=self._answer_within)

    def _forget(self, seen: threading.Event) -> None:
        with self._news:
            for number in [number for number, events in self._callers.items() if seen in events]:
                self._callers[number].remove(seen)
                if not self._callers[number]:
                    del self._callers[number]

    def _tell_workers(self) -> None:
        with self._news:
            self._changes += 1
            self._news.notify()

    # -- sending --------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        """One worker: send what is due until told to stop. Trouble with the store passes, or is told again."""
        owner, dice = uuid.uuid4().hex, random.Random()
        while not self._stopping:
            try:
                with state.opened(self._home) as connection:
                    self._send(connection, owner, dice)
            except StateError as error:
                _LOG.warning("Tracking queue: %s", error)
            except Exception:  # a defect holds up the queue for a moment, not for good
                _LOG.exception("Tracking queue failed")
            self._wait(LOOK_AGAIN, self._changes)

    def _send(self, connection: sqlite3.Connection, owner: str, dice: random.Random) -> None:
        while not self._stopping:
            changes = self._changes
            if (wait := self._idle(connection)) > 0 or not self._one(connection, owner, dice):
                self._wait(wait, changes)

    def _wait(self, seconds: float, changes: int) -> None:
        """Until the time is over or there is news, also what came since `changes` was read."""
        with self._news:
            if self._changes == changes and not self._stopping:
                self._news.wait(seconds)

    def _idle(self, connection: sqlite3.Connection) -> float:
        """Seconds until it is worth looking again: 0 when something is due now."""
        now = self._clock.now()
        with self._news:
            is_time = abs(now - self._tidied) >= TIDY_EVERY  # the clock may have been put back
            self._tidied = now if is_time else self._tidied
        if is_time:
            keeping.tidy(connection, self._clock)
        if rows.is_due(connection, now):
            return 0.0
        at = rows.next_due(connection)
        return LOOK_AGAIN if at is None else min(max((at - now).total_seconds(), 0.0), LOOK_AGAIN)

    def _one(self, connection: sqlite3.Connection, owner: str, dice: random.Random) -> bool:
        """Send one hit that is due; False when another worker was faster."""
        claimed = rows.claim(connection, owner=owner, clock=self._clock, lease=self._lease)
        if claimed is None:
            return False
        if isinstance(claimed, Claimed):
            ended = self._attempt(claimed)
            row, is_ours = rows.settle(connection, claimed.row, ended, self._clock, dice)
            if not is_ours:
                _LOG.info("Hit %s was taken over by another sender", row.id)
        else:
            row = claimed
        if row.state == "dead":
            _LOG.warning("Hit %s for site %s is dead: %s", row.id, row.site, row.error)
        self._tell_callers(connection, row)
        return True

    def _attempt(self, claimed: Claimed) -> Ended:
        """One request. What keeps it from being made leaves the hit for later."""
        row = claimed.row
        try:
            site = self._site_of(row)
            tracker, token = site.tracking_url, site.tracking_token()
        except (Problem, MatokitError) as error:
            return Later(str(error).rstrip("."), False)
        form = form_of(claimed.payload, row.accepted_at, self._clock.now())
        try:
            return send_hit(tracker, token, form, self._clock, self._patience)
        except Exception as error:  # a defect of ours: it may have been sent
            _LOG.exception("Hit %s failed", row.id)
            return Later(f"a defect in matokit ({type(error).__name__})", True)

    def _site_of(self, row: Row) -> Site:
        """The site of a hit as it is configured now. Two Matomos may have sites of one number: never the other's."""
        for site in (*self._sites.all, self._sites.find(row.site)):
            if site.id == row.site and row.tracker == site.tracking_url:
                return site
        for site in (*self._sites.all, self._sites.find(row.site)):
            if site.id == row.site and row.site_name == site.name:
                return site  # its Matomo has moved
        raise refused(f"site {row.site} ({row.site_name}) is no longer configured")

    def _tell_callers(self, connection: sqlite3.Connection, row: Row) -> None:
        """Let go who waits for what is over, or will not be within the time they wait."""
        if not row.is_over and self._may_go_soon(connection, row):
            return
        with self._news:
            waiting = list(self._callers.get(row.id, ()))
        for event in waiting:
            event.set()
