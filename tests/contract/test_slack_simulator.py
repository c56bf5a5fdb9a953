"""The simulated Slack answers as the real API does: words of errors, limits, threads, metadata, files, webhooks."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import RemoteDisconnected
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.simulator.slack import ALERTS, SlackSimulator
from matokit_pipelines.simulator.slack_faults import SlackFaults
from matokit_pipelines.simulator.slack_store import Channel

NOW = datetime(2026, 11, 18, 3, tzinfo=UTC)
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}
METADATA = {"event_type": "matokit_message", "event_payload": {"message_key": "k"}}


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def slack(clock: FixedClock) -> Iterator[SlackSimulator]:
    channels = [ALERTS, Channel("C0OTHERS00", "others", is_member=False), Channel("C0GONE0000", "gone", True, True)]
    with SlackSimulator(channels=channels, now=clock.now) as server:
        yield server


@pytest.fixture
def client(slack: SlackSimulator) -> WebClient:
    return WebClient(slack.token, slack.api_url, timeout=5, retry_handlers=[])


def word(call: Any, **arguments: Any) -> str:
    """The word with which a call is refused."""
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    return str(caught.value.response["error"])


def test_a_message_is_kept_with_its_metadata_and_found_again(client: WebClient, slack: SlackSimulator) -> None:
    posted = client.chat_postMessage(channel="#alerts", text="a &lt;b&gt;", blocks=[SECTION], metadata=METADATA)
    assert posted["channel"] == ALERTS.id
    plain = client.conversations_history(channel=ALERTS.id)["messages"]
    whole = client.conversations_history(channel=ALERTS.id, include_all_metadata=True)["messages"]
    assert [("metadata" in found, found["ts"]) for found in plain + whole] == [
        (False, posted["ts"]), (True, posted["ts"]),
    ]  # fmt: skip
    assert whole[0]["metadata"] == METADATA
    assert float(posted["ts"]) == NOW.timestamp()


def test_answers_stay_in_their_thread_unless_they_are_broadcast(client: WebClient) -> None:
    root = client.chat_postMessage(channel=ALERTS.id, text="root")["ts"]
    client.chat_postMessage(channel=ALERTS.id, text="quiet", thread_ts=root)
    client.chat_postMessage(channel=ALERTS.id, text="loud", thread_ts=root, reply_broadcast=True)
    shown = client.conversations_history(channel=ALERTS.id)["messages"]
    assert [(found["text"], found.get("subtype")) for found in shown] == [("loud", "thread_broadcast"), ("root", None)]
    thread = client.conversations_replies(channel=ALERTS.id, ts=root, oldest="9999999999")["messages"]
    assert [found["text"] for found in thread] == ["root"]
    thread = client.conversations_replies(channel=ALERTS.id, ts=root)["messages"]
    assert [found["text"] for found in thread] == ["root", "quiet", "loud"]
    assert word(client.chat_postMessage, channel=ALERTS.id, text="x", thread_ts="1.000001") == "thread_not_found"


def test_history_comes_in_pages_newest_first_and_from_a_time_on(client: WebClient, clock: FixedClock) -> None:
    for number in range(5):
        client.chat_postMessage(channel=ALERTS.id, text=str(number))
        clock.advance(timedelta(minutes=1))
    first = client.conversations_history(channel=ALERTS.id, limit=2)
    rest = client.conversations_history(
        channel=ALERTS.id, limit=9, cursor=first["response_metadata"]["next_cursor"], oldest="0"
    )
    assert [found["text"] for found in first["messages"] + rest["messages"]] == ["4", "3", "2", "1", "0"]
    since = client.conversations_history(channel=ALERTS.id, oldest=str((NOW + timedelta(minutes=2.5)).timestamp()))
    assert [found["text"] for found in since["messages"]] == ["4", "3"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"text": ""}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "x", "blocks": [SECTION] * 51}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "unheard"}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]},
         "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3_001}}]},
         "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}]},
         "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2_001}]}]},
         "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "context", "elements": []}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2_900}}] * 5},
         "msg_blocks_too_long"),
        ({"text": "x", "metadata": {"event_type": "a"}}, "invalid_metadata_format"),
        ({"text": "x", "channel": "#unknown"}, "channel_not_found"),
        ({"text": "x", "channel": "#others"}, "not_in_channel"),
        ({"text": "x", "channel": "#gone"}, "is_archived"),
    ],
)  # fmt: skip
def test_what_slack_does_not_take(client: WebClient, arguments: dict[str, Any], told: str) -> None:
    assert word(client.chat_postMessage, **({"channel": "#alerts"} | arguments)) == told


def test_tokens_and_scopes(slack: SlackSimulator, client: WebClient) -> None:
    assert client.auth_test()["user"] == "matokit"
    stranger = WebClient("xoxb-other", slack.api_url, retry_handlers=[])
    assert word(stranger.chat_postMessage, channel="#alerts", text="x") == "invalid_auth"
    assert word(WebClient(None, slack.api_url, retry_handlers=[]).auth_test) == "not_authed"
    slack.scopes = frozenset({"chat:write"})
    assert client.chat_postMessage(channel="#alerts", text="x").headers["X-OAuth-Scopes"] == "chat:write"
    assert word(client.conversations_history, channel=ALERTS.id) == "missing_scope"
    assert word(client.conversations_list) == "missing_scope"
    assert word(client.api_call, api_method="chat.unheard") == "unknown_method"


def test_history_wants_an_id_and_lists_give_it(client: WebClient) -> None:
    assert word(client.conversations_history, channel="#alerts") == "channel_not_found"
    found = client.conversations_list(exclude_archived=True)["channels"]
    assert {channel["name"]: channel["id"] for channel in found} == {"alerts": ALERTS.id, "others": "C0OTHERS00"}


def test_a_message_is_updated(client: WebClient, slack: SlackSimulator) -> None:
    posted = client.chat_postMessage(channel="#alerts", text="before")
    client.chat_update(channel=ALERTS.id, ts=posted["ts"], text="after")
    assert [kept.body["text"] for kept in slack.messages] == ["after"]
    assert word(client.chat_update, channel=ALERTS.id, ts="1.000001", text="x") == "message_not_found"


def test_a_file_is_uploaded_in_three_requests_into_a_thread(client: WebClient, slack: SlackSimulator) -> None:
    root = client.chat_postMessage(channel="#alerts", text="root")["ts"]
    client.files_upload_v2(channel=ALERTS.id, thread_ts=root, filename="a.png", file=b"bytes", title="A chart")
    [kept] = slack.files.values()
    assert (kept["name"], kept["title"], kept["content"], kept["shared"]) == (
        "a.png", "A chart", b"bytes", [(ALERTS.id, root)],
    )  # fmt: skip
    assert slack.requests.counts["upload"] == 1
    assert word(client.files_completeUploadExternal, files=[{"id": "F1", "title": "x"}]) == "file_not_found"


def test_a_webhook_posts_into_its_channel_and_tells_words(slack: SlackSimulator) -> None:
    hook = WebhookClient(slack.webhook_url, retry_handlers=[])
    assert (hook.send(text="a").status_code, hook.send(text="b").body) == (200, "ok")
    assert [kept.body for kept in slack.messages] == [{"text": "a"}, {"text": "b"}]
    refused = hook.send(text="", blocks=[])
    assert (refused.status_code, refused.body) == (400, "no_text")
    refused = hook.send(text="a", blocks=[{"type": "section"}])
    assert (refused.status_code, refused.body) == (400, "invalid_blocks")
    gone = WebhookClient(slack.webhook_url + "x", retry_handlers=[]).send(text="a")
    assert (gone.status_code, gone.body) == (404, "no_service")


def test_too_many_calls_wait_by_method(slack: SlackSimulator, client: WebClient, clock: FixedClock) -> None:
    slack.put_up("limited", "chat.postMessage")
    for _ in range(2):
        with pytest.raises(SlackApiError) as caught:
            client.chat_postMessage(channel="#alerts", text="x")
        assert caught.value.response.status_code == 429
        assert caught.value.response["error"] == "ratelimited"
        assert int(caught.value.response.headers["Retry-After"]) in (30, 31)
    client.conversations_history(channel=ALERTS.id)
    clock.advance(timedelta(seconds=32))
    client.chat_postMessage(channel="#alerts", text="x")
    assert len(slack.messages) == 1


def test_connections_end_before_or_after_a_message_is_taken(slack: SlackSimulator, client: WebClient) -> None:
    slack.put_up("dropped_before", "chat.postMessage")
    with pytest.raises(RemoteDisconnected):
        client.chat_postMessage(channel="#alerts", text="lost")
    assert slack.messages == []
    slack.put_up("dropped_after", "chat.postMessage")
    with pytest.raises(RemoteDisconnected):
        client.chat_postMessage(channel="#alerts", text="there")
    assert [kept.body["text"] for kept in slack.messages] == ["there"]


def test_errors_before_and_after(slack: SlackSimulator, client: WebClient) -> None:
    slack.put_up("error", "chat.postMessage")
    assert word(client.chat_postMessage, channel="#alerts", text="a") == "internal_error"
    slack.put_up("error_after", "chat.postMessage")
    assert word(client.chat_postMessage, channel="#alerts", text="b") == "fatal_error"
    assert [kept.body["text"] for kept in slack.messages] == ["b"]
    assert slack.dice.struck == {"error": 1, "error_after": 1}


def test_a_slack_that_is_down_comes_back_as_it_was(slack: SlackSimulator, client: WebClient) -> None:
    client.chat_postMessage(channel="#alerts", text="a")
    slack.down()
    with pytest.raises(urllib.error.URLError):
        client.chat_postMessage(channel="#alerts", text="b")
    slack.up()
    client.chat_postMessage(channel="#alerts", text="c")
    assert [kept.body["text"] for kept in slack.messages] == ["a", "c"]


def test_the_same_seed_meets_the_same_faults() -> None:
    def struck(seed: int) -> list[str]:
        faults = SlackFaults(seed=seed, dropped_before=0.2, error=0.2, limited=0.1, retry_after=0)
        ended = []
        with SlackSimulator(faults=faults) as server:
            for _ in range(30):
                request = urllib.request.Request(
                    server.api_url + "chat.postMessage",
                    json.dumps({"channel": "#alerts", "text": "x"}).encode(),
                    {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"},
                )
                try:
                    with urllib.request.urlopen(request, timeout=5) as answer:
                        ended.append(str(answer.status))
                except (OSError, RemoteDisconnected) as error:
                    ended.append(type(error).__name__)
        return ended

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)
    assert {"200", "HTTPError", "RemoteDisconnected"} <= set(struck(1))
