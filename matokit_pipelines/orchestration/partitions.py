"""The partitions of the graph, in the project's zone, shared by identity and never rebuilt in an asset.

The zone is fixed for the life of a home: changing it gives every partition another key. Without readable settings
the default zone is used, so that the definitions always load.
"""

import dagster as dg

from matokit_pipelines import settings
from matokit_pipelines.errors import SettingsError

FIRST_WEEK = "2025-08-11"  # the week before the first event that any installer sent


def _zone() -> str:
    try:
        return settings.load().settings.project.timezone
    except SettingsError:
        return settings.ProjectSettings().timezone


WEEKS = dg.WeeklyPartitionsDefinition(start_date=FIRST_WEEK, day_offset=1, timezone=_zone())
