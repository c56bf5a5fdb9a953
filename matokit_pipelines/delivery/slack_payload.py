"""A message as Slack's API takes it, within Slack's limits. Not here: calling Slack (slack.py).

Limits: https://docs.slack.dev/reference/block-kit/blocks; the sum over all blocks has a ceiling near 13,000 characters
that is not documented (`msg_blocks_too_long`), so more than 10,000 are not tried.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matokit_pipelines.delivery.escaping import one_line, slack_text
from matokit_pipelines.delivery.messages import Message

EVENT_TYPE = "matokit_message"
MOST_BLOCKS, MOST_IN_ALL = 50, 10_000
_MOST = {"header": 150, "section": 3_000, "context": 3_000, "image": 2_000}
MOST_FIELDS, MOST_IN_FIELD, MOST_ELEMENTS = 10, 2_000, 10
MOST_PLAIN = 9_000
_LONGEST_KEY = 300
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.:|#@*,/+-]")


def payload(message: Message, is_plain: bool) -> dict[str, Any]:
    """Arguments of chat.postMessage, or of a webhook, that say what is shown.

    Names, addresses and channels within the text are never made into links by Slack itself.
    """
    blocks = None if is_plain or message.blocks is None else hardened(message.blocks)
    if blocks and fits(blocks):
        return {"text": cut_escaped(slack_text(one_line(message.subject)), MOST_PLAIN), "blocks": blocks}
    text = f"{one_line(message.subject)}\n{message.text}"
    return {"text": cut_escaped(slack_text(text), MOST_PLAIN)}


def metadata(message_key: str) -> dict[str, Any]:
    """What a message carries unseen, by which it is found again."""
    return {"event_type": EVENT_TYPE, "event_payload": {"message_key": key_of(message_key)}}


def key_of(message_key: str) -> str:
    """A message key as metadata carry it: one that is long, or holds what Slack might escape or clean up, keeps the
    plain characters of its beginning and gets a digest of the whole."""
    if len(message_key) <= _LONGEST_KEY and not _NOT_PLAIN.search(message_key):
        return message_key
    digest = hashlib.sha256(message_key.encode("utf-8", "replace")).hexdigest()
    return f"{_NOT_PLAIN.sub('_', message_key[:200])}~{digest}"


def carries(found: Mapping[str, Any], message_key: str) -> bool:
    """Whether a message that Slack gave is the one of that key."""
    told = found.get("metadata") or {}
    return told.get("event_type") == EVENT_TYPE and (told.get("event_payload") or {}).get("message_key") == key_of(
        message_key
    )


def hardened(blocks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The blocks with every mrkdwn text `verbatim`: Slack then makes no links of its own from what looks like one."""
    return [_verbatim(dict(block)) for block in blocks]


def _verbatim(value: Any) -> Any:
    if isinstance(value, Mapping):
        inner = {key: _verbatim(part) for key, part in value.items()}
        return inner | {"verbatim": True} if inner.get("type") == "mrkdwn" else inner
    if isinstance(value, list | tuple):
        return [_verbatim(part) for part in value]
    return value


def fits(blocks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether Slack takes the blocks: their number, the length of each text, and of all together."""
    if len(blocks) > MOST_BLOCKS or sum(map(len, texts(blocks))) >= MOST_IN_ALL:
        return False
    return all(_block_fits(block) for block in blocks)


def _block_fits(block: Mapping[str, Any]) -> bool:
    most = _MOST.get(str(block.get("type")), 3_000)
    fields, elements = block.get("fields") or [], block.get("elements") or []
    if len(fields) > MOST_FIELDS or len(elements) > MOST_ELEMENTS * 3:
        return False
    if any(not 0 < len(text) <= MOST_IN_FIELD for text in texts(fields)):
        return False
    return all(0 < len(text) <= most for text in texts([block]))


def texts(value: Any) -> Iterator[str]:
    """Every text that is shown."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if key in ("text", "alt_text", "title") and isinstance(part, str):
                yield part
            else:
                yield from texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from texts(part)


def cut_escaped(text: str, most: int) -> str:
    """At most `most` characters of an escaped text; no escape is cut in two."""
    if len(text) <= most:
        return text
    return re.sub(r"&[a-z]{0,3}$", "", text[: most - 1]) + "…"
