"""What a simulated Piwik PRO does wrong, and what it does where nobody says what Piwik PRO does.

Belongs here: the switches and the dice. Does not belong here: how any of it looks (the other piwik_pro modules).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

TRANSIENT = ("dropped", "half", "slow", "html", "server_error", "maintenance", "rate_limited", "token_expires_early")
SERVER_ERRORS = (500, 502, 503, 504)


@dataclass(frozen=True)
class PiwikProFaults:
    """All off by default.

    Probabilities an API request: dropped (closed before an answer), half (closed in the middle of one), slow
    (answered after slow_seconds), html (an HTML page with status 200 or 502), server_error (500, 502, 503 or 504),
    maintenance (an HTML page with status 503), rate_limited (429 although nobody asked too much, Retry-After
    retry_after_s), token_expires_early (401; the token is void from then on; only a token that has served
    token_serves requests is struck, so that one renewal is enough); together at most most_in_a_row times one after
    the other, so that retries can win.

    Probabilities a page of raw data: short_page (comes back empty early), repeated_rows (begins with up to seven
    rows of the page before). lying_count: windows [start, end) UTC whose meta.count is never right and another one
    each time. moving_count_once: the first count of each window is three too low. odd_rows: so many further events
    that are no proper rows: objects, too short, too long, an unreadable timestamp.

    Visibility, in seconds: processing_delay_s is the most that passes between the end of a session and its being
    seen, spread by session. late_share of the events arrives late_seconds after event_ts; the sessions they touch
    are built again, and old and new copies stand side by side for at most rebuild_overlap_s, to a whole hour.
    vanish_share of the events is taken out again vanish_after_s after they came in sight. retention_days: whole
    months that are older vanish on the first of a month. real_time_missing: share of events that the real-time
    store never gets; real_time_delay_s: the most that it is behind.

    no_license: as when the contract has ended.
    """

    seed: int = 0
    dropped: float = 0.0
    half: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 1.0
    html: float = 0.0
    server_error: float = 0.0
    maintenance: float = 0.0
    rate_limited: float = 0.0
    retry_after_s: int = 1
    token_expires_early: float = 0.0
    token_serves: int = 8
    most_in_a_row: int = 2
    short_page: float = 0.0
    repeated_rows: float = 0.0
    lying_count: tuple[tuple[datetime, datetime], ...] = ()
    moving_count_once: bool = False
    odd_rows: int = 0
    processing_delay_s: int = 0
    late_share: float = 0.0
    late_seconds: int = 6 * 3_600
    rebuild_overlap_s: int = 3_600
    vanish_share: float = 0.0
    vanish_after_s: int = 24 * 3_600
    retention_days: int | None = None
    real_time_missing: float = 0.0
    real_time_delay_s: int = 120
    no_license: bool = False


@dataclass(frozen=True)
class Assumptions:
    """How the account is set up, and how the service behaves where no document says; each default is our reading.

    Set-up: token_lifetime_s, session_*, exclude_crawlers and crawler_agents (a pattern of user agents),
    exclude_unknown_urls, site_sampling (of `query` where a request says nothing), real_time (whether the plan has it).

    Undocumented: order of raw rows (shuffled anew each request, or any but always the same); frame of a raw page
    (which of its two keys comes first, whether there is white space); values_as (how whole
    numbers in custom_event_value are written); odd_value (what a negative, too large or textual value becomes:
    null, or a broken event); null_enum (how an unknown enumerated value is written); ids_as_text; ids_survive
    (event_id stays when a session is built again); real_time_ids_equal; real_time_identifiers (whether visitor_id is
    a default column there); limit_too_large (refused, or cut to the most); empty_columns (whether `columns: []` is
    legal); t_separator (whether `2026-11-22T10:00:00` is); unknown_site (status); unknown_client (status);
    indexed_parameter (`columns.0.column_id` or `columns.column_id`); query_meta_columns; query_cache_s; folds
    (a dimension that is not case sensitive is stored in lower case); settings_inherited (an app's tracker settings
    list only what differs from the global ones); debugger_exceeds (by how many sessions an answer of the debugger
    goes beyond its limit); rate_limit, its two numbers a minute, whether they count by
    credential or by credential and path, and whether requests for a token count.
    """

    token_lifetime_s: int = 1_800
    session_idle_s: int = 1_800
    session_max_duration_s: int = 43_200
    session_max_event_count: int = 5_000
    session_limit_exceeded_action: Literal["split_and_exclude", "just_split"] = "split_and_exclude"
    exclude_crawlers: bool = True
    crawler_agents: str = r"bot\b|crawler|spider|slurp"
    exclude_unknown_urls: bool = False
    site_sampling: float = 1.0
    real_time: bool = True
    order: Literal["shuffled", "pinned"] = "shuffled"
    frame: Literal["data_first", "meta_first", "spaced"] = "data_first"
    values_as: Literal["mixed", "float", "int"] = "mixed"
    odd_value: Literal["null", "broken"] = "null"
    null_enum: Literal["null", "pair"] = "null"
    ids_as_text: bool = True
    ids_survive: bool = True
    real_time_ids_equal: bool = True
    real_time_identifiers: bool = False
    limit_too_large: Literal["refuse", "cut"] = "refuse"
    empty_columns: bool = True
    t_separator: bool = True
    unknown_site: Literal[400, 403, 404] = 404
    unknown_client: Literal[400, 401] = 400
    indexed_parameter: bool = True
    query_meta_columns: bool = True
    query_cache_s: int = 600
    folds: bool = True
    settings_inherited: bool = False
    debugger_exceeds: int = 1
    rate_limit: bool = True
    rate_limit_get: int = 600
    rate_limit_other: int = 60
    rate_limit_scope: Literal["credential", "path"] = "credential"
    rate_limit_tokens: bool = False


class Dice:
    """Decides when the faults strike; the same requests in the same order meet the same faults.

    Not safe for threads: its server takes turns.
    """

    def __init__(self, faults: PiwikProFaults) -> None:
        self.faults = faults
        self.struck: Counter[str] = Counter()
        self._rng = np.random.default_rng([faults.seed, 1_299_709])
        self._in_a_row = 0
        self._counted: set[Hashable] = set()

    def transient(self, token_served: int) -> str | None:
        """The passing fault this request meets, if any; draws as often whatever strikes.

        token_served: how many requests the token of this request has served.
        """
        drawn = self._rng.random(len(TRANSIENT))
        hits = [name for name, luck in zip(TRANSIENT, drawn, strict=True) if luck < getattr(self.faults, name)]
        if token_served < self.faults.token_serves:
            hits = [name for name in hits if name != "token_expires_early"]
        if not hits or self._in_a_row >= self.faults.most_in_a_row:
            self._in_a_row = 0
            return None
        self._in_a_row += 1
        self.struck[hits[0]] += 1
        return hits[0]

    def pick(self, most: int) -> int:
        """A number from 0 to `most` - 1."""
        return int(self._rng.integers(most))

    def happens(self, name: Literal["short_page", "repeated_rows"]) -> bool:
        """Whether a fault of a page strikes."""
        hit = bool(self._rng.random() < getattr(self.faults, name))
        if hit:
            self.struck[name] += 1
        return hit

    def miscount(self, window: Hashable, start: float, end: float, count: int) -> int:
        """meta.count as told for a window [start, end) in epoch seconds that holds `count` rows."""
        if any(since.timestamp() < end and start < until.timestamp() for since, until in self.faults.lying_count):
            self.struck["lying_count"] += 1
            return count + self.struck["lying_count"]
        if self.faults.moving_count_once and window not in self._counted:
            self._counted.add(window)
            self.struck["moving_count_once"] += 1
            return max(0, count - 3)
        return count
