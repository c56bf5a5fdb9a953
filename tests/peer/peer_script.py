"""Runs in the peer's environment: its own tools ask the service that the environment variables name.

Belongs here: calls of the peer's tools, as they are; one JSON object on stdout. Does not belong here: any expectation
(peer_check.py), anything of this project.
"""

import asyncio
import json
import sys
from typing import Any

import piwik_pro_mcp.server as peer  # its tools are registered by this import and by nothing less

DAYS = [{"column_id": "timestamp", "transformation_id": "to_date"}]
HOURS = [{"column_id": "timestamp", "transformation_id": "to_start_of_hour"}]


async def answers(site: str, first: str, last: str) -> dict[str, Any]:
    """What the peer makes of each answer; first and last: the days of the queries."""
    tools = peer.create_mcp_server()

    async def call(tool: str, **arguments: Any) -> Any:
        answer = await tools.call_tool(tool, arguments)
        # Text and structure hold the same; the structure of a union is wrapped once more.
        return json.loads((answer[0] if isinstance(answer, tuple) else answer)[0].text)

    async def query(columns: list[dict[str, Any]], **more: Any) -> Any:
        window = {"website_id": site, "date_from": first, "date_to": last, "limit": 100_000, "order_by": [[0, "asc"]]}
        return (await call("analytics_query_execute", columns=columns, **(window | more)))["result"]

    counted = [{"column_id": name} for name in ("events", "custom_events", "visitors")]
    custom = {"column_id": "event_type", "condition": {"operator": "eq", "value": "5"}}
    busy = {"operator": "and", "conditions": [{"column_id": "events", "condition": {"operator": "gte", "value": 2}}]}
    dimensions = await call("analytics_custom_dimensions_list", website_id=site)
    known = dimensions["standard"]["data"]
    return {
        "apps": await call("apps_list"),
        "app": await call("apps_get", app_id=site),
        "dimensions": known,
        "dimension": await call(
            "analytics_custom_dimensions_get", dimension_id=known[0]["id"], website_id=site, scope="event"
        ),
        "slots": await call("analytics_custom_dimensions_get_slots", website_id=site),
        "columns": await call("analytics_dimensions_list", website_id=site),
        "metrics": await call("analytics_metrics_list", website_id=site),
        "details": await call(
            "analytics_dimensions_details_list", website_id=site, dimensions=["timestamp", "custom_event_value"]
        ),
        "settings": await call("tracker_settings_app_get", app_id=site),
        "by_day": await query(DAYS + counted),
        "by_hour": await query(HOURS + counted[:1]),
        "by_category": await query(
            [{"column_id": "custom_event_category"}, {"column_id": "events"}],
            filters={"operator": "and", "conditions": [custom]},
            metric_filters=busy,
        ),
        "value": await query([{"column_id": "custom_event_value", "transformation_id": "sum"}], order_by=None),
    }


async def refusal(site: str) -> str:
    """What the peer says of a column that does not exist."""
    tools = peer.create_mcp_server()
    wrong = {"website_id": site, "columns": [{"column_id": "no_such_column"}], "relative_date": "yesterday"}
    try:
        await tools.call_tool("analytics_query_execute", wrong)
    except Exception as error:  # the peer's own kinds of errors differ by version; its words matter
        return str(error)
    return ""


if __name__ == "__main__":
    site, first, last = sys.argv[1:]
    found = asyncio.run(answers(site, first, last)) | {"refusal": asyncio.run(refusal(site))}
    print(json.dumps(found, default=str))
