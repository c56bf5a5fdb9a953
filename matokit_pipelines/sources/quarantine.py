"""Pieces of answers that cannot become rows. Not here: finding them (the readers), keeping them (warehouse/)."""

from __future__ import annotations

from dataclasses import dataclass

PAYLOAD_LENGTH = 2000  # characters kept of a piece


@dataclass(frozen=True)
class Quarantined:
    """A piece of an answer that cannot become a row: why, and what it was (no personal data)."""

    reason: str
    payload: str
