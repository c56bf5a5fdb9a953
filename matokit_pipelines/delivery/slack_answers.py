"""What Slack's answers and failures mean for a message: later, never, or not known. Not here: calling Slack.

Errors: https://docs.slack.dev/reference/methods/chat.postMessage#errors
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http.client import HTTPException
from socket import gaierror
from urllib.error import URLError

from slack_sdk.errors import SlackApiError, SlackClientError

from matokit_pipelines.delivery.transport import AFTER_A_TIME_OUT, Later, Outcome, Refused

# what a call may raise: Slack's own, broken connections (OSError), broken answers
FAILURES = (SlackClientError, OSError, HTTPException, ValueError, KeyError)
_CONTENT = frozenset(
    {
        "invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "no_text", "too_many_blocks",
        "invalid_metadata_format", "invalid_metadata_schema", "metadata_too_large", "invalid_arguments",
        "invalid_payload", "too_many_attachments", "invalid_attachments", "block_mismatch", "invalid_arg_name",
    }
)  # fmt: skip
_DOWN = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
_TO_DO = {
    "invalid_auth": "put a valid bot token into MATOKIT_SLACK_TOKEN",
    "not_authed": "put a bot token into MATOKIT_SLACK_TOKEN",
    "account_inactive": "the bot was removed: install the app again and renew MATOKIT_SLACK_TOKEN",
    "token_revoked": "renew MATOKIT_SLACK_TOKEN",
    "token_expired": "renew MATOKIT_SLACK_TOKEN",
    "missing_scope": "give the app chat:write, files:write and channels:history and install it again",
    "channel_not_found": "correct the channel in [recipients], or invite the bot into it",
    "not_in_channel": "invite the bot into the channel",
    "is_archived": "name another channel in [recipients]",
    "no_service": "make a new webhook and put it into MATOKIT_SLACK_WEBHOOK",
    "invalid_token": "make a new webhook and put it into MATOKIT_SLACK_WEBHOOK",
}
_UNTOLD_WAIT = 30.0


def said(error: BaseException) -> str | None:
    """Slack's own word for an error, such as `channel_not_found`; None for any other failure."""
    if not isinstance(error, SlackApiError) or isinstance(error.response, str):
        return None
    word = error.response.get("error")
    return word if isinstance(word, str) and word.replace("_", "").isalnum() else None


def outcome_of(error: BaseException, method: str) -> Outcome:
    """What a failed call means. Words never hold what was sent, an address or a token."""
    if isinstance(error, SlackApiError) and not isinstance(error.response, str):
        return answered(error.response.status_code, said(error), error.response.headers, method)
    return broken(error)


def answered(status: int, word: str | None, headers: Mapping[str, str], method: str) -> Outcome:
    """What an answer means: its HTTP status, Slack's word for the error, its headers."""
    if status == 429 or word in ("ratelimited", "rate_limited"):
        wait = told_wait(headers)
        return Later(f"Slack asked to wait {wait:.0f} s", wait=wait, answered=False, method=method)
    if word in _CONTENT or (status in (400, 413) and word not in _TO_DO):
        return Refused(f"Slack refused what the message holds ({word or status})", content=True)
    if status >= 500 or word in _DOWN:
        return Later(f"Slack answered {word or status}", certain=False)
    if word is None:
        return Later(f"what answered {status} was not Slack; see slack.api_url and any proxy", certain=False)
    return Later(f"Slack said {word}; {_TO_DO.get(word, 'see the errors of chat.postMessage in its documentation')}")


def broken(error: BaseException) -> Later:
    """What a call without an answer means: only one that reached nobody surely delivered nothing."""
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Later(
            "Slack's certificate is not trusted; see slack.api_url and any proxy", answered=False, is_down=True
        )
    if isinstance(reason, ConnectionRefusedError | gaierror):
        return Later("Slack cannot be reached", answered=False, is_down=True)
    if isinstance(reason, TimeoutError):
        return Later("Slack did not answer in time", AFTER_A_TIME_OUT, certain=False, answered=False, is_down=True)
    if isinstance(reason, OSError | HTTPException):
        return Later("the connection to Slack was lost", certain=False, answered=False)
    return Later("Slack's answer was not understood", certain=False)


def told_wait(headers: Mapping[str, str]) -> float:
    """Seconds of a Retry-After header, at least one and at most an hour; 30 where it tells nothing."""
    told = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    try:
        return min(max(float(told), 1.0), 3_600.0)
    except ValueError:
        return _UNTOLD_WAIT
