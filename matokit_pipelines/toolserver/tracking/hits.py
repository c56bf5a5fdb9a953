"""A hit as it was accepted: the fields of Matomo's form, whose it is, and under which key. Never a token.

Not here: how arguments are checked (parameters.py), the queue.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

Kind = Literal["pageview", "event", "goal"]
# A hit delivered later than this tells when it happened; one that goes through at once happens when it arrives.
LATE = timedelta(seconds=2)
KEY_LASTS = timedelta(hours=24)


@dataclass(frozen=True)
class Hit:
    """One hit. site, site_name: number and name of the site; tracker: the address it goes to, as of now.

    form: fields as Matomo's tracking API names them. visitor: whose it is; None: nobody's in particular, so that its
    order among others does not matter. page_view: the id of a page view, which is answered. key: the caller's
    idempotency key. asked: what the caller asked for, to tell another hit under the same key.
    """

    kind: Kind
    site: str
    site_name: str
    tracker: str
    form: Mapping[str, str] = field(repr=False)
    visitor: str | None = field(default=None, repr=False)
    page_view: str | None = None
    key: str | None = field(default=None, repr=False)
    asked: Mapping[str, object] = field(default_factory=dict, repr=False)
    key_lasts: timedelta = KEY_LASTS

    @property
    def digest(self) -> str:
        """The same for the same hit asked for again: what we filled in ourselves does not count."""
        told = json.dumps(
            [self.kind, self.site, self.site_name, dict(self.asked)], sort_keys=True, ensure_ascii=False, default=str
        )
        return hashlib.sha256(told.encode("utf-8", "backslashreplace")).hexdigest()

    @property
    def lane(self) -> str | None:
        """Whose order it keeps; None: nobody's."""
        return None if self.visitor is None else f"{self.tracker} {self.site} {self.visitor}"

    @property
    def payload(self) -> str:
        """The form as the table keeps it."""
        return json.dumps(dict(self.form))


def form_of(payload: str, accepted_at: datetime, now: datetime) -> dict[str, str]:
    """The form to send now. A late hit keeps the time of its acceptance, unless the caller gave one."""
    form: dict[str, str] = json.loads(payload)
    if "cdt" not in form and now - accepted_at > LATE:
        form["cdt"] = matomo_time(accepted_at)
    return form


def matomo_time(at: datetime) -> str:
    """An instant as `cdt`: ISO 8601 in UTC with milliseconds."""
    at = at.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def matomo_number(value: float) -> str:
    """A number with all of its fraction, and none where it has none."""
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(value)
