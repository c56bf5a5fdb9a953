"""Services gone for a day, and destinations that hang: what is still due arrives in order, no other waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from matokit_pipelines.delivery.draining import drain
from matokit_pipelines.delivery.mails import message_id
from matokit_pipelines.simulator.mail import MailServer
from matokit_pipelines.simulator.slack import SlackSimulator
from matokit_pipelines.simulator.slack_store import Channel
from tests.delivering import BY_MAIL, ON_SLACK, Office, is_in_order, keys, message


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    with SlackSimulator(now=made.clock.now) as made.slack, MailServer(now=made.clock.now) as made.mail:
        yield made


def test_slack_and_mail_gone_for_a_day(office: Office) -> None:
    assert office.slack is not None
    assert office.mail is not None
    put: dict[tuple[str, str], list[str]] = {}

    def tell(kind: str, about: str, severity: str) -> None:
        for place in (ON_SLACK, BY_MAIL):
            key = office.put(kind, place, about=about, severity=severity, told=message(f"{about} {kind}", images=()))
            put.setdefault((about, place), []).append(key)

    tell("firing", "before", "critical")
    office.drain()
    office.slack.down()
    office.mail.down()
    tell("firing", "early", "critical")
    for hour in range(24):
        if hour % 6 == 1:
            tell("firing", f"w{hour}", "warning")
        if hour == 3:
            tell("resolved", "before", "warning")
            tell("resolved", "early", "warning")
        if hour % 6 == 4:
            tell("resolved", f"w{hour - 3}", "warning")
            tell("firing", f"c{hour}", "critical")
        for _ in range(4):
            report = office.drain()
            assert report.sent == 0
            office.clock.advance(timedelta(minutes=15, seconds=5))
    office.slack.up()
    office.mail.up()
    office.drain_until_empty()
    mails = [str(kept.mail["Message-ID"]) for kept in office.mail.kept]
    for (about, place), expected in put.items():
        due = expected[1:] if about == "early" else expected  # a critical message of more than a day ago misleads
        there = keys(office.slack) if place == ON_SLACK else mails
        wanted = due if place == ON_SLACK else [message_id(key, "matokit@example.org") for key in due]
        assert [key for key in there if key in wanted] == wanted, (about, place)
    assert len(keys(office.slack)) == len(set(keys(office.slack)))
    assert {row.message_key for row in office.rows("dead")} == {put["early", ON_SLACK][0], put["early", BY_MAIL][0]}


def test_a_destination_that_hangs_delays_no_other(office: Office) -> None:
    """While one call to Slack hangs, everything else arrives; only then it is let go."""
    assert office.slack is not None
    assert office.mail is not None
    office.slack.store.channels["C0SECOND00"] = Channel("C0SECOND00", "second")
    hangs, let_go = threading.Event(), threading.Event()

    def hold_up(number: int, method: str) -> None:
        if number == 1:
            hangs.set()
            let_go.wait(30)

    office.slack.on_request = hold_up
    stuck = office.put("firing", ON_SLACK)
    loaded = office.loaded
    first = threading.Thread(target=drain, args=(loaded, office.clock))
    first.start()
    assert hangs.wait(10)
    others = [office.put("firing", place) for place in ("slack:C0SECOND00", BY_MAIL, "files")]
    try:
        assert drain(loaded, office.clock).sent == 3
        assert [office.row(key).state for key in others] == ["sent"] * 3
        assert office.row(stuck).state == "sending"
    finally:
        let_go.set()
        first.join(30)
    assert office.row(stuck).state == "sent"


def test_within_one_drain_too(office: Office) -> None:
    """The hanging call goes on only when the others have arrived; were it in their way, it would fail instead."""
    assert office.slack is not None
    assert office.mail is not None
    mail = office.mail
    waited: list[bool] = []

    def hold_up(number: int, method: str) -> None:
        if number == 1:
            for _ in range(400):
                if mail.kept and (office.home / "messages").is_dir():
                    break
                threading.Event().wait(0.01)
            waited.append(bool(mail.kept))

    office.slack.on_request = hold_up
    for place in (ON_SLACK, BY_MAIL, "files"):
        office.put("firing", place)
    assert office.drain().sent == 3
    assert waited == [True]


def test_what_fails_on_one_side_arrives_on_the_other(office: Office) -> None:
    assert office.slack is not None
    assert office.mail is not None
    office.slack.down()
    put = [office.put(kind, place) for kind in ("firing", "resolved") for place in (ON_SLACK, BY_MAIL)]
    report = office.drain()
    assert (report.sent, report.waiting) == (2, 2)
    assert len(office.mail.kept) == 2
    assert report.next_due is not None
    office.slack.up()
    office.mail.down()
    office.clock.advance(timedelta(minutes=1))
    assert office.drain().sent == 2
    assert is_in_order(keys(office.slack), put)
