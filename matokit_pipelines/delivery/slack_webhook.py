"""Slack by an incoming webhook: text and blocks into the one channel that the webhook belongs to.

It tells no ts, so there are no threads, no charts and no looking; a message whose outcome is not known is sent again.
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

import math

from slack_sdk.webhook import WebhookClient

from matokit_pipelines.delivery.slack import QUIET
from matokit_pipelines.delivery.slack_answers import FAILURES, answered, broken
from matokit_pipelines.delivery.slack_payload import payload
from matokit_pipelines.delivery.transport import SEND, Delivered, Outcome, Parcel, Plainly

_LONGEST_WORD = 60


class SlackWebhook(Plainly):
    """The channel of a webhook. The client raises nothing for a refusal, so its status is looked at."""

    service = "slack"
    pace = 1.0

    def __init__(self, url: str, timeout: float) -> None:
        self._client = WebhookClient(url, timeout=math.ceil(timeout), retry_handlers=[], logger=QUIET)
        self.longest = 3 * timeout

    def send(self, parcel: Parcel) -> Outcome:
        """Post it."""
        try:
            answer = self._client.send(
                **payload(parcel.message, parcel.is_plain), unfurl_links=False, unfurl_media=False
            )
        except FAILURES as error:
            return broken(error)
        if answer.status_code == 200:
            return Delivered()
        word = answer.body.strip()
        known = word if len(word) <= _LONGEST_WORD and word.replace("_", "").isalnum() else None
        return answered(answer.status_code, known, dict(answer.headers), SEND)
