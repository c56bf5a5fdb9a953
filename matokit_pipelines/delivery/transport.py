"""What every way of delivery has in common: what it is given, and how a call may end. Not here: any service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from matokit_pipelines.delivery.messages import Message

# Slow services have often taken what they did not confirm in time; so long is waited before it is looked for.
AFTER_A_TIME_OUT = 60.0
SEND = "send"


@dataclass(frozen=True)
class Earlier:
    """A message of the same conversation, or to the same destination, that was delivered."""

    message_key: str
    ref: str | None


@dataclass(frozen=True)
class Parcel:
    """One message on its way. `root`: the first of its conversation that was delivered; `last`: the last one to the
    same destination; `ref`: what is known of earlier tries; `since`: when the first of them began, `is_put_back`: or up
    to a day before, as the clock was put back since. `still_ours` holds it for longer and says whether it still is this
    sender's; asked before each call that takes time."""

    message_key: str
    conversation: str
    severity: str
    message: Message = field(repr=False)
    is_plain: bool
    created_at: datetime
    since: datetime
    ref: str | None
    root: Earlier | None
    last: Earlier | None
    still_ours: Callable[[], bool] = field(repr=False)
    is_put_back: bool = False


@dataclass(frozen=True)
class Delivered:
    """The service has it. `ref`: what it calls it; `note`: what went wrong beside it."""

    ref: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Later:
    """Not now. `wait`: seconds at least, as told or known. `certain`: this call delivered nothing. `answered`: the
    service answered, which uses up a try. `method`: what it asked not to be called by until then, `send` or one for
    looking. `is_down`: no use to try others to this destination now. `ref`: what is to be remembered."""

    why: str
    wait: float = 0.0
    certain: bool = True
    answered: bool = True
    method: str | None = None
    is_down: bool = False
    ref: str | None = None


@dataclass(frozen=True)
class Refused:
    """Never. `content`: because of what it holds, so that the plain text may pass."""

    why: str
    content: bool
    ref: str | None = None


@dataclass(frozen=True)
class Lost:
    """Another sender took the row over in the meantime; it answers for it."""


Outcome = Delivered | Later | Refused | Lost


class Transport(Protocol):
    """A way to one destination, for one thread. None of its methods raises for what a service does.

    service: whose limits it shares, as in destinations; look_methods: what is called to look. longest: seconds that
    the longest step between two questions of `still_ours` takes. pace: seconds between two messages.
    """

    service: str
    look_methods: tuple[str, ...]
    longest: float
    pace: float

    def look(self, parcel: Parcel) -> Outcome | None:
        """Whether an earlier try delivered it: Delivered when found; None when it is not there or cannot be known."""

    def send(self, parcel: Parcel) -> Outcome:
        """Send it."""

    def follow(self, parcel: Parcel, ref: str | None) -> str | None:
        """What comes after a delivery and may fail; says what did."""

    def close(self) -> None:
        """Give connections back."""


class Plainly:
    """The parts of a transport that most do without."""

    look_methods: tuple[str, ...] = ()
    longest = 60.0
    pace = 0.0

    def look(self, parcel: Parcel) -> Outcome | None:
        return None

    def follow(self, parcel: Parcel, ref: str | None) -> str | None:
        return None

    def close(self) -> None:
        return None
