"""Slack by a bot token: threads, charts, looking whether a message is there. Not here: when it is tried again.

The client is told to try nothing again by itself: by default it repeats a POST after a lost connection, which doubles
messages. API: https://docs.slack.dev/reference/methods/chat.postMessage and its neighbours.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from matokit_pipelines.delivery.slack_answers import FAILURES, outcome_of, said
from matokit_pipelines.delivery.slack_payload import carries, metadata, payload
from matokit_pipelines.delivery.transport import SEND, Delivered, Later, Lost, Outcome, Parcel

# Slack's clock need not agree with ours
CLOCKS_APART = timedelta(minutes=10)
PUT_BACK = timedelta(hours=25)  # how far a clock that was put back may have been ahead
MOST_PAGES, A_PAGE = 20, 200
_CHANNEL_ID = re.compile(r"^[CGD][A-Z0-9]{7,}$")
# the message that is answered is gone, or no longer takes answers
_THREAD_LOST = frozenset({"thread_not_found", "message_not_found", "cannot_reply_to_message", "invalid_thread_ts"})
# not granted or not there: whether a message was delivered cannot be known then
_CANNOT_LOOK = frozenset({"missing_scope", "not_in_channel", "channel_not_found", "not_allowed_token_type"})
# What the client logs may hold tokens and addresses; nothing below CRITICAL leaves it.
QUIET = logging.getLogger("matokit.slack_sdk")
QUIET.setLevel(logging.CRITICAL)


class SlackBot:
    """One channel, by name or id. A ref is `<channel id>:<ts>`."""

    service = "slack"
    look_methods: tuple[str, ...] = ("conversations.history", "conversations.replies", "conversations.list")
    pace = 1.0  # about one message per second and channel: https://docs.slack.dev/apis/web-api/rate-limits

    def __init__(self, channel: str, token: str, api_url: str, timeout: float) -> None:
        bare = channel.removeprefix("#")
        self._channel = bare if _CHANNEL_ID.match(bare) else f"#{bare}"
        self._client = WebClient(
            token=token, base_url=api_url, timeout=math.ceil(timeout), retry_handlers=[], logger=QUIET
        )
        self.longest = 3 * timeout  # addresses of a host are tried one after the other

    # -- looking --------------------------------------------------------------------------------------------------

    def look(self, parcel: Parcel) -> Outcome | None:
        """Read the thread, then the channel, from shortly before the first try on."""
        try:
            channel = self._channel_id(parcel)
            if channel is None:
                return None
            for method, place in self._places(channel, parcel):
                for found in self._messages(method, place, parcel):
                    if found is None:
                        return Lost()
                    if carries(found, parcel.message_key):
                        return Delivered(f"{channel}:{found['ts']}")
        except FAILURES as error:
            if said(error) in _CANNOT_LOOK:
                return None
            ended = outcome_of(error, self.look_methods[0])
            return ended if isinstance(ended, Later) else None
        return None

    def _places(self, channel: str, parcel: Parcel) -> Iterator[tuple[Callable[..., Any], dict[str, Any]]]:
        thread = self._thread(parcel, channel)
        if thread is not None:
            yield self._client.conversations_replies, {"channel": channel, "ts": thread}
        yield self._client.conversations_history, {"channel": channel}

    def _messages(
        self, method: Callable[..., Any], place: dict[str, Any], parcel: Parcel
    ) -> Iterator[dict[str, Any] | None]:
        """Messages page by page; None when the row went to another sender meanwhile."""
        begin = parcel.since - CLOCKS_APART - (PUT_BACK if parcel.is_put_back else timedelta(0))
        oldest = f"{begin.timestamp():.6f}"
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            if not parcel.still_ours():
                yield None
                return
            try:
                page = method(**place, oldest=oldest, include_all_metadata=True, limit=A_PAGE, cursor=cursor)
            except SlackApiError as error:
                if said(error) in _THREAD_LOST:
                    return
                raise
            yield from page["messages"]
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return

    def _channel_id(self, parcel: Parcel) -> str | None:
        """The id of the channel: as set, as Slack told before, or from the list; None when it cannot be known."""
        if not self._channel.startswith("#"):
            return self._channel
        for earlier in (parcel.root, parcel.last):
            if earlier and earlier.ref and ":" in earlier.ref:
                return earlier.ref.partition(":")[0]
        for kinds in ("public_channel,private_channel", "public_channel"):
            try:
                return self._listed_id(kinds, parcel)
            except SlackApiError as error:
                if said(error) != "missing_scope":
                    raise
        return None

    def _listed_id(self, kinds: str, parcel: Parcel) -> str | None:
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            parcel.still_ours()
            page = self._client.conversations_list(types=kinds, exclude_archived=True, limit=A_PAGE, cursor=cursor)
            for channel in page["channels"]:
                if channel["name"] == self._channel[1:]:
                    return str(channel["id"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
        return None

    # -- sending --------------------------------------------------------------------------------------------------

    def send(self, parcel: Parcel) -> Outcome:
        """Post it, into the thread of its conversation where there is one that still takes answers."""
        thread = self._thread(parcel)
        ended = self._post(parcel, thread)
        if thread is not None and isinstance(ended, str):
            ended = self._post(parcel, None) if parcel.still_ours() else Lost()
        return Later(f"Slack said {ended}") if isinstance(ended, str) else ended

    def _post(self, parcel: Parcel, thread: str | None) -> Outcome | str:
        """How it ended; the error itself when the thread is lost."""
        try:
            answer = self._client.chat_postMessage(
                channel=self._channel,
                thread_ts=thread,
                reply_broadcast=True if thread and parcel.message.broadcast else None,
                metadata=metadata(parcel.message_key),
                mrkdwn=False,  # of `text`; blocks say so themselves
                parse="none",
                link_names=False,
                unfurl_links=False,
                unfurl_media=False,
                **payload(parcel.message, parcel.is_plain),
            )
            return Delivered(f"{answer['channel']}:{answer['ts']}")
        except FAILURES as error:
            told = said(error)
            return told if told in _THREAD_LOST else outcome_of(error, SEND)

    def follow(self, parcel: Parcel, ref: str | None) -> str | None:
        """Charts into the thread; a chart that is missing is no reason to tell anything twice."""
        if ref is None or parcel.is_plain or not parcel.message.images:
            return None
        channel, _, ts = ref.partition(":")
        uploads = [
            {"file": image.png, "filename": image.name, "title": image.alt[:200], "alt_txt": image.alt[:1_000]}
            for image in parcel.message.images
        ]
        try:
            self._client.files_upload_v2(
                channel=channel, thread_ts=self._thread(parcel, channel) or ts, file_uploads=uploads
            )
        except FAILURES as error:
            ended = outcome_of(error, "files.completeUploadExternal")
            return f"Charts are missing: {getattr(ended, 'why', 'not taken')}"
        return None

    def _thread(self, parcel: Parcel, channel: str | None = None) -> str | None:
        """The ts of the message that is answered; None for the first one."""
        if parcel.root is None or not parcel.root.ref or ":" not in parcel.root.ref:
            return None
        place, _, ts = parcel.root.ref.partition(":")
        return ts if channel in (None, place) else None

    def close(self) -> None:
        """Each call has a connection of its own."""
