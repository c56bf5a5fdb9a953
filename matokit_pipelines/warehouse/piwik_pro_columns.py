"""In which column of Piwik PRO's raw data each meaning comes: tracking ids of the settings, slots of the site.

Not here: what the columns hold (piwik_pro_landing.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from matokit_pipelines.errors import SettingsError, SourceMissing
from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.sources.piwik_pro import PiwikProClient
from matokit_pipelines.sources.sites import Dimension


def columns_of(source: SourceSettings, client: PiwikProClient) -> dict[str, str]:
    """In which column each meaning comes: by the slot that the settings give, else as the site's catalogue says.

    The id that a sender writes and the slot of the column need not be the same number. SourceMissing names a dimension
    that the site does not have, or no longer records. The catalogue is not asked for when the settings name all slots.
    """
    given = {str(meaning): f"event_custom_dimension_{slot}" for meaning, slot in source.slots.items()}
    open_meanings = {str(m): number for m, number in source.dimensions.items() if str(m) not in given}
    found = given | (resolved(source.name, open_meanings, client.dimensions()) if open_meanings else {})
    for meaning, column in sorted(found.items()):
        other = next((m for m in sorted(found) if m != meaning and found[m] == column), None)
        if other:
            raise SettingsError(
                f"Source {source.name} would read {meaning} and {other} from one column, {column}; correct its "
                "dimensions or slots."
            )
    return found


def resolved(name: str, wanted: dict[str, int], configured: Sequence[Dimension]) -> dict[str, str]:
    """Meaning -> column, by the ids in `wanted`; SourceMissing for one that is not there or not active."""
    active = {d.number: d for d in configured if d.active and d.scope in ("event", "session") and d.slot}
    for meaning, number in sorted(wanted.items()):
        if number not in active:
            has = ", ".join(f"{d.number} ({d.name})" for d in sorted(active.values(), key=lambda d: d.number)) or "none"
            raise SourceMissing(
                f"Source {name} has no active custom dimension with tracking id {number} for {meaning}; it has {has}: "
                f"correct dimensions.{meaning} in the settings."
            )
    return {m: f"{active[n].scope}_custom_dimension_{active[n].slot}" for m, n in wanted.items()}
