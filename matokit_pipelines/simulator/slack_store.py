"""What the simulated Slack keeps: channels, messages with their threads, files. Not here: HTTP, faults, arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from matokit_pipelines.simulator.slack_checks import SlackRefusal


@dataclass
class Posted:
    """One message as Slack keeps it. `thread_ts`: the message it answers to; `is_broadcast`: shown in the channel."""

    channel: str
    ts: str
    body: dict[str, Any]
    thread_ts: str | None = None
    is_broadcast: bool = False
    files: list[dict[str, Any]] = field(default_factory=list)

    @property
    def message_key(self) -> str | None:
        """What a sender put into the metadata to know it again."""
        return ((self.body.get("metadata") or {}).get("event_payload") or {}).get("message_key")

    def shown(self, with_metadata: bool) -> dict[str, Any]:
        """As the API answers it."""
        told = {"type": "message", "user": "U0BOT00000", "bot_id": "B0BOT00000", "ts": self.ts, **self.body}
        if not with_metadata:
            told.pop("metadata", None)
        if self.thread_ts is not None:
            told["thread_ts"] = self.thread_ts
        if self.is_broadcast:
            told["subtype"] = "thread_broadcast"
        if self.files:
            told["files"] = self.files
        return told


@dataclass(frozen=True)
class Channel:
    """A channel; only members post into it."""

    id: str
    name: str
    is_member: bool = True
    is_archived: bool = False


class SlackStore:
    """A workspace. `ts` of messages are those of the clock, and differ."""

    def __init__(self, channels: Iterable[Channel], now: Callable[[], datetime]) -> None:
        self.channels = {channel.id: channel for channel in channels}
        self.messages: list[Posted] = []
        self.files: dict[str, dict[str, Any]] = {}
        self._now = now
        self._last = 0

    def channel(self, name: str, by_name: bool = True) -> Channel:
        """A channel by id, or where that is allowed by name; SlackRefusal when there is none, or it takes nothing."""
        bare = name.removeprefix("#")
        found = self.channels.get(name) or next(
            (channel for channel in self.channels.values() if by_name and channel.name == bare), None
        )
        if found is None:
            raise SlackRefusal("channel_not_found")
        if found.is_archived:
            raise SlackRefusal("is_archived")
        if not found.is_member:
            raise SlackRefusal("not_in_channel")
        return found

    def post(
        self, channel: Channel, body: dict[str, Any], thread_ts: str | None = None, is_broadcast: bool = False
    ) -> Posted:
        """Keep a message; SlackRefusal when what it answers to is not there."""
        if thread_ts is not None:
            root = self.found(channel.id, thread_ts)
            thread_ts = root.thread_ts or root.ts
        posted = Posted(channel.id, self._ts(), body, thread_ts, is_broadcast and thread_ts is not None)
        self.messages.append(posted)
        return posted

    def found(self, channel: str, ts: str, word: str = "thread_not_found") -> Posted:
        """The message of that ts."""
        for posted in self.messages:
            if (posted.channel, posted.ts) == (channel, ts):
                return posted
        raise SlackRefusal(word)

    def history(self, channel: str) -> list[Posted]:
        """What the channel shows, newest first: answers in threads only where they were broadcast."""
        shown = [m for m in self.messages if m.channel == channel and (m.thread_ts is None or m.is_broadcast)]
        return sorted(shown, key=lambda posted: float(posted.ts), reverse=True)

    def replies(self, channel: str, ts: str) -> list[Posted]:
        """A thread: its first message, then the answers, oldest first."""
        root = self.found(channel, ts)
        answers = [m for m in self.messages if m.channel == channel and m.thread_ts == root.ts]
        return [root, *sorted(answers, key=lambda posted: float(posted.ts))]

    def _ts(self) -> str:
        microseconds = max(int(self._now().timestamp() * 1_000_000), self._last + 1)
        self._last = microseconds
        return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"
