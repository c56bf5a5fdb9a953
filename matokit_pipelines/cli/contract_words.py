"""What each finding of contract drift means and what to send instead, in words.

Not here: finding it (sql/staging/contract_findings), who says it (linting.py, first_report.py).
"""

from __future__ import annotations

from matokit_pipelines.cli.frame import shortened

NOTES = ("old_name", "new_form")  # worth a look, but nothing is broken
_SENTENCES = {  # by reason; a reason of two kinds, by both
    "not_listed/unknown_category": "no list has the category {finding}, so its environment is unknown; use "
    "Installer_PROD, _TEST, _DEV, _CI or _STAGING, or add it to [events.environments]",
    "not_listed/unknown_code": "no list has the code {finding}, so its outcome is unknown; use a listed one, or add "
    "it to [events.component_codes]",
    "not_recognised": "no rule recognises the operating system {finding}; send its name and version, such as "
    "macOS14.2.1",
    "negative_or_not_finite": "the value {finding} is negative or not finite, so the event is left out; send 1, 0 or "
    "seconds",
    "missing": "there is no name, so nobody knows what was installed",
    "not_snake_case": "the name {finding} is not lower-case words joined by _, at its end perhaps a version as in "
    "python_install_3.11",
    "unknown_error_suffix": "the name {finding} ends like an error, but not in a known suffix, so the value alone "
    "decides; use _unknown_error or another one of docs/events.md",
    "near_test_name": "the name {finding} looks like that of a test and is read as a component; tests are named "
    "connection_test, test_… or example_…",
    "too_long": "the name {finding} is longer than 60 characters",
    "readable": "{finding} is a readable name, as the first scripts sent; it is understood, but new ones should be "
    "lower-case words joined by _",
    "over_5_percent": "more than 5 % of the counted events of the last 7 complete days could be read in two ways; send "
    "durations or flags for one component, not both",
    "first_time": "the form {finding} was never seen of this source before",
    "back_again": "the form {finding} is back after 28 days without it",
}


def sentence_of(kind: str, reason: str, finding: str) -> str:
    """What a row of contract_drift means, to follow a colon."""
    words = _SENTENCES.get(f"{reason}/{kind}") or _SENTENCES[reason]
    return words.format(finding=quoted(finding))


def quoted(text: str | None) -> str:
    """Text from elsewhere in quotation marks, on one line."""
    return "(none)" if text is None else f'"{shortened(text, 60)}"'
