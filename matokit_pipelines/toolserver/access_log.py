"""One line of JSON a request on standard error: who asked for what, how it ended, how long it took.

Never a body, a token, a query or a header of the caller's beyond the names that the platform gives its threads.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable

from matokit_pipelines.clock import Clock
from matokit_pipelines.toolserver.wire import Scope

WRITE_SECONDS = 0.1
ACCESS = logging.getLogger("matokit.access")
_CALLERS = {
    b"x-opal-thread-id": "thread",
    b"x-opal-workflow-execution-id": "workflow",
    b"x-opal-agent-execution-id": "agent",
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class AccessLog:
    """Collects the lines of a moment and writes them together: a write for each would cost as much as an answer."""

    def __init__(self, clock: Clock, write: Callable[[str], object] | None = None) -> None:
        self._clock = clock
        self._write = write or _to_the_logger
        self._lines: list[str] = []
        self._due: asyncio.TimerHandle | None = None

    def note(self, scope: Scope, request: bytes, caller: str, what: str, status: int, seconds: float) -> None:
        """`what`: the tool or route that answered, "" for none; the path itself is the caller's and is not written."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        further = ""
        for name, value in scope["headers"]:
            if name in _CALLERS:
                further += f', "{_CALLERS[name]}": {json.dumps(value[:64].decode("latin-1"))}'
        at = self._clock.now().isoformat(timespec="milliseconds")[:23]
        self._lines.append(
            f'{{"at": "{at}Z", "request": "{request.decode("ascii")}", "caller": "{caller}", "method": "{method}", '
            f'"what": "{what}", "status": {status}, "ms": {seconds * 1000:.1f}{further}}}'
        )
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(WRITE_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what was collected."""
        self._due = None
        lines, self._lines = self._lines, []
        if lines:
            self._write("\n".join(lines))


def _to_the_logger(text: str) -> None:
    ACCESS.info("%s", text)


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
