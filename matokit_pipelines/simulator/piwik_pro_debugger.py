"""The tracker debugger: sessions of the last minutes as they came in, broken and excluded events among them.

Belongs here: which sessions it lists and how. Does not belong here: raw data (piwik_pro_raw), which sees other things
at other times.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from matokit_pipelines.simulator.piwik_pro_access import ORGANISATION
from matokit_pipelines.simulator.piwik_pro_answers import NDJSON, text_answer
from matokit_pipelines.simulator.piwik_pro_requests import UUID
from matokit_pipelines.simulator.piwik_pro_sessions import Ints, Rules, group
from matokit_pipelines.simulator.piwik_pro_store import BROKEN, CUSTOM_EVENT, EXCLUDED, PAGE_VIEW, Site, Snapshot
from matokit_pipelines.simulator.wire import Answer

GREATEST_WINDOW, DEFAULT_WINDOW, DEFAULT_LIMIT = 300, 30, 100
_LABELS = {
    PAGE_VIEW: "Page view",
    CUSTOM_EVENT: "Custom event",
    BROKEN: "Broken event",
    EXCLUDED: "Excluded event",
}
_OVER_LIMIT = "Session limit exceeded"


@dataclass
class Debugger:
    """Answers of the debugger of one site."""

    site: Site
    rules: Rules
    exceeds: int

    def answer(self, query: Mapping[str, str], sees: bool, snapshot: Snapshot, now: int) -> Answer:
        """Sessions as lines of JSON, newest first; errors as plain text."""
        if not UUID.fullmatch(query.get("app_id", "")):
            return text_answer(400, "Request parameters deserialization error.")
        try:
            minutes = int(query.get("lookup_window", DEFAULT_WINDOW))
            limit, offset = int(query.get("limit", DEFAULT_LIMIT)), int(query.get("offset", 0))
            kind = int(query["event_type"]) if "event_type" in query else None
        except ValueError:
            return text_answer(400, "Request parameters deserialization error.")
        if not 1 <= minutes <= GREATEST_WINDOW or limit < 0 or offset < 0:
            return text_answer(400, "Request parameters deserialization error.")
        if not sees or query["app_id"].lower() != self.site.id.lower():
            return text_answer(404, "404 page not found")
        lines = []
        # More than the limit may come, which is why one goes on by the limit and not by what came.
        for session in self._sessions(snapshot, now, minutes, query, kind)[offset : offset + limit + self.exceeds]:
            lines.append(json.dumps(self._written(session, snapshot), ensure_ascii=False) + "\n")
        return Answer(200, NDJSON, "".join(lines).encode())

    def _sessions(
        self, snapshot: Snapshot, now: int, minutes: int, query: Mapping[str, str], kind: int | None
    ) -> list[pl.DataFrame]:
        """Whole sessions whose last event came within the last `minutes`, newest first."""
        recent = (pl.col("at") <= now) & (pl.col("ts") <= now)
        since = now - minutes * 60
        events = snapshot.events.with_row_index("event").filter(recent)
        if "visitor_id" in query:
            events = events.filter(pl.col("visitor") == query["visitor_id"].lower())
        visitors = events.filter(pl.col("ts") >= since)["visitor"].unique()
        events = events.filter(pl.col("visitor").is_in(visitors.implode()) & (pl.col("ts") >= since - 86_400))
        if not events.height:
            return []
        frame = self._grouped(events)
        kept = frame.group_by("session").agg(
            last=pl.col("ts").max(), has=(pl.col("kind") == kind).any() if kind is not None else pl.lit(True)
        )
        kept = kept.filter((pl.col("last") >= since) & pl.col("has")).sort("last", "session", descending=True)
        parts = frame.partition_by("session", as_dict=True)
        return [parts[(number,)] for number in kept["session"].to_list()]

    def _grouped(self, events: pl.DataFrame) -> pl.DataFrame:
        visitor: Ints = events["visitor"].rank("dense").cast(pl.Int64).to_numpy()
        grouped = group(np.arange(events.height), visitor, events["ts"].to_numpy(), self.rules)
        frame = events[grouped.event].with_columns(
            session=pl.Series(grouped.session), index=pl.Series(grouped.index), over=pl.Series(grouped.excluded)
        )
        return frame.with_columns(
            kind=pl.when("over").then(EXCLUDED).otherwise(pl.col("kind").cast(pl.Int64)),
            reason=pl.when("over").then(pl.lit(_OVER_LIMIT)).otherwise("reason"),
        )

    def _written(self, session: pl.DataFrame, snapshot: Snapshot) -> dict[str, Any]:
        rows = session.to_dicts()
        first, last = rows[0], rows[-1]
        session_id = int(snapshot.event_ids[first["event"]])
        visitor = int(first["visitor"], 16)
        totals = {
            "session_total_events": len(rows),
            "session_total_time": last["ts"] - first["ts"],
            "session_total_page_views": sum(row["kind"] == PAGE_VIEW for row in rows),
            "session_total_custom_events": sum(row["kind"] == CUSTOM_EVENT for row in rows),
        }
        return (
            _ids("session_id", session_id)
            | {
                "server_time": _utc(first["ts"]),
                "updated_at": _utc(last["at"]),
                "app_uuid": self.site.id,
                "organization": ORGANISATION,
            }
            | _ids("cookie_id", visitor)
            | _ids("visitor_id", visitor)
            | {
                "visitor_returning": [0, "New"],
                "session_first_event_time": _utc(first["ts"]),
                "session_last_event_time": _utc(last["ts"]),
            }
            | totals
            | {"referrer_type": [1, "Direct entry"], "operating_system": None}
            | {"events": [self._event(row, session_id, len(rows), snapshot) for row in rows]}
        )

    def _event(self, row: Mapping[str, Any], session_id: int, length: int, snapshot: Snapshot) -> dict[str, Any]:
        kind = row["kind"]
        made: dict[str, Any] = (
            _ids("event_id", int(snapshot.event_ids[row["event"]]))
            | {"log_uuids": []}
            | _ids("session_id", session_id)
            | {
                "is_exit": row["index"] == length - 1,
                "is_entry": row["index"] == 0,
                "event_type": [kind, _LABELS[kind]],
                "event_url": row["url"] or "",
                "server_time": _utc(row["ts"]),
                "event_index": row["index"],
            }
        )
        if kind == EXCLUDED:
            return made | {"exclusion_reason": row["reason"]}
        if kind == BROKEN:
            return made | {"error_message": row["reason"]}
        if kind == CUSTOM_EVENT:
            made |= {f"custom_event_{name}": row[name] or "" for name in ("category", "action", "name")}
            made |= {"custom_event_value": row["value"]}
        told = [one for one in self.site.dimensions if one.scope == "event" and one.slot <= 5]
        return made | {one.column_id: row[f"dimension{one.tracking_id}"] or "" for one in told}


def _ids(name: str, number: int) -> dict[str, Any]:
    """An id three ways, as the debugger writes it."""
    return {name: number, f"{name}_str": str(number), f"{name}_hex": f"{number:016x}"}


def _utc(ts: int) -> str:
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%S")
