"""The rows of the tracking queue against a plain model, whatever happens in whatever order.

Hits are accepted, claimed, sent, answered in every way, their senders die before or after the hit arrived, the clock
moves on. Held: order of a visitor, at least once without a key, at most once with one, every end visible.
"""

from __future__ import annotations

import random
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from matokit_pipelines import state
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.sources.tracking_hits import Ended, Later, Refused, Taken
from matokit_pipelines.toolserver.tracking import keeping, rows
from matokit_pipelines.toolserver.tracking.hits import KEY_LASTS, Hit
from matokit_pipelines.toolserver.tracking.rows import Claimed, Row

LEASE = timedelta(seconds=30)
START = datetime(2026, 11, 1, 12, tzinfo=UTC)
VISITORS = st.sampled_from(["a", "b", None])
KEYS = st.sampled_from([None, None, "k1", "k2", "k3"])
# What an attempt may come to, by whether the hit arrived.
ARRIVED: list[Ended] = [
    Taken(204),
    Taken(200),
    Later("it did not answer in time", True),
    Later("it answered 502", True),
]
LOST: list[Ended] = [
    Refused("it answered 400", 400),
    Later("nothing listens there", False, is_down=True),
    Later("it answered 429", False, 429, 60.0),
    Later("it answered 503", False, 503),
    Later("the connection was lost", True),
]


@dataclass
class Told:
    """What the model knows of a row."""

    visitor: str | None
    key: str | None
    accepted_at: datetime
    arrived: int = 0
    is_over: bool = False
    is_revived: bool = False


@dataclass
class Sender:
    """One that holds a row, and whether what it sent arrived."""

    row: Row
    arrived: bool
    until: datetime
    others: list[Ended] = field(default_factory=list)


class Queue(RuleBasedStateMachine):
    """One store, one tracker."""

    @initialize(seed=st.integers(0, 1_000))
    def begin(self, seed: int) -> None:
        self.stack = ExitStack()
        home = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.store = self.stack.enter_context(state.opened(home))
        self.store.execute("pragma synchronous = off")
        self.now, self.dice = START, random.Random(seed)
        self.told: dict[int, Told] = {}
        self.keys: dict[str, int] = {}
        self.senders: list[Sender] = []
        self.arrivals: list[int] = []

    # -- what may happen ------------------------------------------------------------------------------------------

    @rule(visitor=VISITORS, key=KEYS)
    def accept(self, visitor: str | None, key: str | None) -> None:
        hit = Hit("event", "1", "shop", "http://m/matomo.php", {"e_c": "c", "e_a": "a"}, visitor, key=key)
        with state.transaction(self.store):
            row, is_new = rows.accept(self.store, hit, self.now)
        known = self.keys.get(key) if key else None
        if known is not None:
            before = self.told[known]
            ended = before.is_over and before.accepted_at + KEY_LASTS <= self.now
            assert is_new == ended
            assert is_new or row.id == known
        else:
            assert is_new
        if is_new:
            self.told[row.id] = Told(visitor, key, self.now)
            if key:
                self.keys[key] = row.id

    @rule(arrives=st.booleans())
    def send(self, arrives: bool) -> None:
        claimed = rows.claim(self.store, owner=f"s{len(self.arrivals)}", clock=FixedClock(self.now), lease=LEASE)
        if isinstance(claimed, Claimed):
            self.check_order(claimed.row)
            if arrives:
                self.told[claimed.row.id].arrived += 1
                self.arrivals.append(claimed.row.id)
            self.senders.append(Sender(claimed.row, arrives, self.now + LEASE))
        elif claimed is not None:
            self.lost_its_sender(claimed)

    @precondition(lambda self: bool(self.senders))
    @rule(data=st.data())
    def answered(self, data: st.DataObject) -> None:
        sender = self.senders.pop(data.draw(st.integers(0, len(self.senders) - 1)))
        ended = data.draw(st.sampled_from(ARRIVED if sender.arrived else LOST))
        before = rows.found_row(self.store, sender.row.id)
        row, is_ours = rows.settle(self.store, sender.row, ended, FixedClock(self.now), self.dice)
        if not is_ours:
            assert row == before
            return
        assert row.state == self.expected(sender.row, ended)
        self.told[row.id].is_over = row.is_over

    @precondition(lambda self: bool(self.senders))
    @rule(data=st.data())
    def killed(self, data: st.DataObject) -> None:
        self.senders.pop(data.draw(st.integers(0, len(self.senders) - 1)))

    @rule(seconds=st.sampled_from([0.2, 3.0, 31.0, 901.0, 86_401.0]))
    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def tidied(self) -> None:
        keeping.tidy(self.store, FixedClock(self.now))

    @rule()
    def tried_anew(self) -> None:
        for number in keeping.retry(self.store, self.now):
            self.told[number].is_over = False
            self.told[number].is_revived = True

    # -- what must hold -------------------------------------------------------------------------------------------

    def expected(self, row: Row, ended: Ended) -> str:
        if isinstance(ended, Taken):
            return "done"
        if isinstance(ended, Refused) or (ended.is_unknown and self.told[row.id].key) or row.is_given_up(self.now):
            return "dead"
        return "pending"

    def lost_its_sender(self, row: Row) -> None:
        told = self.told[row.id]
        assert told.key is not None
        assert (row.state, row.is_unknown) == ("dead", True)
        assert rows.UNKNOWN in (row.error or "")
        told.is_over = True

    def check_order(self, row: Row) -> None:
        """Nothing of the same visitor that was accepted before may still be on its way."""
        told = self.told[row.id]
        earlier = [t for n, t in self.told.items() if n < row.id and t.visitor == told.visitor and not t.is_revived]
        assert told.visitor is None or all(one.is_over for one in earlier)
        assert not told.is_over

    @invariant()
    def at_most_once_with_a_key(self) -> None:
        assert all(told.arrived <= 1 for told in getattr(self, "told", {}).values() if told.key)

    @invariant()
    def one_of_a_lane_is_due(self) -> None:
        if not hasattr(self, "store"):
            return
        lanes = self.store.execute(
            "select sum(due_at is not null) as due from tracking_queue where state in ('pending', 'sending') "
            "group by lane"
        )
        assert all(lane["due"] == 1 for lane in lanes)

    def teardown(self) -> None:
        """Everything that was accepted arrives, or is dead for a reason that says so."""
        if not hasattr(self, "store"):
            return
        try:
            self.senders.clear()
            while keeping.waiting(self.store)[0]:
                self.send(arrives=True)
                while self.senders:
                    row, _ = rows.settle(
                        self.store, self.senders.pop().row, Taken(204), FixedClock(self.now), self.dice
                    )
                    assert row.state == "done"
                    self.told[row.id].is_over = True
                self.now += timedelta(seconds=31)
            dead = {row.id: row for row in keeping.listed(self.store, ("dead",))}
            for number, told in self.told.items():
                assert told.is_over
                assert told.arrived or number in dead or told.accepted_at < self.now - keeping.DEAD_STAYS
            self.at_most_once_with_a_key()
            assert all(row.error for row in dead.values())
        finally:
            self.stack.close()


Queue.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestQueue = Queue.TestCase
