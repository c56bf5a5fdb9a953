"""What health and diagnosis say of upstreams that answer oddly: no Matomo at all, or one in trouble."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.health_kits import ask, health, kit_of, settings_of
from tests.upstreams import TOKEN, Reply, Upstream


def seen(folder: Path, reply: Reply) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The check matomo-api and the three steps, where every question is answered alike."""
    with Upstream(lambda method, params: reply).serving() as server, kit_of(settings_of(folder, server.url)) as kit:
        checks = health(kit)[1]
        steps: list[dict[str, Any]] = ask(kit, "DiagnoseMatomo")["checks"]
    assert TOKEN not in str(checks) + str(steps)
    return checks["matomo-api"], steps


@pytest.mark.parametrize("body", [None, 42, "5.2.0", True, {"status": "ok"}, {"value": ""}, {"value": None}, {}, [{}]])
def test_what_answers_json_is_no_matomo_for_that(tmp_path: Path, body: object) -> None:
    check, steps = seen(tmp_path, Reply(body))
    assert check["status"] == "fail"
    assert "version" in check["output"]
    assert [step["status"] for step in steps] == ["error", "skipped", "skipped"]
    assert "not the expected API" in steps[0]["error"]["guidance"]
