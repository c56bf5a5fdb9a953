"""Traffic channels, and one of them by name: by Matomo's number of it, since labels come in the language of a server.

Not here: referrers by name (tools.py asks lists.py for them).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.problems import refused
from matokit_pipelines.toolserver.tools import Answer
from matokit_pipelines.toolserver.web.lists import answer_rows
from matokit_pipelines.toolserver.web.parameters import ChannelParameters
from matokit_pipelines.toolserver.web.reports import CHANNELS
from matokit_pipelines.toolserver.web.shaping import number

_LABELS = {
    1: "direct_entry", 2: "search_engines", 3: "websites", 6: "campaigns", 7: "social_networks"
}  # fmt: skip
_ALIASES = {
    "direct": 1, "direct_entry": 1,
    "search": 2, "organic_search": 2, "paid_search": 2, "search_engine": 2, "search_engines": 2,
    "referral": 3, "referrals": 3, "referrer": 3, "referrers": 3, "website": 3, "websites": 3,
    "campaign": 6, "campaigns": 6,
    "social": 7, "social_network": 7, "social_networks": 7,
}  # fmt: skip
KNOWN = "direct, search, websites (or referral), campaigns, social"


def get_traffic_channels(kit: Kit, parameters: ChannelParameters) -> Answer:
    """All channels, or the one of that name. Problem 400 for a name that is no channel."""
    if not parameters.channelType:
        return answer_rows(kit, parameters, CHANNELS)
    wanted = _slug(parameters.channelType)
    kind = _ALIASES.get(wanted)
    answer = answer_rows(kit, parameters, CHANNELS, lambda row: _is_it(row, wanted, kind))
    if kind is None and not answer.value:
        raise refused(f'"{parameters.channelType[:40]}" is no channel.', f"Channels are: {KNOWN}.")
    return answer


def _is_it(row: Mapping[str, Any], wanted: str, kind: int | None) -> bool:
    label = _slug(str(row.get("label", "")))
    if kind is None:
        return label == wanted  # a newer Matomo knows more channels
    given = number(row.get("referrer_type"))
    return label == _LABELS[kind] if given is None else given == kind


def _slug(text: str) -> str:
    return re.sub(r"[\s_-]+", "_", text.strip().lower())
