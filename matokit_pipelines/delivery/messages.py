"""What is delivered: one message in every form that a destination may want. Not here: words (alerts/), sending."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Block = Mapping[str, Any]


@dataclass(frozen=True)
class Image:
    """A picture of a message. `name`: file name and, in a mail, its content id; `alt`: what it shows, in words."""

    name: str
    alt: str
    png: bytes


@dataclass(frozen=True)
class Message:
    """One message. `subject`: one line without line breaks; `text`: complete on its own; `html`: a whole document
    that shows images as `cid:<name>`; `blocks`: Slack's Block Kit, already escaped; `broadcast`: a reply in a thread
    that is shown in the channel too."""

    subject: str
    text: str
    html: str | None = None
    blocks: Sequence[Block] | None = None
    images: Sequence[Image] = ()
    broadcast: bool = False

    def to_json(self) -> str:
        """As the outbox keeps it."""
        images = [[image.name, image.alt, base64.b64encode(image.png).decode("ascii")] for image in self.images]
        return json.dumps(
            {
                "subject": self.subject, "text": self.text, "html": self.html,
                "blocks": list(self.blocks) if self.blocks is not None else None,
                "images": images, "broadcast": self.broadcast,
            },
            ensure_ascii=False, separators=(",", ":"),
        )  # fmt: skip

    @classmethod
    def from_json(cls, text: str) -> Message:
        """What `to_json` wrote."""
        found = json.loads(text)
        images = tuple(Image(name, alt, base64.b64decode(data)) for name, alt, data in found["images"])
        return cls(found["subject"], found["text"], found["html"], found["blocks"], images, bool(found["broadcast"]))
