"""Sending what the outbox holds: claim a row, look for it where it may be there already, send it, say how it ended.

A thread for each destination, so that one that hangs or fails delays no other. Any number of processes may drain at
once. Not here: how a service is called (slack.py, email.py and their neighbours), the rows themselves (outbox.py).
"""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
import uuid
from collections import Counter
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from matokit_pipelines import state
from matokit_pipelines.clock import Clock
from matokit_pipelines.delivery import outbox
from matokit_pipelines.delivery.destinations import transport_for
from matokit_pipelines.delivery.operators import is_for_operators, tell_operators
from matokit_pipelines.delivery.outbox import Claimed, Row
from matokit_pipelines.delivery.transport import Delivered, Earlier, Later, Lost, Outcome, Parcel, Refused, Transport
from matokit_pipelines.errors import MatokitError
from matokit_pipelines.settings import Loaded

_LOG = logging.getLogger(__name__)
# Seconds that a lease lasts longer than the longest step: it counts from before the wait for the right to write.
SPARE = state.BUSY_SECONDS + 5.0


@dataclass(frozen=True)
class DrainReport:
    """What one drain did. sent: rows delivered, `found` of them by an earlier try; put_off: calls that did not
    deliver; dead: rows given up. waiting: rows left in the outbox; next_due: when the first of them may be sent.
    sentences: one for each destination, and what went wrong beside a delivery."""

    sent: int = 0
    found: int = 0
    put_off: int = 0
    dead: int = 0
    waiting: int = 0
    next_due: datetime | None = None
    sentences: tuple[str, ...] = ()


def drain(
    loaded: Loaded, clock: Clock, *, limit: int | None = None, only: Collection[str] | None = None
) -> DrainReport:
    """Send everything that is due, `limit` messages at most; come back when nothing more is.

    `only`: keys of the messages that are sent; others wait. What fails stays in the outbox and is due
    again later. StateError when the store cannot be used.
    """
    with state.opened(loaded.home) as connection:
        work = _Work(loaded, clock, limit, only)
        finished: set[str] = set()
        while (due := set(outbox.due_destinations(connection, clock.now(), only)) - finished) and not work.is_over:
            finished |= work.do(sorted(due))
        counts = outbox.counts(connection)
        return DrainReport(
            sent=work.done["sent"],
            found=work.done["found"],
            put_off=work.done["put_off"],
            dead=work.done["dead"],
            waiting=counts["pending"] + counts["sending"],
            next_due=outbox.next_due(connection),
            sentences=tuple(work.sentences()),
        )


@dataclass
class _Work:
    """One drain: what its threads share."""

    loaded: Loaded
    clock: Clock
    limit: int | None
    only: Collection[str] | None = None
    done: Counter[str] = field(default_factory=Counter)
    said: dict[str, str] = field(default_factory=dict)
    sent_to: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        return self.stopped.is_set() or (self.limit is not None and self.done["taken"] >= self.limit)

    def do(self, destinations: list[str]) -> set[str]:
        """One thread for each; gives those that are not to be asked again in this drain."""
        with ThreadPoolExecutor(len(destinations), "delivery") as threads:
            try:
                futures = [threads.submit(_Lane(self, name).run) for name in destinations]
                for future in futures:
                    future.exception()
            except BaseException:
                self.stopped.set()  # each ends after the message it is at
                raise
        return {name for name, future in zip(destinations, futures, strict=True) if not future.result()}

    def take(self) -> bool:
        """Whether one more may be sent, which is then counted."""
        with self.lock:
            if self.is_over:
                return False
            self.done["taken"] += 1
            return True

    def count(self, what: str, destination: str, sentence: str | None = None) -> None:
        with self.lock:
            self.done[what] += 1
            if what == "sent":
                self.sent_to[destination] += 1
            if sentence:
                self.said[destination] = sentence

    def give_back(self) -> None:
        with self.lock:
            self.done["taken"] -= 1

    def sentences(self) -> list[str]:
        """What each destination got, and what it waits for."""
        told = []
        for name in sorted(self.sent_to.keys() | self.said.keys()):
            got = f"{self.sent_to[name]} sent" if self.sent_to[name] else "nothing sent"
            told.append(f"{name}: {got}{'; ' + self.said[name] if name in self.said else ''}.")
        return told


