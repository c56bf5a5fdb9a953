"""The checks behind `doctor`: settings, sources, delivery, disk, warehouse, in order. A failing one stops no other.

Not here: printing, the checks of a source (checkup_sources.py), of delivery (checkup_delivery.py) and of what was
landed (checkup_tables.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from matokit_pipelines import resources
from matokit_pipelines.cli.checkup_delivery import check_delivery
from matokit_pipelines.cli.checkup_sources import check_source
from matokit_pipelines.cli.checkup_tables import check_tables
from matokit_pipelines.cli.findings import Finding, State, guarded
from matokit_pipelines.settings import SECTIONS
from matokit_pipelines.warehouse.refresh import Home

LITTLE_SPACE = 1 << 30


def check_up(home: Home) -> Iterator[Finding]:
    """Every check, in the order in which things would have to be mended."""
    yield from _settings(home)
    zones: dict[str, str] = {}  # of the sites that answered
    for source in home.loaded.settings.sources:
        yield from guarded(f"source {source.name}", check_source(home, source, zones))
    yield from guarded("delivery", check_delivery(home.loaded, home.clock.now()))
    yield _disk(home)
    yield from _dagster(home)
    if home.warehouse.path.exists():
        yield from guarded("warehouse", check_tables(home, zones))
    else:
        yield Finding("note", "warehouse", "not made yet; `matokit run` makes it")


def _settings(home: Home) -> Iterator[Finding]:
    loaded = home.loaded
    yield Finding("good", "settings", f"{loaded.file or 'no file, defaults only'}; home {loaded.home}")
    settings = loaded.settings
    for name in SECTIONS:
        for key, value in getattr(settings, name):
            if origin := loaded.origin.get(f"{name}.{key}"):
                yield Finding("good", f"{name}.{key}", f"{value!r} from {origin}")
    for variable in loaded.strangers:
        yield Finding("note", variable, "begins like a setting and is none; is its name misspelt?")
    if not settings.sources:
        yield Finding("failed", "sources", "none is set up; `matokit init` writes a settings file.", 2)


def _disk(home: Home) -> Finding:
    folder = next(path for path in (home.loaded.home, *home.loaded.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    state: State = "good" if free > LITTLE_SPACE else "note"
    return Finding(state, "disk", f"{free / (1 << 30):.1f} GiB free at {folder}")


def _dagster(home: Home) -> Iterator[Finding]:
    folder = resources.dagster_home(home.loaded.home)
    if differing := resources.differing_dagster_settings(home.loaded.home):
        names = " and ".join(differing)
        yield Finding(
            "note", "dagster", f"{names} in {folder} differ from those delivered; delete them there to get those again"
        )
    elif folder.exists():
        yield Finding("good", "dagster", f"its settings in {folder} are those delivered")
