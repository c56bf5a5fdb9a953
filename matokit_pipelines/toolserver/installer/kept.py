"""What is small and wanted by many calls, read once of each snapshot and kept while that is in service.

Not here: what it is (ground.py, durations.py, commits.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from matokit_pipelines.toolserver.installer.queries import query
from matokit_pipelines.warehouse.serving import Reader, SnapshotStore
from matokit_pipelines.warehouse.snapshots import Manifest

T = TypeVar("T")


@dataclass(frozen=True)
class _Kept:
    manifest: Manifest
    found: dict[Hashable, Any] = field(default_factory=dict)


_KEPT: WeakKeyDictionary[SnapshotStore, _Kept] = WeakKeyDictionary()
_READING = threading.Lock()


def kept(store: SnapshotStore, reader: Reader, name: Hashable, read: Callable[[Reader], T]) -> T:
    """What `read` gives of the snapshot that is being read; of threads that come at once one reads, the others wait."""
    known = _KEPT.get(store)
    if known is None or known.manifest is not reader.manifest or name not in known.found:
        with _READING:
            known = _KEPT.get(store)
            if known is None or known.manifest is not reader.manifest:
                known = _KEPT[store] = _Kept(reader.manifest)
            if name not in known.found:
                known.found[name] = read(reader)
    value: T = known.found[name]
    return value


def made_worse(store: SnapshotStore, reader: Reader) -> dict[str, list[str]]:
    """The components that each commit made worse, the surest first; commits that made none are not in it."""
    return kept(store, reader, "made_worse", _made_worse)


def _made_worse(reader: Reader) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in reader.rows(query("made_worse")):
        found.setdefault(row["commit_sha"], []).append(row["component"])
    return found
