"""What to do about each reason for which Piwik PRO excludes an event, and reasons freed of personal data.

Nobody lists the reasons, so they are told by their words. Not here: counting events (why_missing.py).
"""

from __future__ import annotations

import re

from matokit_pipelines.cli.frame import shortened

LONGEST_REASON = 100
BROKEN_TO_DO = (
    "the server could not take what was sent; compare the request with what docs/piwik-pro.md says a script sends, "
    "e_v above all"
)
PAGE_VIEW_TO_DO = (
    "a request without e_c and e_a is a page view, which no figure of ours has; if a script sent it, send both"
)
ANOTHER_KIND = "an install script sends nothing like that, so they are not its events"
_TO_DO = (  # first fit wins
    (
        r"crawler|\bbot\b|spider",
        "switch off exclude_crawlers for this site (Administration, Sites & apps); where the agent is the reason, the "
        "scripts can also send another one as ua",
    ),
    (
        r"session|limit|too many",
        "set session_limit_exceeded_action to just_split, and let the scripts send a cid for each machine, so that "
        "machines behind one address do not share a session",
    ),
    (
        r"agent|browser",
        "take the agent of the scripts off the site's excluded user agents, or let them send another ua",
    ),
    (
        r"\burls?\b|domain|host",
        "switch off exclude_unknown_urls, or let the scripts send one of the site's addresses as url",
    ),
    (
        r"consent|opt(ed)?[ -]?out|privacy|do not track|\bdnt\b",
        "its user agreed to nothing, so nothing may be kept; there is nothing to mend",
    ),
    (r"\bip\b|address|network", "take the network of these machines off the site's excluded addresses"),
)
_OTHERWISE = "look at the site's filters (Administration, Sites & apps), or ask the vendor's support"
_PERSONAL = (
    (r"(?is)\blogs?:.*", "…"),  # the vendor's own example quotes a log
    (r"(?i)\b[a-z][a-z0-9+.-]*://\S+|\bwww\.\S+", "[address]"),
    (r"[\w.+%-]+@[\w-]+(\.[\w-]+)+", "[mail]"),
    (r"\b\d{1,3}(\.(\d{1,3}|\*)){3}(/\d+)?", "[address]"),
    (r"(?i)(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(/\d+)?(?![\w:])", "[address]"),
    (r"(?i)\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "[id]"),
    (r"(?i)\b(?=[a-f]*\d)[0-9a-f]{8,}\b|\d{6,}", "[id]"),
    (r"(?i)\buser[ _]?id\b\s*[:=]?\s*(?!(?:is|was|on|in|not)\b)[^\s,;]+", "[id]"),
    (r"\"[^\"]+\"|'[^']+'", "[…]"),
)


def to_do(reason: str) -> str:
    """What mends it, in words that follow a colon; by the words of the reason."""
    for words, advice in _TO_DO:
        if re.search(words, reason, re.IGNORECASE):
            return advice
    return _OTHERWISE


def without_personal(text: str) -> str:
    """A server's words on one short line, without addresses, mail, ids, quotations and logs."""
    for pattern, instead in _PERSONAL:
        text = re.sub(pattern, instead, text)
    return shortened(text.replace('"', "'"), LONGEST_REASON)
