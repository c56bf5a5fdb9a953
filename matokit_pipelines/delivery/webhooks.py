"""Any other service through Apprise: `webhook:<name>`, whose address is MATOKIT_WEBHOOK_<NAME>. Plain text only.

Apprise is told to try nothing again by itself and to interpret nothing within the text. Addresses hold secrets: they
are in no log and no sentence. A message whose outcome is not known is sent again. https://github.com/caronc/apprise
"""

from __future__ import annotations

import logging
import re

from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType
from apprise.common import OverflowMode

from matokit_pipelines.delivery.escaping import one_line, uncalled
from matokit_pipelines.delivery.transport import Delivered, Later, Outcome, Parcel, Plainly, Refused

_KINDS = {"critical": NotifyType.FAILURE, "warning": NotifyType.WARNING}
_STATUS = re.compile(r"error=(\d{3})\b")
_SECONDS = 60.0
# Apprise's own lines may hold addresses.
_QUIET = logging.getLogger("apprise")
_QUIET.propagate = False
_QUIET.addHandler(logging.NullHandler())


class Webhook(Plainly):
    """One service."""

    method = "notify"
    longest = _SECONDS + 30.0

    def __init__(self, name: str, url: str) -> None:
        self.service = f"webhook {name}"
        self._variable = f"MATOKIT_WEBHOOK_{name.upper()}"
        self._url = url

    def send(self, parcel: Parcel) -> Outcome:
        """Send subject and text."""
        asset = AppriseAsset(
            app_id="matokit", app_desc="matokit", app_url="", async_mode=False, service_timeout=_SECONDS,
            interpret_escapes=False, interpret_emojis=False, default_service_retry=0, allow_templates=False,
        )  # fmt: skip
        plugin = Apprise.instantiate(self._url, asset=asset)
        if plugin is None:
            return Later(f"{self._variable} is no address that Apprise knows; correct it", answered=False, is_down=True)
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
            return Later("the service asked to wait", wait=60.0, answered=False, method=self.method)
        if status >= 500:
            return Later(f"the service answered {status}", certain=False)
        return Later(f"the service answered {status}; see {self._variable}")
