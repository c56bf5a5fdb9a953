"""All tools there are, in the order in which they are published.

Not here: what a tool does; each group has a `tools.py` of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matokit_pipelines.toolserver.health.tools import HEALTH_TOOLS
from matokit_pipelines.toolserver.installer.tools import INSTALLER_TOOLS
from matokit_pipelines.toolserver.tools import Tool
from matokit_pipelines.toolserver.tracking.tools import TRACKING_TOOLS
from matokit_pipelines.toolserver.web.tools import WEB_TOOLS

# The first eighteen are the predecessor's, in its order; ours follow.
_ORDER = (
    "GetKeyNumbers", "DiagnoseMatomo", "GetHealthStatus", "GetKeyNumbersHistorical", "GetMostPopularUrls",
    "GetTopReferrers", "GetEntryPages", "GetCampaigns", "GetEcommerceOverview", "GetEcommerceRevenue",
    "GetTrafficChannels", "GetGoalConversions", "GetEvents", "GetEventCategories", "GetDeviceTypes", "TrackPageview",
    "TrackEvent", "TrackGoal",
)  # fmt: skip


def all_tools(*, tracking: bool) -> tuple[Tool[Any], ...]:
    """The tools that are offered; those that write only where the operator turned them on."""
    found: Sequence[Tool[Any]] = (*WEB_TOOLS, *HEALTH_TOOLS, *(TRACKING_TOOLS if tracking else ()), *INSTALLER_TOOLS)
    rank = {name: number for number, name in enumerate(_ORDER)}
    return tuple(sorted(found, key=lambda tool: rank.get(tool.name, len(rank))))
