"""One line of JSON a request on standard error: who asked for what, how it ended, how long it took.

Never a body, a token, a query or a header of the caller's beyond the names that the platform gives its threads.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from matokit_pipelines.clock import Clock
from matokit_pipelines.toolserver.wire import Scope

ACCESS = logging.getLogger("matokit.access")
_CALLERS = {
    b"x-opal-thread-id": "thread",
    b"x-opal-workflow-execution-id": "workflow",
    b"x-opal-agent-execution-id": "agent",
}


class AccessLog:
    """Writes the lines, unless the logger is told not to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def note(self, scope: Scope, request: bytes, caller: str, what: str, status: int, seconds: float) -> None:
        """`what`: the tool or route that answered, "" for none; the path itself is the caller's and is not written."""
        if not ACCESS.isEnabledFor(logging.INFO):
            return
        line: dict[str, Any] = {
            "at": f"{self._clock.now():%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
            "request": request.decode("ascii"),
            "caller": caller,
            "method": scope["method"][:16],
            "what": what,
            "status": status,
            "ms": round(seconds * 1000, 1),
        }
        for name, value in scope["headers"]:
            if name in _CALLERS:
                line[_CALLERS[name]] = value[:64].decode("latin-1")
        ACCESS.info("%s", json.dumps(line, ensure_ascii=True))


class JsonLines(logging.Formatter):
    """Everything else that is logged, as a line of JSON as well; a traceback becomes one of its values."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == ACCESS.name:
            return record.getMessage()
        line = {"level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)


def to_stderr(level: int = logging.INFO) -> None:
    """Send what this process logs to standard error as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("matokit", "matokit_pipelines"):
        logging.getLogger(name).setLevel(level)
