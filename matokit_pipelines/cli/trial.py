"""What `try` finds out, for the report on it. Not here: finding it out (trying.py), telling it (first_report.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from matokit_pipelines.cli.losses import Loss
    from matokit_pipelines.settings import SourceSettings
    from matokit_pipelines.sources.sites import Dimension, Site
    from matokit_pipelines.warehouse.passes import PassResult


@dataclass(frozen=True)
class Account:
    """What the server says of a site, and what it cost to ask. `dimensions`: None where they may not be listed."""

    site: Site
    dimensions: list[Dimension] | None
    losses: list[Loss]
    requests: int


@dataclass(frozen=True)
class Trial:
    """Everything a first report speaks of. `connection`: a warehouse in memory, read and derived."""

    account: Account
    source: SourceSettings
    guessed: bool
    result: PassResult
    connection: duckdb.DuckDBPyConnection
    first: date
    last: date
