"""Answers of the simulated Piwik PRO, and its four kinds of error answers.

Belongs here: media types, envelopes, compression. Does not belong here: when which answer is given.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import Any

from matokit_pipelines.simulator.wire import Answer, Request

JSON = "application/json"
JSON_API = "application/vnd.api+json"
NDJSON = "application/x-ndjson"
SMALLEST_ZIPPED = 512


class PiwikProError(Exception):
    """An error in the envelope of the analytics endpoints; parameter: what of the request it is about."""

    def __init__(self, status: int, detail: str, parameter: str | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.parameter = status, detail, parameter


def json_answer(value: Any, status: int = 200, media: str = JSON) -> Answer:
    """JSON of Python values."""
    return Answer(status, media, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def analytics_error(error: PiwikProError) -> Answer:
    """`{"errors": [{"status": "400", "detail": ..., "source": {"parameter": ...}}]}`; the status is a text."""
    row: dict[str, Any] = {"status": str(error.status), "detail": error.detail}
    if error.parameter is not None:
        row["source"] = {"parameter": error.parameter}
    return json_answer({"errors": [row]}, error.status)


def management_error(status: int, text: str) -> Answer:
    """`{"error": ...}`, as the management endpoints answer a bad token."""
    return json_answer({"error": text}, status)


def management_refusal(status: int, title: str, code: str | None = None) -> Answer:
    """`{"errors": [{"status": "404", "title": ...}]}` (JSON:API), as they answer everything else."""
    row = {"status": str(status), "title": title} | ({"code": code} if code else {})
    return json_answer({"errors": [row]}, status, JSON_API)


def text_answer(status: int, text: str) -> Answer:
    """Plain text, as the debugger answers errors."""
    return Answer(status, "text/plain", text.encode())


def page(status: int, title: str) -> Answer:
    """An HTML page in place of an answer, as gateways send them."""
    text = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Answer(status, "text/html", text.encode())


def too_many(seconds: int) -> Answer:
    """429 with Retry-After."""
    answer = analytics_error(PiwikProError(429, "Too many requests."))
    return replace(answer, headers={"Retry-After": str(seconds)})


def zipped(answer: Answer, request: Request) -> Answer:
    """The answer in gzip if the request can read that and it is worth it."""
    if "gzip" not in request.headers.get("accept-encoding", "") or len(answer.body) < SMALLEST_ZIPPED:
        return answer
    headers = dict(answer.headers) | {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return replace(answer, body=gzip.compress(answer.body, compresslevel=1), headers=headers)
