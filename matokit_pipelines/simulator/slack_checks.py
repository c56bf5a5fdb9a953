"""What the simulated Slack refuses: arguments of a message, as the real one does.

Limits and words of errors: https://docs.slack.dev/reference/block-kit/blocks and .../methods/chat.postMessage#errors.
Not here: channels and messages (slack_store.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

LONGEST_TEXT, MOST_BLOCKS, MOST_IN_ALL, LONGEST_METADATA = 40_000, 50, 13_200, 8_000
_KINDS = {"header", "section", "context", "divider", "image", "actions", "rich_text", "table", "markdown"}


class SlackRefusal(Exception):
    """Slack's word for an error, and what it adds."""

    def __init__(self, word: str, *messages: str) -> None:
        super().__init__(word)
        self.word = word
        self.messages = messages


def checked(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Text, blocks and metadata of a message; SlackRefusal for what Slack does not take."""
    text, blocks, metadata = arguments.get("text") or "", _parsed(arguments, "blocks"), _parsed(arguments, "metadata")
    if not text and not blocks:
        raise SlackRefusal("no_text")
    if len(text) > LONGEST_TEXT:
        raise SlackRefusal("msg_too_long")
    if blocks is not None:
        _check_blocks(blocks)
    if metadata is not None:
        _check_metadata(metadata)
    found = {"text": text, "blocks": blocks, "metadata": metadata}
    return {name: value for name, value in found.items() if value is not None}


def _parsed(arguments: Mapping[str, Any], name: str) -> Any:
    """An argument that may come as JSON within a form."""
    value = arguments.get(name)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value else None
    except ValueError:
        raise SlackRefusal("invalid_blocks_format" if name == "blocks" else "invalid_metadata_format") from None


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str):
        raise SlackRefusal("invalid_metadata_format")
    if not isinstance(metadata.get("event_payload"), dict):
        raise SlackRefusal("invalid_metadata_format")
    if len(json.dumps(metadata)) > LONGEST_METADATA:
        raise SlackRefusal("metadata_too_large")


def _check_blocks(blocks: Any) -> None:
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise SlackRefusal("invalid_blocks_format")
    if len(blocks) > MOST_BLOCKS:
        raise SlackRefusal("invalid_blocks", f"no more than {MOST_BLOCKS} items allowed [json-pointer:/blocks]")
    for number, block in enumerate(blocks):
        if wrong := _wrong(block):
            raise SlackRefusal("invalid_blocks", f"{wrong} [json-pointer:/blocks/{number}]")
    if _length(blocks) > MOST_IN_ALL:
        raise SlackRefusal("msg_blocks_too_long")


def _wrong(block: Mapping[str, Any]) -> str | None:
    kind = block.get("type")
    if kind not in _KINDS:
        return f"unsupported type: {kind}"
    if kind == "header":
        return _wrong_text(block.get("text"), 150, ("plain_text",))
    if kind == "section":
        return _wrong_section(block)
    if kind == "context":
        return _wrong_context(block.get("elements"))
    if kind == "image" and not (block.get("alt_text") and (block.get("image_url") or block.get("slack_file"))):
        return "missing required field: alt_text or image_url"
    return None


def _wrong_section(block: Mapping[str, Any]) -> str | None:
    fields = block.get("fields")
    if block.get("text") is None and not fields:
        return "missing required field: text or fields"
    if block.get("text") is not None and (wrong := _wrong_text(block["text"], 3_000)):
        return wrong
    if fields is not None:
        if not isinstance(fields, list) or not 0 < len(fields) <= 10:
            return "no more than 10 items allowed"
        return next((wrong for field in fields if (wrong := _wrong_text(field, 2_000))), None)
    return None


def _wrong_context(elements: Any) -> str | None:
    if not isinstance(elements, list) or not 0 < len(elements) <= 10:
        return "no more than 10 items allowed"
    texts = [element for element in elements if isinstance(element, dict) and element.get("type") != "image"]
    return next((wrong for element in texts if (wrong := _wrong_text(element, 3_000))), None)


def _wrong_text(text: Any, most: int, kinds: tuple[str, ...] = ("mrkdwn", "plain_text")) -> str | None:
    if not isinstance(text, dict) or text.get("type") not in kinds:
        return f"must be a text object of type {' or '.join(kinds)}"
    said = text.get("text")
    if not isinstance(said, str) or not said:
        return "must be more than 0 characters"
    return f"must be less than {most + 1} characters" if len(said) > most else None


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(_length(part) for part in value.values())
    return sum(map(_length, value)) if isinstance(value, list) else 0
