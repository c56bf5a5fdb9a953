"""What an error of a source, of the tables or of the store is to a caller: its category, its status, what to do.

Branches on the class of the error; words choose the guidance only where Matomo refused in words, which come in the
language of the token's owner. No file name, no secret and no exception's own text of others gets through. Not here:
asking (live.py), how a problem travels (opal.py, mcp_face.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from matokit_pipelines.errors import (
    AccessRefused,
    AnswerNotUnderstood,
    AnswerUnreadable,
    CredentialsRefused,
    DiskFull,
    LockedOut,
    MatokitError,
    NothingAllowed,
    NothingPublished,
    PageTooLarge,
    ReportRefused,
    RequestsSpent,
    SettingsError,
    SnapshotDamaged,
    SourceAnswered,
    SourceBusy,
    SourceError,
    SourceMissing,
    SourceTimedOut,
    SourceUnavailable,
    SourceUnreachable,
    StateError,
    WarehouseDamaged,
    WarehouseError,
    WarehouseLocked,
)
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.sites import Site

LOCKED_SECONDS = 3600.0
BUSY_SECONDS = 60.0
NOT_READY_SECONDS = 10.0
LONGEST_QUOTE = 200
_RATE = re.compile(r"\brate[ -]limit|\btoo many requests\b", re.IGNORECASE)

_SITE = "Check siteId: the site has to exist, and the user of the configured token needs view access to it."
_DATE = "Correct date: YYYY-MM-DD, YYYY-MM, today, yesterday, lastN, previousN, or two dates as A,B with A not after B."
_PERIOD = "Correct period: day, week, month, year or range."
_SEGMENT = (
    "Correct segment: a Matomo segment such as deviceType==desktop;referrerType==search, with names that this Matomo "
    "knows and values url-encoded, or leave it out."
)
_METHOD = "This Matomo lacks the report; the operator has to enable its plugin or update Matomo."
_GOAL = "Check the number of the goal: ask GetGoalConversions without goalId which goals the site has."
_FORMAT = "This Matomo does not give answers as JSON; the operator has to check the base URL and its version."
_RENEW = "The operator has to renew or replace the token that matokit uses for Matomo; view access is enough."
_ACCESS = "The operator has to give the user of the configured token view access to that site, or choose another site."
_SOME_ACCESS = "The operator has to give the user of the configured token view access to the sites it is meant for."
_BY_CODE = {101: _SITE, 103: _DATE, 110: _SEGMENT}
# What stands in quotes may be the caller's own words, which must not decide whose fault it is.
_IN_QUOTES = re.compile(r"(?<!\w)'[^']*'(?!\w)")
_TOKEN_REFUSED = re.compile(r"\btoken|authenticat", re.IGNORECASE)
_ACCESS_REFUSED = re.compile(r"requires\s+(\w+\s+)?access|access denied|can't access", re.IGNORECASE)
# In this order: a message about a segment may well name a date.
_BY_WORDS = (
    (re.compile(r"segment", re.IGNORECASE), _SEGMENT),
    (re.compile(r"website|\bsite ?id\b|\bidsite\b", re.IGNORECASE), _SITE),
    (re.compile(r"\bmethod\b|\bplugin\b|\bmodule\b|\breport\b.*\bnot\b", re.IGNORECASE), _METHOD),
    (re.compile(r"\bidgoal\b|\bgoal\b", re.IGNORECASE), _GOAL),
    (re.compile(r"\bperiod\b", re.IGNORECASE), _PERIOD),
    (re.compile(r"\bdates?\b", re.IGNORECASE), _DATE),
    (re.compile(r"\bformat\b|renderer", re.IGNORECASE), _FORMAT),
)


def problem_of(error: MatokitError, *, site: Site | None = None) -> Problem:
    """The problem that an error is to the caller of a tool; `site`: the one that was asked about, where known."""
    for kind, told in _TOLD:
        if isinstance(error, kind):
            return told(error, site)
    return Problem("unknown", "matokit could not answer because of a fault of its own.")


def _refused_in_words(error: ReportRefused, site: Site | None) -> Problem:
    said, plain = _quoted(error.said), _IN_QUOTES.sub("", error.said)
    told = f'Matomo refuses: "{said}"' if said else "Matomo refuses the question without a reason."
    if _RATE.search(plain):
        return _busy(SourceBusy(str(error)), site)
    if error.code not in _BY_CODE and _TOKEN_REFUSED.search(plain):
        return Problem("auth", told, _token(site), code=error.code)
    if error.code not in _BY_CODE and _ACCESS_REFUSED.search(plain):
        return Problem("permission", told, _ACCESS, code=error.code)
    by_words = next((guidance for words, guidance in _BY_WORDS if words.search(error.said)), "")
    return Problem("client", told, _BY_CODE.get(error.code or 0, by_words), code=error.code)


def _credentials(error: MatokitError, site: Site | None) -> Problem:
    return Problem("auth", f"Matomo refuses the token that matokit has{_for(site)}.", _token(site))


def _settings(error: MatokitError, site: Site | None) -> Problem:
    return Problem("auth", f"matokit has no usable token{_for(site)}.", _token(site))


def _access(error: MatokitError, site: Site | None) -> Problem:
    what = site.title if site else "that site"
    return Problem("permission", f"The token that matokit has may not view {what}.", _ACCESS)


def _nothing_allowed(error: MatokitError, site: Site | None) -> Problem:
    return Problem("permission", "The token that matokit has is good, but may view no site at all.", _SOME_ACCESS)


def _locked_out(error: MatokitError, site: Site | None) -> Problem:
    return Problem(
        "auth",
        "Matomo answers nobody from this address after too many failed log-ins.",
        "Call again in an hour; meanwhile the operator has to replace a token that is refused, and find out who else "
        "uses a wrong one from this address.",
        status=503,
        retry_after=LOCKED_SECONDS,
    )


def _missing(error: MatokitError, site: Site | None) -> Problem:
    return Problem("client", f"Matomo does not know {f'site {site.id}' if site else 'that site'}.", _SITE)


def _busy(error: SourceBusy, site: Site | None) -> Problem:
    wait = error.retry_after if error.retry_after is not None else BUSY_SECONDS
    told = f"Matomo has had too many requests; it takes the next one in {wait:.0f} s."
    return Problem("rate-limit", told, f"Call again after {wait:.0f} s.", retry_after=wait)


def _spent(error: MatokitError, site: Site | None) -> Problem:
    return Problem("rate-limit", "One question needed more requests than one call may make.", retry_after=BUSY_SECONDS)


def _timed_out(error: MatokitError, site: Site | None) -> Problem:
    return Problem(
        "network",
        "Matomo did not answer in time.",
        "Call again later or ask for a shorter span: what Matomo has computed once it answers quickly.",
        status=504,
    )


def _too_large(error: MatokitError, site: Site | None) -> Problem:
    return Problem(
        "server",
        "Matomo ran out of memory over this question.",
        "Ask for a shorter span or fewer rows; the operator can raise memory_limit in Matomo's PHP settings.",
    )


def _unreachable(error: MatokitError, site: Site | None) -> Problem:
    return Problem("network", _what_failed(error))


def _unavailable(error: MatokitError, site: Site | None) -> Problem:
    return Problem("server", _what_failed(error))


def _not_understood(error: MatokitError, site: Site | None) -> Problem:
    return Problem("parse", _what_failed(error))


def _answered(error: SourceAnswered, site: Site | None) -> Problem:
    told = f"Matomo answered with status {error.status}."
    if error.status == 403:
        return Problem("permission", told, "The operator has to let matokit's address and token reach Matomo's API.")
    return Problem("server" if error.status >= 500 else "client", told, "" if error.status >= 500 else _METHOD)


def _odd_connection(error: MatokitError, site: Site | None) -> Problem:
    return Problem("network", _what_failed(error))


def _not_ready(error: MatokitError, site: Site | None) -> Problem:
    return Problem(
        "server",
        "The tables are not ready: no snapshot that this server can read has been published.",
        "Call again in some minutes; if it stays so, the operator has to run `matokit run`, or `matokit build` after "
        "an update, and look at what it says.",
        status=503,
        retry_after=NOT_READY_SECONDS,
    )


def _tables(error: MatokitError, site: Site | None) -> Problem:
    return Problem(
        "server",
        "The tables cannot be read now.",
        "Call again in some minutes; if it stays so, the operator has to look at `matokit status`.",
        status=503,
        retry_after=NOT_READY_SECONDS,
    )


def _store(error: MatokitError, site: Site | None) -> Problem:
    return Problem(
        "server",
        "The store of alerts and deliveries cannot be used now.",
        "Call again in some minutes; if it stays so, the operator has to check state.sqlite in matokit's home: "
        "whether it is there, readable, and the disk not full.",
        status=503,
        retry_after=NOT_READY_SECONDS,
    )


# The first that fits counts, so a class stands before its parents.
_TOLD: tuple[tuple[type[MatokitError], Callable[..., Problem]], ...] = (
    (ReportRefused, _refused_in_words),
    (CredentialsRefused, _credentials),
    (NothingAllowed, _nothing_allowed),
    (AccessRefused, _access),
    (LockedOut, _locked_out),
    (SourceMissing, _missing),
    (SourceBusy, _busy),
    (RequestsSpent, _spent),
    (SourceTimedOut, _timed_out),
    (PageTooLarge, _too_large),
    (SourceUnreachable, _unreachable),
    (AnswerUnreadable, _not_understood),
    (SourceUnavailable, _unavailable),
    (AnswerNotUnderstood, _not_understood),
    (SourceAnswered, _answered),
    (SourceError, _odd_connection),
    (SettingsError, _settings),
    (NothingPublished, _not_ready),
    (SnapshotDamaged, _not_ready),
    (WarehouseLocked, _tables),
    (WarehouseDamaged, _tables),
    (DiskFull, _tables),
    (WarehouseError, _tables),
    (StateError, _store),
)


def _what_failed(error: MatokitError) -> str:
    """The first part of our sentence; the second is for who runs the pipeline, and guidance takes its place."""
    said = str(error).split("; ")[0].rstrip(".")
    # a connection of a site's own has the name "site N", which no source can have
    return f"{re.sub(r'([Ss])ource (site [0-9]+)', _as_site, said)}."


def _as_site(found: re.Match[str]) -> str:
    return found[2].capitalize() if found[1] == "S" else found[2]


def _for(site: Site | None) -> str:
    return f" for {site.title}" if site else ""


def _token(site: Site | None) -> str:
    if site is None:
        return _RENEW
    return f"The operator has to put a valid token with view access into {site.connection.where}."


def _quoted(said: str) -> str:
    words = " ".join(said.split()).replace('"', "'")
    return words if len(words) <= LONGEST_QUOTE else words[: LONGEST_QUOTE - 1].rstrip() + "…"
