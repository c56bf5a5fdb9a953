"""Where an asset finds the home it works in. Loading definitions needs no settings; using them reads them then.

Not here: what is done with it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import dagster as dg

from matokit_pipelines import settings
from matokit_pipelines.clock import SystemClock
from matokit_pipelines.warehouse.connection import RUN_WAIT_SECONDS
from matokit_pipelines.warehouse.refresh import Home


class HomeFinder(Protocol):
    """Gives the home in use."""

    def home(self) -> Home: ...


class HomeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The home found as the command line finds it; `config` names a settings file."""

    config: str | None = None

    def home(self) -> Home:
        """Settings read now, so that a run always uses what is in force."""
        loaded = settings.load(Path(self.config) if self.config else None)
        return Home.of(loaded, SystemClock(), wait_seconds=RUN_WAIT_SECONDS)


@dataclass(frozen=True)
class GivenHome:
    """One home with its clock: for `matokit run`, the demo and tests."""

    given: Home

    def home(self) -> Home:
        return Home.of(self.given.loaded, self.given.clock, wait_seconds=RUN_WAIT_SECONDS)
