"""Answers of the simulated Matomo, and its errors as they are really worded.

Belongs here: status, content type and body of an answer. Does not belong here: when which answer is given.
"""

from __future__ import annotations

import json
from typing import Any

from matokit_pipelines.simulator.wire import Answer, Request

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"


class MatomoError(Exception):
    """An error answer. page: whether it is an HTML page when all parameters came in the POST body."""

    def __init__(self, message: str, status: int = 200, page: bool = False) -> None:
        super().__init__(message)
        self.message, self.status, self.page = message, status, page


def json_answer(value: Any, status: int = 200) -> Answer:
    """JSON with every non-ASCII character escaped."""
    return Answer(status, JSON, json.dumps(value, separators=(",", ":")).encode())


def error_value(message: str) -> dict[str, str]:
    """The JSON of an error."""
    return {"result": "error", "message": message}


def error_answer(error: MatomoError, request: Request) -> Answer:
    """The answer for an error: JSON, or a page if it is of that kind and the query string was empty."""
    if error.page and "format" not in request.query:
        return page(error.status, "Matomo &rsaquo; Error", "An error occurred", error.message)
    return json_answer(error_value(error.message), error.status)


def maintenance() -> Answer:
    """Maintenance mode: always a page."""
    text = "We will be back up and running again soon, so please try again later."
    title = "Matomo is undergoing maintenance"
    return Answer(503, "text/html; charset=UTF-8", page(503, title, title, text).body)


def page(status: int, title: str, head: str, message: str) -> Answer:
    """An HTML page."""
    text = (
        f'<!DOCTYPE html>\n<html>\n<head>\n\t<meta charset="utf-8">\n\t<title>{title}</title>\n</head>\n'
        f"<body>\n\t<h1>{head}</h1>\n\t<p>{message}</p>\n</body>\n</html>\n"
    )
    return Answer(status, HTML, text.encode())


def escaped(text: str) -> str:
    """Text of a request inside an error message: HTML-escaped, apostrophes left."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
