"""Messages as files under `<home>/messages/`, for a home without any account: text, page, pictures, and all as JSON.

A message has the same names each time, so one that is written again replaces itself. Not here: notices (files.py).
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

from matokit_pipelines.delivery.escaping import one_line, plain
from matokit_pipelines.delivery.transport import Delivered, Later, Outcome, Parcel, Plainly

FOLDER = "messages"
_ODD = re.compile(r"[^a-z0-9]+")
_MOMENT = "%Y%m%dT%H%M%SZ"
_LONGEST = 60


class MessageFiles(Plainly):
    """The folder of a home. A ref is the name of the text file."""

    service = "files"

    def __init__(self, home: Path) -> None:
        self._folder = home / FOLDER

    def send(self, parcel: Parcel) -> Outcome:
        """Write it; the text last, so that whoever sees that finds the rest."""
        stem = stem_of(parcel)
        message = parcel.message
        images = {image.name: f"{stem}-{file_name(image.name)}" for image in message.images}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for image in message.images:
                self._write(images[image.name], image.png)
            if message.html is not None:
                self._write(f"{stem}.html", _shown_beside(message.html, images).encode("utf-8", "replace"))
            self._write(f"{stem}.json", _as_json(parcel, list(images.values())))
            text = f"{one_line(message.subject)}\n\n{plain(message.text)}\n"
            self._write(f"{stem}.txt", text.encode("utf-8", "replace"))
        except OSError as error:
            why = f"{self._folder} cannot be written ({error.strerror or type(error).__name__}); make room or grant it"
            return Later(why, answered=False, is_down=True)
        return Delivered(f"{stem}.txt")

    def _write(self, name: str, content: bytes) -> None:
        building = self._folder / f".{name}.tmp"
        building.write_bytes(content)
        building.replace(self._folder / name)


def put_away_messages(home: Path, before: datetime) -> int:
    """Delete the files of messages that were made before `before`. Gives how many; other files are left alone."""
    gone = 0
    for file in (home / FOLDER).glob("*T*Z-*"):
        try:
            made = datetime.strptime(file.name.partition("-")[0], _MOMENT).replace(tzinfo=UTC)
        except ValueError:
            continue
        if made < before:
            file.unlink(missing_ok=True)
            gone += 1
    return gone


def stem_of(parcel: Parcel) -> str:
    """The names' beginning: when, what, and a digest of the key; only letters, digits and `-`."""
    digest = hashlib.sha256(parcel.message_key.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    words = _words(parcel.message.subject)[:_LONGEST].strip("-") or "message"
    return f"{parcel.created_at.strftime(_MOMENT)}-{words}-{digest}"


def file_name(name: str) -> str:
    """A name from a message that stays within the folder."""
    bare, dot, ending = name.lower().rpartition(".")
    kept = _words(bare or ending)[:_LONGEST] or "image"
    return f"{kept}.{_ODD.sub('', ending)[:8]}" if dot and bare else kept


def _words(text: str) -> str:
    """Letters without their marks, and digits; `-` for everything else."""
    bare = unicodedata.normalize("NFKD", text[:1_000].lower()).encode("ascii", "ignore").decode()
    return _ODD.sub("-", bare).strip("-")


def _shown_beside(html: str, images: dict[str, str]) -> str:
    for name, file in images.items():
        html = html.replace(f"cid:{name}", file)
    return html


def _as_json(parcel: Parcel, images: list[str]) -> bytes:
    entry = {
        "message_key": parcel.message_key,
        "conversation": parcel.conversation,
        "severity": parcel.severity,
        "at": parcel.created_at.isoformat(timespec="seconds"),
        "subject": parcel.message.subject,
        "text": parcel.message.text,
        "images": images,
    }
    return (json.dumps(entry, ensure_ascii=True, indent=1) + "\n").encode()
