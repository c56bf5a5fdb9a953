"""Telling the operators: a notice that `matokit status` shows, and a message by the outbox to whom the settings name.

Not here: what is worth telling (sensors, assets), sending.
"""

import re
from contextlib import suppress

from matokit_pipelines import state
from matokit_pipelines.delivery.files import close_notices, open_notices, write_notice
from matokit_pipelines.delivery.operators import tell_operators
from matokit_pipelines.errors import StateError
from matokit_pipelines.warehouse.refresh import Home

_RUN = re.compile(r"\(run [0-9a-f]{8}( of [^)]*)?\)")


def tell(home: Home, key: str, subject: str, text: str) -> None:
    """Tell once for each key. What cannot be queued is a notice all the same."""
    note(home, key, subject, text)
    with suppress(StateError), state.opened(home.loaded.home) as store, state.transaction(store):
        tell_operators(store, key, subject, text, home.clock.now(), home.loaded.settings.recipients)


def note(home: Home, key: str, subject: str, text: str) -> None:
    """A notice alone, once for each key: for what the operators are told in another way."""
    write_notice(home.loaded.home, key, subject, text, home.clock.now())


def is_told(home: Home, prefix: str, text: str) -> bool:
    """Whether an open notice of that prefix says the same, but for the run it names."""
    wanted = _RUN.sub("", text)
    notices = open_notices(home.loaded.home)
    return any(notice.key.startswith(prefix) and _RUN.sub("", notice.text) == wanted for notice in notices)


def is_over(home: Home, prefix: str) -> int:
    """What notices of that prefix tell of is over; how many were open."""
    return close_notices(home.loaded.home, prefix)
