"""A server that did not answer is left alone for a minute, so that not every question waits for it in vain.

A refused or lost connection counts at once. A time-out by itself does not, since a single question may be too heavy
for a server that answers all others: that question alone is left alone. The server is when a second, other question
that began after that time-out is not answered in time either, and nothing was answered since the first began. (Its
version would prove nothing: a server whose reports hang tells it.) After the minute one question at a time tries again;
the others are told what was met last, at once. Not here: asking (live.py), what is answered instead (web/doubts.py).
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
_REMEMBERED = timedelta(minutes=10)
_SPOKE = (ReportRefused, AccessRefused, SourceAnswered, AnswerNotUnderstood, AnswerUnreadable, PageTooLarge)


class LeftAlone(Exception):
    """The server is not asked now. `error`: what the last question met."""

    def __init__(self, error: MatokitError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True)
class _Silence:
    """What a question met, when, and how many answers there had been when it began."""

    error: MatokitError
    since: datetime
    answers: int


@dataclass(frozen=True)
class _Begun:
    """A question on its way. `is_second`: nothing was answered since another one began that timed out; `before`: what
    it met itself the last time."""

    is_trial: bool
    is_second: bool
    answers: int
    before: _Silence | None


class Outage:
    """What is known of one server's silence. Threads may share it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._silence: _Silence | None = None
        self._too_slow: dict[Hashable, _Silence] = {}
        self._answers = 0
        self._is_tried = False

    @property
    def seconds(self) -> float:
        """Seconds for which the server is still left alone; 0 when a question may go to it."""
        with self._lock:
            return self._left()

    def seconds_for(self, question: Hashable) -> float:
        """The same for one question, which may be left alone by itself."""
        with self._lock:
            return max(self._left(), self._left_of(question))

    def heard(self) -> None:
        """The server has answered something."""
        with self._lock:
            self._answers += 1
            self._silence = None

    @contextmanager
    def asking(self, question: Hashable) -> Iterator[None]:
        """Around one question to the server; LeftAlone at once while it is not to be asked.

        `question`: equal for the same question, whoever asks it.
        """
        begun = self._admitted(question)
        try:
            yield
        except SourceTimedOut as error:
            self._timed_out(question, begun, error)
            raise
        except SourceUnreachable as error:
            with self._lock:
                self._silence = self._met(begun, error)
            raise
        except _SPOKE:
            self._answered(question)
            raise
        except BaseException:  # it did not come to asking: the next one may try
            with self._lock:
                if begun.before:
                    self._too_slow[question] = begun.before
            raise
        else:
            self._answered(question)
        finally:
            with self._lock:
                self._is_tried = self._is_tried and not begun.is_trial

    def _answered(self, question: Hashable) -> None:
        self.heard()
        with self._lock:
            self._too_slow.pop(question, None)

    def _admitted(self, question: Hashable) -> _Begun:
        with self._lock:
            if self._left_of(question):
                raise _left_alone(self._too_slow[question])
            is_trial = self._silence is not None
            if self._silence and (self._is_tried or self._left() > 0):
                raise _left_alone(self._silence)
            self._is_tried = self._is_tried or is_trial
            now = self._clock.now()
            self._too_slow = {one: met for one, met in self._too_slow.items() if now - met.since < _REMEMBERED}
            is_second = any(
                met.answers == self._answers and self._left_of(one) > 0
                for one, met in self._too_slow.items()
                if one != question
            )
            before = self._too_slow.get(question)
            if before:  # this one tries again, and whoever asks the same does not wait with it
                self._too_slow[question] = replace(before, since=now)
            return _Begun(is_trial, is_second, self._answers, before)

    def _timed_out(self, question: Hashable, begun: _Begun, error: MatokitError) -> None:
        with self._lock:
            self._too_slow[question] = self._met(begun, error)
            if begun.is_second and begun.answers == self._answers:
                self._silence = self._met(begun, error)

    def _met(self, begun: _Begun, error: MatokitError) -> _Silence:
        return _Silence(error, self._clock.now(), begun.answers)

    def _left(self) -> float:
        if self._silence is None:
            return 0.0
        self._silence, left = self._counted(self._silence)
        return left

    def _left_of(self, question: Hashable) -> float:
        if question not in self._too_slow:
            return 0.0
        self._too_slow[question], left = self._counted(self._too_slow[question])
        return left

    def _counted(self, silence: _Silence) -> tuple[_Silence, float]:
        """The same and the seconds left of it; where the clock was put back it counts anew."""
        now = self._clock.now()
        if now < silence.since:
            silence = replace(silence, since=now)
        return silence, max(0.0, (silence.since + LEFT_ALONE - now).total_seconds())


def _left_alone(silence: _Silence) -> LeftAlone:
    return LeftAlone(type(silence.error)(str(silence.error)))
