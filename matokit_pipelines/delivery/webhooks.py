"""Any other service through Apprise: `webhook:<name>`, whose address is MATOKIT_WEBHOOK_<NAME>. Plain text only.

Apprise is told to try nothing again by itself and to interpret nothing within the text. Addresses hold secrets: they
are in no log and no sentence. A message whose outcome is not known is sent again. https://github.com/caronc/apprise
"""

from __future__ import annotations

import logging
import re
import threading

from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType
from apprise.common import OverflowMode

from matokit_pipelines.delivery.escaping import one_line, uncalled
from matokit_pipelines.delivery.transport import SEND, Delivered, Later, Outcome, Parcel, Plainly, Refused

_KINDS = {"critical": NotifyType.FAILURE, "warning": NotifyType.WARNING}
_STATUS = re.compile(r"error=(\d{3})\b")
_SECONDS = 60.0
_BUSY = threading.local()


class _Discreet(logging.Filter):
    """While this thread sends: of what Apprise and the library below it log, which holds addresses, the status only."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not getattr(_BUSY, "sends", False):
            return True
        found = _STATUS.search(record.getMessage())
        record.msg, record.args = (found[0] if found else "failed"), ()
        return record.name == "apprise" and record.levelno >= logging.WARNING


# Nobody needs Apprise's own lines; what else listens to them gets them without addresses.
logging.getLogger("apprise").propagate = False
logging.getLogger("apprise").addHandler(logging.NullHandler())
for _name in ("apprise", "urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_Discreet())


class Webhook(Plainly):
    """One service."""

    longest = _SECONDS  # Apprise waits 4 s for a connection and 4 s for an answer, unless the address says otherwise

    def __init__(self, name: str, url: str) -> None:
        self.service = f"webhook:{name}"
        self._variable = f"MATOKIT_WEBHOOK_{name.upper()}"
        self._url = url

    def send(self, parcel: Parcel) -> Outcome:
        """Send subject and text."""
        _BUSY.sends = True
        try:
            return self._notify(parcel)
        finally:
            _BUSY.sends = False

    def _notify(self, parcel: Parcel) -> Outcome:
        asset = AppriseAsset(
            app_id="matokit", app_desc="matokit", app_url="", async_mode=False, service_timeout=0,  # in this thread
            interpret_escapes=False, interpret_emojis=False, default_service_retry=0, allow_templates=False,
        )  # fmt: skip
        plugin = Apprise.instantiate(self._url, asset=asset)
        if plugin is None:
            why = f"{self._variable} is no address that Apprise knows; correct it"
            return Later(why, answered=False, is_down=True)
        plugin.retry = 0
        plugin.overflow_mode = OverflowMode.TRUNCATE  # one message, rather shortened than refused
        service = Apprise(asset=asset)
        service.add(plugin)
        ended = service.notify(
            body=uncalled(parcel.message.text),
            title=uncalled(one_line(parcel.message.subject)),
            notify_type=_KINDS.get(parcel.severity, NotifyType.INFO),
            body_format=NotifyFormat.TEXT,
            interpret_escapes=False,
            log_level=logging.WARNING,
        )
        return Delivered() if ended else self._failed(" ".join(str(entry.message) for entry in ended.logs()))

    def _failed(self, told: str) -> Outcome:
        """What a failure means, as far as Apprise tells."""
        found = _STATUS.search(told)
        status = int(found[1]) if found else None
        if status is None:
            return Later("the service cannot be reached", certain=False, answered=False, is_down=True)
        if status in (400, 413, 422):
            return Refused(f"the service refused what the message holds ({status})", content=False)
        if status == 429:
            return Later("the service asked to wait", wait=60.0, answered=False, method=SEND)
        if status >= 500:
            return Later(f"the service answered {status}", certain=False)
        return Later(f"the service answered {status}; see {self._variable}")
