"""Questions that differ only in what was said have answers of their own, also within the time of the cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.served_homes import full_home
from tests.serving import Served, served

RATE = "/tools/get-installer-success-rate"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = full_home(tmp_path_factory.mktemp("asked"))
    with served(made.loaded, made.home.clock) as running:
        yield running


@pytest.mark.parametrize(
    ("endpoint", "questions"),
    [
        (RATE, [{"by": "environment"}, {"by": "environment", "environment": "production"}]),
        (RATE, [{"fromDate": "{first}", "days": 7}, {"fromDate": "{first}"}]),
        ("/tools/get-component-health", [{"fromDate": "{first}", "days": 7}, {"fromDate": "{first}"}]),
    ],
)
def test_neither_order_mixes_them(server: Served, endpoint: str, questions: list[dict[str, Any]]) -> None:
    first = server.call(RATE, {"days": 14})["first_day"]
    asked = [{key: first if value == "{first}" else value for key, value in one.items()} for one in questions]
    fresh = [server.call(endpoint, {**one, "limit": 7}) for one in asked]
    assert fresh[0]["last_day"] != fresh[1]["last_day"] or fresh[0]["environment"] != fresh[1]["environment"]
    for order in (asked, asked[::-1]):
        for one in order:
            assert server.call(endpoint, {**one, "limit": 7}) == fresh[asked.index(one)]
