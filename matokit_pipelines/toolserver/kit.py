"""What tools work with: settings, the clock, the snapshot in service, sites, live Matomo, the tracking queue.

Not here: what they do with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from matokit_pipelines.clock import Clock
from matokit_pipelines.settings import Loaded
from matokit_pipelines.warehouse.serving import SnapshotStore

if TYPE_CHECKING:
    from matokit_pipelines.toolserver.cache import ReportCache
    from matokit_pipelines.toolserver.live import LiveConnections
    from matokit_pipelines.toolserver.sites import Sites
    from matokit_pipelines.toolserver.tracking.queue import TrackingQueue


@dataclass(frozen=True)
class Kit:
    """Everything a tool may use. `tracking` is None unless the operator turned tracking on."""

    loaded: Loaded
    clock: Clock
    snapshots: SnapshotStore
    sites: Sites
    live: LiveConnections
    cache: ReportCache[bytes]
    tracking: TrackingQueue | None = None
