"""A server that did not answer is left alone for a minute, so that not every question waits for it in vain.

After that one question at a time tries again; the others are told what the last one met, at once. Not here: asking
(live.py), what is answered instead (web/doubts.py).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import (
    AccessRefused,
    AnswerNotUnderstood,
    AnswerUnreadable,
    MatokitError,
    PageTooLarge,
    ReportRefused,
    SourceAnswered,
    SourceTimedOut,
    SourceUnreachable,
)

LEFT_ALONE = timedelta(minutes=1)
_SILENT = (SourceTimedOut, SourceUnreachable)
_SPOKE = (ReportRefused, AccessRefused, SourceAnswered, AnswerNotUnderstood, AnswerUnreadable, PageTooLarge)


class LeftAlone(Exception):
    """The server is not asked now. `error`: what the last question met."""

    def __init__(self, error: MatokitError) -> None:
        super().__init__(str(error))
        self.error = error


class Outage:
    """What is known of one server's silence. Threads may share it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._error: MatokitError | None = None
        self._since: datetime | None = None
        self._is_tried = False

    @property
    def seconds(self) -> float:
        """Seconds for which the server is still left alone; 0 when a question may go to it."""
        with self._lock:
            return self._left()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around one question to the server; LeftAlone at once while it is not to be asked."""
        is_trial = self._admitted()
        try:
            yield
        except _SILENT as error:
            with self._lock:
                self._error, self._since = error, self._clock.now()
            raise
        except _SPOKE:
            self._over()
            raise
        else:
            self._over()
        finally:
            if is_trial:
                with self._lock:
                    self._is_tried = False

    def _admitted(self) -> bool:
        """Whether this question is the one that tries again."""
        with self._lock:
            if self._error is None:
                return False
            if self._is_tried or self._left() > 0:
                raise LeftAlone(type(self._error)(str(self._error)))
            self._is_tried = True
            return True

    def _left(self) -> float:
        if self._since is None:
            return 0.0
        now = self._clock.now()
        if now < self._since:  # the clock was put back: it counts anew
            self._since = now
        return max(0.0, (self._since + LEFT_ALONE - now).total_seconds())

    def _over(self) -> None:
        with self._lock:
            self._error = self._since = None
