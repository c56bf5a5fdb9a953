"""Notices to the operators as files under `<home>/notices/`: open ones there, those that are over in `closed/`.

A notice is one sentence: what failed, where, what to do. Not here: when to write one.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

FOLDER, CLOSED = "notices", "closed"
_KEY = re.compile(r"^[a-z0-9][a-z0-9_-]{0,119}$")


@dataclass(frozen=True)
class Notice:
    """One notice. `at`: when it was written, UTC."""

    key: str
    subject: str
    text: str
    at: datetime


def write_notice(home: Path, key: str, subject: str, text: str, now: datetime) -> bool:
    """Write a notice, once for each key; False when there is one of that key, be it open or closed.

    `key` is lower-case letters, digits, `_` and `-`, and names the file; ValueError otherwise.
    """
    if not _KEY.match(key):
        raise ValueError(f"{key!r} cannot name a notice")
    folder = home / FOLDER
    target = folder / f"{key}.json"
    if target.exists() or (folder / CLOSED / target.name).exists():
        return False
    folder.mkdir(parents=True, exist_ok=True)
    entry = asdict(Notice(key, subject, text, now)) | {"at": now.isoformat(timespec="seconds")}
    building = folder / f".{key}.tmp"
    building.write_text(json.dumps(entry, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    building.replace(target)
    return True


def close_notices(home: Path, prefix: str) -> int:
    """Close every open notice whose key begins with `prefix`: what it tells of is over. Gives how many."""
    folder = home / FOLDER
    found = sorted(folder.glob(f"{prefix}*.json"))
    for file in found:
        (folder / CLOSED).mkdir(exist_ok=True)
        file.replace(folder / CLOSED / file.name)
    return len(found)


def put_away(home: Path, before: datetime) -> int:
    """Delete the closed notices that were written before `before`. Gives how many."""
    old = [notice for notice in _read(home / FOLDER / CLOSED) if notice.at < before]
    for notice in old:
        (home / FOLDER / CLOSED / f"{notice.key}.json").unlink(missing_ok=True)
    return len(old)


def open_notices(home: Path) -> list[Notice]:
    """The open notices, newest first. A file that is no notice is left out."""
    return sorted(_read(home / FOLDER), key=lambda notice: (notice.at, notice.key), reverse=True)


def _read(folder: Path) -> list[Notice]:
    notices = []
    for file in folder.glob("*.json"):
        try:
            entry = json.loads(file.read_text(encoding="utf-8"))
            at = datetime.fromisoformat(entry["at"])
            notices.append(Notice(entry["key"], entry["subject"], entry["text"], at))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return notices
