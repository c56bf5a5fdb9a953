"""What a defect of ours looks like from outside and in the log: one shape, one traceback, the same id in both."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from matokit_pipelines.toolserver import routes
from matokit_pipelines.toolserver.kit import Kit
from tests.serving import loaded_with, served


def test_a_route_that_fails_answers_in_our_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(kit: Kit) -> bool:
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr(routes, "is_ready", broken)
    with served(loaded_with(tmp_path)) as server, caplog.at_level(logging.ERROR):
        answer = server.get("/readyz", token=None, headers={"x-request-id": "asked-7"})
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "asked-7"
    assert set(answer.json()) == {"error", "type", "guidance"}
    assert "secret" not in json.dumps(answer.json())
    told = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in told] == ["Request asked-7 failed"]
    assert told[0].exc_info is not None
