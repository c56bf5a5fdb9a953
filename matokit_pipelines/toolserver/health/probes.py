"""For load balancers: is the process ready? Not here: why not (checks.py), the routes."""

from __future__ import annotations

from matokit_pipelines.toolserver.kit import Kit


def is_ready(kit: Kit) -> bool:
    """Whether a snapshot of the tables is in service. Asks nobody, opens nothing."""
    return kit.snapshots.generation > 0
