"""Messages to those who run this: failed runs, old data, deliveries that were given up. Once for each key.

Not here: when there is something to tell.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime

from matokit_pipelines.delivery.escaping import one_line, plain
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.delivery.outbox import enqueue
from matokit_pipelines.delivery_settings import RecipientSettings

GROUP = "operators"


def tell_operators(
    connection: sqlite3.Connection,
    key: str,
    subject: str,
    text: str,
    now: datetime,
    recipients: RecipientSettings,
    *,
    not_by: str | None = None,
) -> bool:
    """Put a message for the operators into the outbox; False when all of them were told of this key before.

    `not_by`: a destination that does not work just now; when it is the only one the message goes to files.
    """
    destinations = [name for name in recipients.of((GROUP,)) if name != not_by] or ["files"]
    message = Message(one_line(subject), plain(text))
    told = [
        enqueue(
            connection,
            message_key=f"{GROUP}|{key}|{destination}",
            conversation=f"{GROUP}|{key}|{destination}",
            destination=destination,
            severity="warning",
            message=message,
            due=now,
            now=now,
        )
        for destination in destinations
    ]
    return any(told)


def is_for_operators(conversation: str) -> bool:
    """Whether a conversation is one of these."""
    return conversation.startswith(f"{GROUP}|")
