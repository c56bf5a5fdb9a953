"""Slack, over real HTTP: each message once and in order, whatever becomes of calls, connections and answers."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import chain, pairwise
from pathlib import Path

import pytest

from matokit_pipelines import state
from matokit_pipelines.delivery import outbox
from matokit_pipelines.delivery.draining import drain
from matokit_pipelines.delivery.slack_payload import MOST_IN_ALL, cut_escaped, fits, key_of, payload, texts
from matokit_pipelines.simulator.slack import ALERTS, SlackSimulator
from matokit_pipelines.simulator.slack_faults import Fault, SlackFaults
from matokit_pipelines.simulator.slack_store import Channel
from tests.delivering import ON_SLACK, PNG, START, Office, is_in_order, keys, message

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    with SlackSimulator(now=made.clock.now) as made.slack:
        yield made


def slack_of(office: Office) -> SlackSimulator:
    assert office.slack is not None
    return office.slack


def test_a_conversation_is_a_thread_with_its_charts(office: Office) -> None:
    put = [
        office.put("firing", told=message("r fails")),
        office.put("reminder:1", told=message("r still fails", images=(), broadcast=True)),
        office.put("resolved", told=message("r is well", images=())),
    ]
    report = office.drain()
    slack = slack_of(office)
    assert (report.sent, report.waiting, report.sentences) == (3, 0, ("slack:#alerts: 3 sent.",))
    assert keys(slack) == put
    root, chart, reminder, resolved = slack.messages
    assert (root.thread_ts, chart.thread_ts, reminder.thread_ts, resolved.thread_ts) == (None, *(root.ts,) * 3)
    assert (reminder.is_broadcast, resolved.is_broadcast) == (True, False)
    assert root.body["text"] == "r fails"
    assert root.body["blocks"][0]["text"] == {"type": "mrkdwn", "text": "13 of 25 events failed.", "verbatim": True}
    [kept] = slack.files.values()
    assert (kept["name"], kept["title"], kept["content"]) == ("chart.png", "Failures by the hour", PNG)
    times = [float(posted.ts) for posted in slack.messages if posted.message_key]
    assert min(later - earlier for earlier, later in pairwise(times)) >= 1.0


@pytest.mark.parametrize("fault", ["dropped_before", "dropped_after", "error", "error_after", "limited", "html"])
def test_a_call_that_goes_wrong_is_made_good_once(office: Office, fault: Fault) -> None:
    put = [office.put(kind) for kind in ("firing", "reminder:1", "resolved")]
    slack = slack_of(office)
    slack.put_up(fault, "chat.postMessage")
    report = office.drain()
    assert (report.sent, report.put_off, report.waiting) == (0, 1, 3)
    row = office.row(put[0])
    assert row.error is not None
    assert (row.state, row.attempts, row.started_at is None) == ("pending", int(fault != "limited"), fault == "limited")
    office.drain_until_empty()
    assert keys(slack) == put
    assert slack.requests.counts["conversations.history"] == int(fault != "limited")


def test_two_waits_in_a_row_are_kept_for_all_channels(office: Office) -> None:
    slack = slack_of(office)
    slack.store.channels["C0SECOND00"] = Channel("C0SECOND00", "second")
    put = [office.put("firing"), office.put("firing", "slack:C0SECOND00")]
    slack.put_up("limited", "chat.postMessage")
    with state.opened(office.home) as connection:
        office.drain(limit=1)
        told = outbox.held_until(connection, "slack", ("send",), office.clock.now())
        assert outbox.due_destinations(connection, office.clock.now()) == []
        assert outbox.next_due(connection) == told
    assert told is not None
    assert timedelta(seconds=29) < told - START <= timedelta(seconds=31)
    office.clock.advance(timedelta(seconds=20))
    assert office.drain().sent == 0
    assert slack.requests.counts["chat.postMessage"] == 1
    office.clock.advance(timedelta(seconds=12))
    slack.put_up("limited", "chat.postMessage")
    office.drain_until_empty(timedelta(seconds=40))
    assert sorted(keys(slack)) == sorted(put)
    assert all(row.answered == 0 for row in office.rows("sent")), "a wait that was asked for uses up no try"


@pytest.mark.parametrize("seed", range(4))
def test_any_faults_each_message_once_and_in_order(office: Office, seed: int) -> None:
    slack = slack_of(office)
    odds = dict.fromkeys(("dropped_before", "dropped_after", "error", "error_after", "limited", "html"), 0.12)
    slack.change(SlackFaults(seed=seed, retry_after=20, **odds))
    put = {
        about: [office.put(kind, about=about) for kind in ("firing", "reminder:1", "reminder:2", "resolved")]
        for about in "abc"
    }
    office.drain_until_empty()
    arrived = keys(slack)
    assert sorted(arrived) == sorted(chain.from_iterable(put.values()))
    for expected in put.values():
        assert is_in_order(arrived, expected)
    threads = {
        about: {posted.thread_ts for posted in slack.messages if posted.message_key in expected[1:]}
        for about, expected in put.items()
    }
    assert all(len(found) == 1 and None not in found for found in threads.values())


def test_an_answer_that_comes_too_late_does_not_double(office: Office) -> None:
    slack = slack_of(office)
    office.settings = {"slack": {"timeout": 1}}
    slack.change(SlackFaults(slow=1.0, slow_seconds=1.5, most_in_a_row=1))
    put = [office.put("firing", told=message(images=()))]
    assert office.drain().sent == 0
    [row] = office.rows("pending")
    assert row.next_at - office.clock.now() >= timedelta(seconds=60)
    slack.change(SlackFaults())
    office.clock.advance(timedelta(minutes=2))
    report = office.drain()
    assert (report.sent, report.found, keys(slack)) == (1, 1, put)


def test_a_sender_that_died_is_followed_by_one_that_looks(office: Office) -> None:
    """Also for an answer in a thread, and behind more messages than a page holds."""
    slack = slack_of(office)
    office.put("firing", told=message(images=()))
    office.drain()
    key = office.put("resolved", told=message(images=()))
    with state.opened(office.home) as connection:
        claimed = outbox.claim(
            connection, destination=ON_SLACK, owner="dead", now=office.clock.now(), lease=timedelta(minutes=1)
        )
    assert claimed is not None
    root = slack.messages[0].ts
    metadata = {"event_type": "matokit_message", "event_payload": {"message_key": key}}
    slack.store.post(ALERTS, {"text": "resolved", "metadata": metadata}, root)
    for number in range(450):
        slack.store.post(ALERTS, {"text": str(number)}, root)
    assert office.drain().sent == 0
    office.clock.advance(timedelta(minutes=2))
    report = office.drain()
    assert (report.found, keys(slack).count(key)) == (1, 1)


@pytest.mark.parametrize("scopes", [{"chat:write"}, {"chat:write", "channels:read"}])
def test_where_it_cannot_be_looked_it_is_sent_again(office: Office, scopes: set[str]) -> None:
    slack = slack_of(office)
    slack.scopes = frozenset(scopes)
    key = office.put("firing", told=message(images=()))
    slack.put_up("dropped_after", "chat.postMessage")
    office.drain_until_empty()
    assert keys(slack) == [key, key]


def test_looking_that_fails_is_no_reason_to_send_again(office: Office) -> None:
    slack = slack_of(office)
    key = office.put("firing", told=message(images=()))
    for fault, method in (
        ("dropped_after", "chat.postMessage"), ("limited", "conversations.history"),
        ("error", "conversations.history"), ("dropped_before", "conversations.list"),
    ):  # fmt: skip
        slack.put_up(fault, method)  # type: ignore[arg-type]
    office.drain_until_empty()
    assert keys(slack) == [key]
    assert slack.requests.counts["chat.postMessage"] == 1


def test_blocks_that_slack_refuses_are_told_in_plain_text(office: Office) -> None:
    slack = slack_of(office)
    office.put("firing", told=message("a <b>", text="of <!channel>", blocks=[{"type": "section"}]))
    assert office.drain().sent == 1
    [posted] = slack.messages
    assert posted.body["text"] == "a &lt;b&gt;\nof &lt;!channel&gt;"
    assert "blocks" not in posted.body
    assert slack.requests.counts["chat.postMessage"] == 2


def test_what_waits_for_a_person_says_what_to_do_and_goes_on_then(office: Office) -> None:
    slack = slack_of(office)
    office.environ["MATOKIT_SLACK_TOKEN"] = "xoxb-wrong"
    put = [office.put(kind) for kind in ("firing", "resolved")]
    [sentence] = office.drain().sentences
    assert "MATOKIT_SLACK_TOKEN" in sentence
    assert "xoxb" not in sentence
    office.environ["MATOKIT_SLACK_TOKEN"] = slack.token
    slack.store.channels[ALERTS.id] = Channel(ALERTS.id, ALERTS.name, is_member=False)
    office.clock.advance(timedelta(minutes=5))
    assert "invite the bot" in office.drain().sentences[0]
    slack.store.channels[ALERTS.id] = ALERTS
    office.drain_until_empty()
    assert keys(slack) == put


def test_without_a_token_it_waits_and_says_so(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.put("firing")
    report = office.drain()
    assert (report.sent, report.waiting, "MATOKIT_SLACK_TOKEN" in report.sentences[0]) == (0, 1, True)


def test_fifty_answers_that_are_no_use_are_enough(office: Office) -> None:
    slack = slack_of(office)
    key = office.put("firing", severity="warning")
    last = office.put("resolved", severity="warning")
    slack.change(SlackFaults(error=1.0, most_in_a_row=10_000))
    for _ in range(49):
        assert office.drain().dead == 0
        office.clock.advance(timedelta(minutes=6))
    assert office.drain().dead == 1
    assert office.row(key).answered == 49
    [told] = [row for row in office.rows() if row.conversation.startswith("operators|")]
    assert (told.destination, "slack:#alerts" in told.subject) == ("files", True)
    slack.change(SlackFaults())
    office.drain_until_empty()
    assert keys(slack) == [last], "a dead message blocks nothing; the next one stands for itself"
    assert slack.messages[0].thread_ts is None


def test_a_critical_message_of_yesterday_is_not_sent(office: Office) -> None:
    slack = slack_of(office)
    slack.down()
    old = office.put("firing")
    warned = office.put("firing", about="w", severity="warning")
    office.drain()
    office.clock.advance(timedelta(hours=23))
    new = office.put("resolved")
    office.clock.advance(timedelta(hours=1, minutes=1))
    slack.up()
    report = office.drain()
    assert (report.dead, office.row(old).state) == (1, "dead")
    office.drain_until_empty()
    assert sorted(keys(slack)) == sorted([new, warned])


def test_a_message_that_arrived_is_not_given_up_for_its_age(office: Office) -> None:
    slack = slack_of(office)
    key = office.put("firing")
    slack.put_up("dropped_after", "chat.postMessage")
    office.drain()
    office.clock.advance(timedelta(hours=30))
    report = office.drain()
    assert (report.found, report.dead, keys(slack)) == (1, 0, [key])


def test_a_thread_that_is_gone_is_left(office: Office) -> None:
    slack = slack_of(office)
    office.put("firing", told=message(images=()))
    office.drain()
    slack.store.messages.clear()
    key = office.put("resolved", told=message(images=()))
    assert office.drain().sent == 1
    assert [(posted.message_key, posted.thread_ts) for posted in slack.messages] == [(key, None)]


@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "upload", "files.completeUploadExternal"])
def test_a_chart_that_fails_is_noted_and_nothing_is_told_twice(office: Office, method: str) -> None:
    slack = slack_of(office)
    slack.put_up("dropped_before", method)
    key = office.put("firing")
    assert office.drain().sent == 1
    assert "Charts are missing" in (office.row(key).error or "")
    assert office.row(key).state == "sent"
    office.clock.advance(timedelta(hours=1))
    assert (office.drain().sent, keys(slack)) == (0, [key])


def test_many_drains_at_once_send_each_message_once(office: Office) -> None:
    put = {about: [office.put(kind, about=about) for kind in ("firing", "resolved")] for about in "abcdefgh"}
    loaded = office.loaded
    with ThreadPoolExecutor(4) as threads:
        reports = list(threads.map(lambda _: drain(loaded, office.clock), range(4)))
    office.drain_until_empty()
    arrived = keys(slack_of(office))
    assert sorted(arrived) == sorted(chain.from_iterable(put.values()))
    assert all(is_in_order(arrived, expected) for expected in put.values())
    assert sum(report.sent for report in reports) <= 16


def test_limit_ends_a_drain(office: Office) -> None:
    for about in "abc":
        office.put("firing", about=about)
    assert (office.drain(limit=2).sent, office.drain(limit=0).sent, office.drain().sent) == (2, 0, 1)


def test_the_webhook_is_the_reduced_mode(office: Office) -> None:
    slack = slack_of(office)
    office.environ |= {"MATOKIT_SLACK_TOKEN": "", "MATOKIT_SLACK_WEBHOOK": slack.webhook_url}
    office.put("firing", told=message("a"))
    office.put("resolved", told=message("b", blocks=[{"type": "section"}]))
    slack.put_up("limited", "webhook")
    assert office.drain().sent == 0
    office.drain_until_empty()
    assert [posted.body["text"] for posted in slack.messages] == ["a", "b\n13 of 25 events failed."]
    assert {posted.thread_ts for posted in slack.messages} == {None}
    office.environ["MATOKIT_SLACK_WEBHOOK"] += "x"
    office.put("firing", about="c")
    [sentence] = office.drain().sentences
    assert "MATOKIT_SLACK_WEBHOOK" in sentence
    assert "services" not in sentence


def test_no_secret_reaches_a_log(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    slack = slack_of(office)
    with caplog.at_level(logging.DEBUG):
        office.put("firing")
        slack.put_up("dropped_after", "chat.postMessage")
        office.drain_until_empty()
        office.environ |= {"MATOKIT_SLACK_TOKEN": "", "MATOKIT_SLACK_WEBHOOK": slack.webhook_url}
        office.put("resolved")
        slack.put_up("error", "webhook")
        office.drain_until_empty()
    assert slack.token not in caplog.text
    assert "/services/" not in caplog.text


HOSTILE = ["<!channel> & <@U1>", "a\r\nBcc: x@y.z", "x" * 10_000, "\u202egnp.exe", "&" * 9_000, "\x1b[2J\x00", "=1+1"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(office: Office, name: str) -> None:
    told = message(f"{name} fails", text=f"{name}\n13 of 25 failed", blocks=None, images=())
    key = office.put("firing", about=name, told=told)
    slack = slack_of(office)
    slack.put_up("dropped_after", "chat.postMessage")
    office.drain_until_empty()
    [posted] = slack.messages
    assert posted.message_key == key_of(key)
    assert "<" not in posted.body["text"]
    assert len(posted.body["text"]) < MOST_IN_ALL
    assert not set(posted.body["text"]) & set("\u202e\r\x1b\x00")


def test_limits_of_blocks_and_what_is_sent_beyond_them() -> None:
    def section(length: int) -> dict[str, object]:
        return {"type": "section", "text": {"type": "mrkdwn", "text": "x" * length}}

    assert fits([section(3_000)] * 3)
    assert not fits([section(3_001)])
    assert not fits([section(2_500)] * 4)
    assert not fits([SECTION] * 51)
    assert not fits([{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}])
    assert not fits([{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2_001}]}])
    assert not fits([{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}])
    assert not fits([section(0)])
    assert set(payload(message(blocks=[section(2_500)] * 4), False)) == {"text"}
    assert list(texts([SECTION, {"type": "image", "alt_text": "b", "image_url": "u"}])) == ["x", "b"]
    assert cut_escaped("a&amp;b", 5) == "a…"
    assert cut_escaped("a&amp;b", 7) == "a&amp;b"


@pytest.mark.parametrize("subject", ["\x07bell\ttab", "<!channel>", "a  b", "m\u00fcnchen", "x" * 400, "\ud800"])
def test_metadata_hold_plain_characters_and_tell_keys_apart(subject: str) -> None:
    key, other = (f"new_failure_pattern|{text}|production|1|firing|{ON_SLACK}" for text in (subject, f"{subject}!"))
    assert re.fullmatch(r"[A-Za-z0-9_.:|#@*,/+~-]{1,300}", key_of(key))
    assert key_of(key) != key_of(other)
    plain = f"overall_success_rate|*|production|1|firing|{ON_SLACK}"
    assert key_of(plain) == plain
