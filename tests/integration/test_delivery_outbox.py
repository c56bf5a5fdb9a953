"""The outbox: keys once, order within a conversation, leases, tries and ages, whatever senders do and when they die."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from matokit_pipelines import state
from matokit_pipelines.delivery import outbox
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.delivery.operators import tell_operators
from matokit_pipelines.delivery.outbox import Claimed
from matokit_pipelines.delivery_settings import RecipientSettings
from tests.delivering import ON_SLACK, START, Office

LEASE = timedelta(minutes=1)
DESTINATIONS = ("slack:#a", "files")


class Senders(RuleBasedStateMachine):
    """Several senders over one outbox, each of which may vanish at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.opened = state.opened(Path(self.folder.name))
        self.connection = self.opened.__enter__()
        self.now = START
        self.put: dict[str, list[str]] = {}
        self.ended: dict[str, list[str]] = {}
        self.held: dict[str, tuple[Claimed, Any]] = {}
        self.numbers = Counter[str]()

    def teardown(self) -> None:
        self.opened.__exit__(None, None, None)
        self.folder.cleanup()

    @rule(conversation=st.sampled_from("xyz"), destination=st.sampled_from(DESTINATIONS), wait=st.integers(0, 3))
    def enqueue(self, conversation: str, destination: str, wait: int) -> None:
        place = f"{conversation}|{destination}"
        self.numbers[place] += 1
        key = f"{place}|{self.numbers[place]}"
        values: dict[str, Any] = {
            "message_key": key, "conversation": place, "destination": destination, "severity": "warning",
            "message": Message("s", "t"), "due": self.now + timedelta(minutes=wait), "now": self.now,
        }  # fmt: skip
        assert outbox.enqueue(self.connection, **values)
        assert not outbox.enqueue(self.connection, **values)
        self.put.setdefault(place, []).append(key)

    @rule(sender=st.sampled_from("12"), destination=st.sampled_from(DESTINATIONS))
    def claim(self, sender: str, destination: str) -> None:
        claimed = outbox.claim(self.connection, destination=destination, owner=sender, now=self.now, lease=LEASE)
        if claimed is None:
            assert destination not in outbox.due_destinations(self.connection, self.now)
            return
        for other, (held, until) in self.held.items():
            if held.row.id == claimed.row.id:
                assert until <= self.now, f"{other} still held it"
                assert claimed.is_unknown
        place = claimed.row.conversation
        left = [key for key in self.put[place] if key not in self.ended.get(place, [])]
        assert claimed.row.message_key == left[0], "something overtook an earlier message"
        self.held[sender] = (claimed, self.now + LEASE)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), how=st.sampled_from(["sent", "dead", "later", "plain", "renewed", "vanished"]))
    def end(self, data: st.DataObject, how: str) -> None:
        sender = data.draw(st.sampled_from(sorted(self.held)))
        claimed, _ = self.held.pop(sender)
        row = claimed.row
        mine = self._is_mine(claimed, sender)
        if how == "vanished":
            return
        if how == "renewed":
            assert outbox.renew(self.connection, row, self.now, LEASE) == mine
            if mine:
                self.held[sender] = (claimed, self.now + LEASE)
            return
        if how == "sent":
            done = outbox.mark_sent(self.connection, row, self.now, "ref")
        elif how == "dead":
            done = outbox.mark_dead(self.connection, row, "why")
        else:
            done = outbox.mark_waiting(
                self.connection, claimed, now=self.now, next_at=self.now + timedelta(seconds=90), why="why",
                certain=how == "later", answered=True, is_plain=how == "plain",
            )  # fmt: skip
        assert done == mine, "a sender that lost a row still wrote to it, or could not write to its own"
        if done and how in ("sent", "dead"):
            self.ended.setdefault(row.conversation, []).append(row.message_key)

    def _is_mine(self, claimed: Claimed, sender: str) -> bool:
        [row] = [row for row in outbox.listed(self.connection) if row.id == claimed.row.id]
        return row.state == "sending" and row.lease_owner == sender

    @rule(seconds=st.integers(1, 200))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(minutes=st.sampled_from((5, 120, 1_440)))
    def put_back(self, minutes: int) -> None:
        """The clock, once somebody looks: who sends has a lease left at most."""
        self.now -= timedelta(minutes=minutes)
        outbox.due_destinations(self.connection, self.now)
        self.held = {name: (held, min(until, self.now + LEASE)) for name, (held, until) in self.held.items()}

    @invariant()
    def all_is_there_and_ended_in_order(self) -> None:
        assert sum(outbox.counts(self.connection).values()) == sum(map(len, self.put.values()))
        for place, ended in self.ended.items():
            assert ended == self.put[place][: len(ended)]

    @invariant()
    def what_is_due_can_be_told(self) -> None:
        due = outbox.next_due(self.connection)
        if outbox.due_destinations(self.connection, self.now):
            assert due is not None
            assert due <= self.now
        elif due is not None:
            assert due > self.now


