"""Asking again what a reading asked, for the contestants beside it (floor.py, with_dlt.py).

Imports nothing of this project: with_dlt.py runs in an environment that does not hold it.
"""

from __future__ import annotations

from typing import Any

import requests


def ask(session: requests.Session, url: str, asked: dict[str, Any]) -> requests.Response:
    """The answer to one noted request, sent to the server at `url`; raises HTTPError unless it succeeds."""
    answer = session.request(
        asked["http"],
        url + asked["path"],
        params=asked["query"],
        data=asked["form"] or asked["body"],
        headers={"Content-Type": asked["type"]} if asked["type"] else {},
        timeout=600,
    )
    answer.raise_for_status()
    return answer
