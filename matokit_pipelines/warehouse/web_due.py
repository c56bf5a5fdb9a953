"""Whether a pass over web reports would do anything, by what the ledger knows: no server is asked.

Not here: which periods those are (web_planning.py).
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.toolserver_settings import WebReportSettings
from matokit_pipelines.warehouse import web_planning
from matokit_pipelines.warehouse.web_ledger import WebSite
from matokit_pipelines.windows import local_date


def is_due(
    met: WebSite,
    known: web_planning.Ledger,
    source: SourceSettings,
    settings: WebReportSettings,
    now: datetime,
) -> bool:
    """Whether a pass over a site that was met before would ask for anything, or put anything away."""
    zone = ZoneInfo(met.zone)
    first_day = max((day for day in (met.first_day, source.start_date) if day), default=date.min)
    return bool(
        web_planning.due(settings, known, now=now.astimezone(UTC), zone=zone, first_day=first_day)
        or web_planning.beyond(settings, known, local_date(now, zone), first_day)
    )