class _Lane:
    """One destination in one drain, in a thread of its own."""

    def __init__(self, work: _Work, destination: str) -> None:
        self._work, self._destination = work, destination
        self._clock = work.clock
        self._owner = uuid.uuid4().hex
        self._dice = random.Random()
        self._last: datetime | None = None

    def run(self) -> bool:
        """Send until nothing is due; False when the destination is not to be asked again in this drain."""
        try:
            with state.opened(self._work.loaded.home) as connection:
                return self._send_all(connection)
        except MatokitError as error:
            self._work.count("errors", self._destination, str(error).rstrip("."))
            return False

    def _send_all(self, connection: sqlite3.Connection) -> bool:
        way = transport_for(self._destination, self._work.loaded)
        if (last := outbox.last_sent(connection, self._destination)) is not None:
            self._last = last.sent_at
        try:
            while self._work.take():
                lease = timedelta(seconds=SPARE + (0.0 if isinstance(way, Later) else way.longest))
                claimed = self._claim(connection, lease)
                if claimed is None:
                    self._work.give_back()
                    return True
                ended = self._deliver(connection, way, claimed, lease)
                if isinstance(ended, Later) and ended.is_down:
                    return False
            return True
        finally:
            if not isinstance(way, Later):
                way.close()

    def _claim(self, connection: sqlite3.Connection, lease: timedelta) -> Claimed | None:
        return outbox.claim(
            connection, destination=self._destination, owner=self._owner, now=self._clock.now(), lease=lease,
            only=self._work.only,
        )  # fmt: skip

    # -- one row --------------------------------------------------------------------------------------------------

    def _deliver(
        self, connection: sqlite3.Connection, way: Transport | Later, claimed: Claimed, lease: timedelta
    ) -> Outcome:
        parcel = self._parcel(connection, claimed, lease)
        try:
            ended = way if isinstance(way, Later) else self._attempt(connection, way, claimed, parcel)
        except Exception as error:  # a defect of ours holds up this message only, and is told
            _LOG.exception("Delivery to %s failed", self._destination)
            ended = Later(f"a defect in matokit ({type(error).__name__})", certain=False)
        is_sent = self._settle(connection, way, claimed, ended)
        if is_sent and isinstance(ended, Delivered) and not isinstance(way, Later):
            self._last = self._clock.now()
            if (missing := way.follow(parcel, ended.ref)) is not None:
                outbox.note(connection, claimed.row, missing)
                _LOG.warning("%s: %s", self._destination, missing)
        return ended

    def _parcel(self, connection: sqlite3.Connection, claimed: Claimed, lease: timedelta) -> Parcel:
        row = claimed.row
        root, last = outbox.root_of(connection, row), outbox.last_sent(connection, row.destination)
        return Parcel(
            message_key=row.message_key,
            conversation=row.conversation,
            severity=row.severity,
            message=claimed.message,
            is_plain=row.is_plain,
            created_at=row.created_at,
            since=row.started_at or row.created_at,
            is_put_back=row.is_put_back,
            ref=row.provider_ref,
            root=Earlier(root.message_key, root.provider_ref) if root else None,
            last=Earlier(last.message_key, last.provider_ref) if last else None,
            still_ours=lambda: outbox.renew(connection, row, self._clock.now(), lease),
        )

    def _attempt(self, connection: sqlite3.Connection, way: Transport, claimed: Claimed, parcel: Parcel) -> Outcome:
        """Look, where an earlier call may have delivered it; then send, unless it is too late for that."""
        if claimed.is_unknown:
            held = outbox.held_until(connection, way.service, way.look_methods, self._clock.now())
            if held is not None:
                wait = (held - self._clock.now()).total_seconds()
                return Later("it may be there already, and cannot be looked for yet", wait=wait, answered=False)
            found = way.look(parcel)
            if isinstance(found, Delivered):
                self._work.count("found", self._destination)
            if found is not None:
                return found
        if claimed.row.is_given_up(self._clock.now()):
            return Refused("it is too late for it", content=False)
        if not self._wait_for_turn(way, parcel):
            return Lost()
        if claimed.is_unknown and outbox.is_begun_anew(connection, claimed.row):
            return Later("the clock was put back while it was looked for", answered=False)
        return way.send(parcel)

    def _wait_for_turn(self, way: Transport, parcel: Parcel) -> bool:
        """Keep the pace that the service allows; then whether the row still is ours."""
        if way.pace and self._last is not None:
            ready = self._last + timedelta(seconds=way.pace)
            left = (ready - self._clock.now()).total_seconds()
            if left > 0:
                self._clock.sleep(min(left, way.pace))
        return parcel.still_ours()

    # -- how it ended ---------------------------------------------------------------------------------------------

    def _settle(self, connection: sqlite3.Connection, way: Transport | Later, claimed: Claimed, ended: Outcome) -> bool:
        """Write down how it ended; whether this sender has delivered it."""
        now, row = self._clock.now(), claimed.row
        match ended:
            case Delivered(ref, note):
                if outbox.mark_sent(connection, row, now, ref, note):
                    self._work.count("sent", self._destination, note)
                    return True
            case Later():
                if ended.method is not None and not isinstance(way, Later):
                    outbox.hold(connection, way.service, ended.method, now + timedelta(seconds=ended.wait), now)
                self._put_off(connection, claimed, ended, now)
            case Refused(why, True, ref) if not row.is_plain and _has_more_than_text(claimed):
                outbox.mark_waiting(
                    connection, claimed, now=now, next_at=now, why=why, certain=True, answered=True, provider_ref=ref,
                    is_plain=True,
                )  # fmt: skip
                self._work.count("put_off", self._destination)
            case Refused(why, _, _):
                self._give_up(connection, row, why, now)
            case Lost():
                _LOG.info("%s: another process took a message over", self._destination)
        return False

    def _put_off(self, connection: sqlite3.Connection, claimed: Claimed, ended: Later, now: datetime) -> None:
        """Due again later, unless this was its last try."""
        row = claimed.row
        wait = max(outbox.back_off(row.attempts + 1, self._dice), timedelta(seconds=ended.wait))
        if ended.method is not None:
            wait = timedelta(seconds=ended.wait)  # as told
        if row.answered + int(ended.answered) >= outbox.MOST_TRIES or row.is_given_up(now):
            self._give_up(connection, row, ended.why, now)
            return
        outbox.mark_waiting(
            connection, claimed, now=now, next_at=now + wait, why=ended.why, certain=ended.certain,
            answered=ended.answered, provider_ref=ended.ref, is_counted=ended.method is None,
        )  # fmt: skip
        self._work.count("put_off", self._destination, f"{row.subject[:80]!r} waits: {ended.why}")

    def _give_up(self, connection: sqlite3.Connection, row: Row, why: str, now: datetime) -> None:
        """Dead, and the operators hear of it: once a day for each destination, and never of their own messages."""
        with state.transaction(connection):
            if not outbox.mark_dead(connection, row, why):
                return
            if not is_for_operators(row.conversation):
                tell_operators(
                    connection,
                    f"dead|{self._destination}|{now:%Y-%m-%d}",
                    f"Messages to {self._destination} were given up",
                    f'"{row.subject[:80]}" for {self._destination} was given up: {why}. `matokit outbox list` shows '
                    "what else was; when the cause is gone, `matokit outbox retry` sends it again.",
                    now,
                    self._work.loaded.settings.recipients,
                    not_by=self._destination,
                )
        self._work.count("dead", self._destination, f"{row.subject[:80]!r} was given up: {why}")


def _has_more_than_text(claimed: Claimed) -> bool:
    message = claimed.message
    return message.html is not None or message.blocks is not None