Senders.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestSenders = Senders.TestCase


def test_a_row_put_in_goes_with_the_transaction(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "message_key": "k", "conversation": "c", "destination": "files", "severity": "daily",
        "message": Message("s", "t"), "due": START, "now": START,
    }  # fmt: skip
    with state.opened(tmp_path) as connection:
        with suppress(KeyboardInterrupt), state.transaction(connection):
            assert outbox.enqueue(connection, **values)
            raise KeyboardInterrupt
        assert outbox.counts(connection) == {"pending": 0, "sending": 0, "sent": 0, "dead": 0}
        with state.transaction(connection):
            assert outbox.enqueue(connection, **values)
        assert outbox.counts(connection)["pending"] == 1


def test_waits_grow_to_five_minutes_and_differ() -> None:
    dice = random.Random(3)
    for attempts, longest in ((1, 2), (2, 4), (8, 256), (9, 300), (1_000, 300)):
        waits = [outbox.back_off(attempts, dice).total_seconds() for _ in range(200)]
        assert longest * 0.75 <= min(waits) < max(waits) <= longest
        assert len(set(waits)) > 100


def test_retry_makes_the_dead_due_with_tries_and_age_anew(tmp_path: Path) -> None:
    office = Office(tmp_path, settings={"recipients": {"operators": ["files"]}})
    key = office.put("firing", "slack:#alerts")
    office.clock.advance(timedelta(hours=25))
    assert office.drain().dead == 1
    [dead] = office.rows("dead")
    assert dead.is_given_up(office.clock.now())
    with state.opened(tmp_path) as connection:
        assert outbox.retry(connection, office.clock.now()) == 1
        assert outbox.retry(connection, office.clock.now()) == 0
    row = office.row(key)
    assert (row.state, row.answered, row.is_given_up(office.clock.now())) == ("pending", 0, False)
    assert row.created_at == START


def test_retry_of_one_key_takes_a_waiting_row_too(tmp_path: Path) -> None:
    office = Office(tmp_path)
    key = office.put("firing", ON_SLACK, severity="warning")
    office.put("resolved", ON_SLACK, severity="warning")
    office.drain()
    assert office.row(key).next_at > office.clock.now()
    with state.opened(tmp_path) as connection:
        assert outbox.retry(connection, office.clock.now(), key) == 1
        assert outbox.due_destinations(connection, office.clock.now()) == [ON_SLACK]
        assert outbox.retry(connection, office.clock.now(), "unknown") == 0


def test_tidy_leaves_conversations_that_wait_or_are_young(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.put("firing", "files", about="old")
    office.put("firing", "files", about="long")
    office.drain()
    office.clock.advance(timedelta(days=100))
    office.put("resolved", "files", about="long")
    office.put("firing", "files", about="young")
    office.drain()
    with state.opened(tmp_path) as connection:
        assert outbox.tidy(connection, office.clock.now() - timedelta(days=90)) == 1
        assert {row.conversation.split("|")[1] for row in outbox.listed(connection)} == {"long", "young"}


def test_operators_are_told_once_a_key_wherever_they_read(tmp_path: Path) -> None:
    recipients = RecipientSettings(operators=("files", "console"))
    with state.opened(tmp_path) as connection:
        for _ in range(2):
            told = tell_operators(connection, "run-1", "A run\r\nfailed", "Look.\x1b[2J", START, recipients)
        assert not told
        rows = outbox.listed(connection)
        assert sorted(row.destination for row in rows) == ["console", "files"]
        assert {row.subject for row in rows} == {"A run failed"}
        assert tell_operators(connection, "run-1", "s", "t", START, RecipientSettings(operators=("email:a@b.c",)))
        assert tell_operators(connection, "run-2", "s", "t", START, RecipientSettings())
        assert outbox.listed(connection)[0].destination == "files"
