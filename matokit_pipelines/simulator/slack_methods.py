"""The methods of Slack's API that the simulated Slack answers, and its webhooks and uploads. Not here: HTTP, faults.

As documented under https://docs.slack.dev/reference/methods; what is not documented is as the API was seen to answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matokit_pipelines.simulator.slack_checks import SlackRefusal, checked
from matokit_pipelines.simulator.slack_store import Posted, SlackStore
from matokit_pipelines.simulator.wire import Answer, Request

_MOST_A_PAGE = 999


@dataclass(frozen=True)
class Call:
    """One call with a good token."""

    store: SlackStore
    arguments: dict[str, Any]
    base: str
    scopes: frozenset[str] | None

    def need(self, scope: str) -> None:
        """SlackRefusal unless the token may do this."""
        if self.scopes is not None and scope not in self.scopes:
            raise SlackRefusal("missing_scope")

    def text(self, name: str) -> str:
        """An argument that must be there."""
        value = self.arguments.get(name)
        if not value:
            raise SlackRefusal("invalid_arguments", f"[ERROR] missing required field: {name}")
        return str(value)

    def says(self, name: str) -> bool:
        """A switch."""
        return str(self.arguments.get(name, "")).lower() in ("true", "1")


def auth_test(call: Call) -> dict[str, Any]:
    """Who the token belongs to."""
    return {"url": call.base + "/", "team": "Simulated", "user": "matokit", "team_id": "T00000000",
            "user_id": "U0BOT00000", "bot_id": "B0BOT00000"}  # fmt: skip


def post_message(call: Call) -> dict[str, Any]:
    """chat.postMessage."""
    call.need("chat:write")
    channel = call.store.channel(str(call.arguments.get("channel") or ""))
    body = checked(call.arguments)
    thread = call.arguments.get("thread_ts")
    posted = call.store.post(channel, body, str(thread) if thread else None, call.says("reply_broadcast"))
    return {"channel": channel.id, "ts": posted.ts, "message": posted.shown(with_metadata=True)}


def update(call: Call) -> dict[str, Any]:
    """chat.update."""
    call.need("chat:write")
    channel = call.store.channel(call.text("channel"), by_name=False)
    posted = call.store.found(channel.id, call.text("ts"), "message_not_found")
    posted.body |= checked(call.arguments)
    return {"channel": channel.id, "ts": posted.ts, "text": posted.body["text"]}


def history(call: Call) -> dict[str, Any]:
    """conversations.history: by id only, newest first."""
    call.need("channels:history")
    channel = call.store.channel(call.text("channel"), by_name=False)
    return _page(call, call.store.history(channel.id))


def replies(call: Call) -> dict[str, Any]:
    """conversations.replies: the first message whatever the time, then the answers."""
    call.need("channels:history")
    channel = call.store.channel(call.text("channel"), by_name=False)
    return _page(call, call.store.replies(channel.id, call.text("ts")), first_always=True)


def list_channels(call: Call) -> dict[str, Any]:
    """conversations.list."""
    for kind in str(call.arguments.get("types") or "public_channel").split(","):
        call.need({"public_channel": "channels:read", "private_channel": "groups:read"}.get(kind, "im:read"))
    shown = [
        {"id": channel.id, "name": channel.name, "is_member": channel.is_member, "is_archived": channel.is_archived}
        for channel in call.store.channels.values()
        if not (channel.is_archived and call.says("exclude_archived"))
    ]
    part, cursor = _cut(call, shown)
    return {"channels": part, "response_metadata": {"next_cursor": cursor}}


def upload_url(call: Call) -> dict[str, Any]:
    """files.getUploadURLExternal."""
    call.need("files:write")
    name, length = call.text("filename"), int(call.text("length"))
    file_id = f"F{len(call.store.files) + 1:09d}"
    call.store.files[file_id] = {"id": file_id, "name": name, "length": length, "content": None, "shared": []}
    return {"file_id": file_id, "upload_url": f"{call.base}/upload/v1/{file_id}"}


def complete_upload(call: Call) -> dict[str, Any]:
    """files.completeUploadExternal: shares what was uploaded as a message of its own."""
    call.need("files:write")
    files = call.arguments.get("files")
    wanted = json.loads(files) if isinstance(files, str) else files
    if not isinstance(wanted, list) or not wanted:
        raise SlackRefusal("invalid_arguments", "[ERROR] missing required field: files")
    shared = []
    for entry in wanted:
        kept = call.store.files.get(str(entry.get("id")))
        if kept is None or kept["content"] is None:
            raise SlackRefusal("file_not_found")
        kept["title"] = entry.get("title") or kept["name"]
        shared.append({"id": kept["id"], "name": kept["name"], "title": kept["title"]})
    if place := call.arguments.get("channel_id"):
        channel = call.store.channel(str(place), by_name=False)
        thread = call.arguments.get("thread_ts")
        text = str(call.arguments.get("initial_comment") or "")
        posted = call.store.post(channel, {"text": text}, str(thread) if thread else None)
        posted.files = shared
        for entry in shared:
            call.store.files[entry["id"]]["shared"].append((channel.id, posted.thread_ts))
    return {"files": shared}


METHODS: dict[str, Callable[[Call], dict[str, Any]]] = {
    "auth.test": auth_test,
    "chat.postMessage": post_message,
    "chat.update": update,
    "conversations.history": history,
    "conversations.replies": replies,
    "conversations.list": list_channels,
    "files.getUploadURLExternal": upload_url,
    "files.completeUploadExternal": complete_upload,
}


def uploaded(store: SlackStore, file_id: str, request: Request) -> Answer:
    """The bytes of a file, posted to the address that was given for it."""
    kept = store.files.get(file_id)
    if kept is None or len(request.body) != kept["length"]:
        return Answer(400, "text/plain", b"bad upload")
    kept["content"] = request.body
    return Answer(200, "text/plain", f"OK - {len(request.body)}".encode())


def webhook(store: SlackStore, is_known: bool, body: bytes) -> tuple[int, str]:
    """Status and word of an incoming webhook."""
    if not is_known:
        return 404, "no_service"
    try:
        arguments = json.loads(body)
        found = checked(arguments)
    except SlackRefusal as refusal:
        return 400, refusal.word
    except (ValueError, AttributeError):
        return 400, "invalid_payload"
    found.pop("metadata", None)
    store.post(next(iter(store.channels.values())), found)
    return 200, "ok"


def _page(call: Call, messages: Sequence[Posted], first_always: bool = False) -> dict[str, Any]:
    oldest, latest = float(call.arguments.get("oldest") or 0), float(call.arguments.get("latest") or "inf")
    with_metadata = call.says("include_all_metadata")
    shown = [
        posted.shown(with_metadata)
        for number, posted in enumerate(messages)
        if oldest < float(posted.ts) < latest or (first_always and number == 0)
    ]
    part, cursor = _cut(call, shown)
    return {"messages": part, "has_more": bool(cursor), "response_metadata": {"next_cursor": cursor}}


def _cut(call: Call, entries: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """One page and the cursor of the next one; empty at the end."""
    limit = min(int(call.arguments.get("limit") or 100), _MOST_A_PAGE)
    start = int(call.arguments.get("cursor") or 0)
    end = start + max(limit, 1)
    return entries[start:end], str(end) if end < len(entries) else ""
