"""The outbox when the machine's clock is put back: nothing waits longer than its own rule says, nothing comes twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from matokit_pipelines import state
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.delivery import outbox
from matokit_pipelines.delivery.draining import drain
from matokit_pipelines.delivery.outbox import Claimed
from matokit_pipelines.delivery.slack import SlackBot
from matokit_pipelines.delivery.transport import Outcome, Parcel
from matokit_pipelines.simulator.mail import MailServer
from matokit_pipelines.simulator.slack import SlackSimulator
from tests.delivering import BY_MAIL, ON_SLACK, Office, keys

BACK = [timedelta(minutes=5), timedelta(hours=2), timedelta(days=1)]
LEASE = timedelta(minutes=1)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """Slack's clock is right all the time; it starts where the office's will be put back to."""
    made = Office(tmp_path)
    with SlackSimulator() as made.slack:
        yield made


def slack_of(office: Office) -> SlackSimulator:
    assert office.slack is not None
    return office.slack


def claimed(office: Office, owner: str, destination: str = ON_SLACK) -> Claimed | None:
    with state.opened(office.home) as store:
        return outbox.claim(store, destination=destination, owner=owner, now=office.clock.now(), lease=LEASE)


def due(office: Office) -> list[str]:
    with state.opened(office.home) as store:
        return outbox.due_destinations(store, office.clock.now())


@pytest.mark.parametrize("back", BACK)
def test_a_message_that_is_due_is_sent_at_once(office: Office, back: timedelta) -> None:
    key = office.put("firing")
    office.clock.advance(-back)
    assert due(office) == [ON_SLACK]
    assert office.drain().sent == 1
    assert keys(slack_of(office)) == [key]


@pytest.mark.parametrize("back", BACK)
def test_what_failed_is_tried_again_after_its_wait(office: Office, back: timedelta) -> None:
    key = office.put("firing")
    slack_of(office).put_up("error", "chat.postMessage")
    office.drain()
    wait = office.row(key).next_at - office.clock.now()
    office.clock.advance(-back)
    assert due(office) == []
    office.clock.advance(wait)
    assert office.drain().sent == 1
    assert keys(slack_of(office)) == [key]


@pytest.mark.parametrize("back", BACK)
def test_a_service_that_asked_to_wait_is_left_alone_for_that_long(office: Office, back: timedelta) -> None:
    office.put("firing")
    now = office.clock.now()
    with state.opened(office.home) as store:
        outbox.hold(store, "slack", "send", now + timedelta(minutes=3), now)
    office.clock.advance(-back)
    assert due(office) == []
    office.clock.advance(timedelta(minutes=3))
    assert office.drain().sent == 1


@pytest.mark.parametrize("back", BACK)
def test_who_is_sending_keeps_its_message_for_one_lease_more_at_most(office: Office, back: timedelta) -> None:
    key = office.put("firing")
    sending = claimed(office, "one")
    assert sending is not None
    office.clock.advance(-back)
    assert claimed(office, "two") is None
    office.clock.advance(LEASE - timedelta(seconds=1))
    assert claimed(office, "two") is None
    with state.opened(office.home) as store:
        assert outbox.renew(store, sending.row, office.clock.now(), LEASE)
        assert outbox.mark_sent(store, sending.row, office.clock.now(), "ref")
    assert office.row(key).state == "sent"


@pytest.mark.parametrize("back", BACK)
def test_the_message_of_a_sender_that_ended_is_taken_over_after_a_lease(office: Office, back: timedelta) -> None:
    office.put("firing")
    assert claimed(office, "one") is not None
    office.clock.advance(-back)
    assert due(office) == []
    office.clock.advance(LEASE)
    taken = claimed(office, "two")
    assert taken is not None
    assert taken.is_unknown


@pytest.mark.parametrize("back", BACK)
def test_what_slack_took_by_its_own_clock_is_found_and_not_sent_again(tmp_path: Path, back: timedelta) -> None:
    office = Office(tmp_path)
    right = FixedClock(office.clock.now() - back)  # the machine's clock is ahead until it is put right
    with SlackSimulator(now=right.now) as office.slack:
        put = [office.put("firing")]
        office.slack.put_up("dropped_after", "chat.postMessage")
        assert office.drain().put_off == 1
        right.advance(timedelta(minutes=30))
        office.clock.advance(right.now() - office.clock.now())
        put.append(office.put("resolved"))
        report = None
        while report is None or report.waiting:
            report = drain(office.loaded, office.clock)
            for clock in (office.clock, right):
                clock.advance(timedelta(minutes=5))
        assert keys(office.slack) == put


@pytest.mark.parametrize("back", BACK)
def test_a_mail_of_unknown_outcome_keeps_its_id_and_has_no_date_to_come(tmp_path: Path, back: timedelta) -> None:
    office = Office(tmp_path)
    with MailServer() as office.mail:
        office.put("firing", BY_MAIL)
        assert claimed(office, "one", BY_MAIL) is not None  # its sender ends
        office.clock.advance(-back)
        due(office)
        office.clock.advance(LEASE)
        assert office.drain().sent == 1
        [row] = office.rows("sent")
        assert row.started_at is not None
        assert row.started_at == office.clock.now() - LEASE


@pytest.mark.parametrize("back", BACK)
def test_quiet_hours_end_at_their_time(office: Office, back: timedelta) -> None:
    morning = office.clock.now() + timedelta(hours=8)
    key = office.put("resolved", severity="warning", due=morning)
    office.clock.advance(-back)
    assert due(office) == []
    wanted = morning - timedelta(days=1) if back == timedelta(days=1) else morning
    assert office.row(key).next_at == wanted
    office.clock.advance(wanted - office.clock.now())
    assert office.drain().sent == 1


def test_the_age_of_a_message_counts_from_the_clock_that_was_put_right(office: Office) -> None:
    slack_of(office).down()
    key = office.put("firing")
    office.drain()
    office.clock.advance(-timedelta(days=1))
    for _ in range(2):
        office.drain()
        office.clock.advance(timedelta(hours=12, minutes=10))
    office.drain()
    assert office.row(key).state == "dead"


@pytest.mark.parametrize("back", [*BACK, timedelta(minutes=30)])
def test_what_slack_takes_while_the_clock_is_put_right_comes_once(tmp_path: Path, back: timedelta) -> None:
    office = Office(tmp_path)
    right = FixedClock(office.clock.now() - back)

    def put_right() -> datetime:
        """Slack's time, and the machine's from the first message on that Slack takes."""
        office.clock.advance(right.now() - office.clock.now())
        return right.now()

    with SlackSimulator(now=put_right) as office.slack:
        key = office.put("firing")
        office.slack.put_up("dropped_after", "chat.postMessage")
        assert office.drain().put_off == 1
        row = office.row(key)
        assert row.started_at is not None
        assert (row.started_at <= office.clock.now(), row.is_put_back) == (True, True)
        for _ in range(3):
            for clock in (office.clock, right):
                clock.advance(timedelta(hours=1))
            office.drain()
        assert office.row(key).state == "sent"
        assert keys(office.slack) == [key]


@pytest.mark.parametrize("back", BACK)
def test_what_is_looked_for_while_the_clock_is_put_right_is_looked_for_again(
    tmp_path: Path, back: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    office, look = Office(tmp_path), SlackBot.look
    right = FixedClock(office.clock.now() - back)

    def put_right(way: SlackBot, parcel: Parcel) -> Outcome | None:
        office.clock.advance(right.now() - office.clock.now())
        return look(way, parcel)

    with SlackSimulator(now=right.now) as office.slack:
        key = office.put("firing")
        office.slack.put_up("dropped_after", "chat.postMessage")
        office.drain()
        for clock in (office.clock, right):
            clock.advance(timedelta(minutes=5))
        monkeypatch.setattr(SlackBot, "look", put_right)
        for _ in range(3):
            office.drain()
            for clock in (office.clock, right):
                clock.advance(timedelta(minutes=5))
        assert office.row(key).state == "sent"
        assert keys(office.slack) == [key]


@pytest.mark.parametrize("back", BACK)
def test_a_sender_that_renewed_by_the_clock_that_was_put_right_hides_nothing(office: Office, back: timedelta) -> None:
    office.put("firing")
    sending = claimed(office, "one")
    assert sending is not None
    office.clock.advance(-back)
    with state.opened(office.home) as store:
        assert outbox.renew(store, sending.row, office.clock.now(), LEASE)
    office.clock.advance(LEASE)
    taken = claimed(office, "two")
    assert taken is not None
    assert taken.row.started_at == office.clock.now() - LEASE
    assert taken.row.is_put_back
    assert taken.row.revived_at == office.clock.now() - LEASE  # its age counts from then


@pytest.mark.parametrize("back", BACK)
def test_a_retry_by_the_clock_that_was_put_right_hides_nothing(office: Office, back: timedelta) -> None:
    key = office.put("firing")
    sending = claimed(office, "one")
    assert sending is not None
    with state.opened(office.home) as store:
        assert outbox.mark_dead(store, sending.row, "why")
        office.clock.advance(-back)
        assert outbox.retry(store, office.clock.now()) == 1
    row = office.row(key)
    assert (row.started_at, row.is_put_back) == (office.clock.now(), True)


@pytest.mark.parametrize("back", BACK)
def test_a_second_429_after_the_clock_was_put_right_holds_for_as_long_as_it_says(
    office: Office, back: timedelta
) -> None:
    office.put("firing")
    with state.opened(office.home) as store:
        for before in (timedelta(0), back):
            now = office.clock.now() - before
            assert outbox.held_until(store, "slack", ["send"], now) is None
            outbox.hold(store, "slack", "send", now + timedelta(minutes=3), now)
            outbox.hold(store, "slack", "send", now + timedelta(minutes=1), now)  # the longer one stays
            assert outbox.held_until(store, "slack", ["send"], now) == now + timedelta(minutes=3)
        office.clock.advance(-back)
        assert due(office) == []
        office.clock.advance(timedelta(minutes=3))
        assert due(office) == [ON_SLACK]


def test_who_waited_for_the_right_to_write_cuts_no_lease_short(office: Office) -> None:
    office.put("firing")
    sending = claimed(office, "one")
    assert sending is not None
    office.clock.advance(-timedelta(seconds=state.BUSY_SECONDS))  # when the other began to wait
    assert claimed(office, "two") is None
    assert due(office) == []
    assert office.rows("sending") == [sending.row]


def test_order_in_a_conversation_is_kept_and_files_are_not_doubled(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.put("firing", "files")
    assert claimed(office, "one", "files") is not None
    office.clock.advance(-timedelta(hours=2))
    office.put("resolved", "files")
    assert due(office) == []
    office.clock.advance(LEASE)
    assert office.drain().sent == 2
    firing, resolved = office.rows()
    assert firing.sent_at is not None
    assert resolved.sent_at is not None
    assert firing.sent_at <= resolved.sent_at
    assert len(list((office.home / "messages").glob("*.txt"))) == 2
