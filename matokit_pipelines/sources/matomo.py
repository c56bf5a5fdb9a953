"""Asking Matomo: its visit log page by page, its daily event counts, its site, and what its refusals mean.

The facts behind each choice are in docs/sources/matomo.md. Not here: what a page holds (matomo_pages.py), reading
rows out of visits (matomo_visits.py), when to ask for what (warehouse/planning.py).
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from matokit_pipelines.errors import (
    AccessRefused,
    AnswerNotUnderstood,
    CredentialsRefused,
    LockedOut,
    MatokitError,
    NothingAllowed,
    PageTooLarge,
    ReportRefused,
    SettingsError,
    SourceAnswered,
    SourceMissing,
)
from matokit_pipelines.sources.http import Answer, HttpSession, Unreadable
from matokit_pipelines.sources.matomo_pages import Page, page_in
from matokit_pipelines.sources.sites import Dimension, Site
from matokit_pipelines.windows import start_of_day, zone_named

PAGE_SIZE = 500  # 128 MB of PHP memory carries 2,000 visits a page; beyond 250 a larger page is hardly faster
LARGEST_PAGE = 1 << 14
VISIT_COLUMNS = (
    "idVisit,visitorId,actionDetails,firstActionTimestamp,lastActionTimestamp,events,actions,truncatedActionsCount"
)
_TAG = re.compile(r"<[^>]+>")


class _RefusedInWords(AnswerNotUnderstood):
    """A refusal that came with status 200; `said` is the server's message, `code` its number if any."""

    def __init__(self, sentence: str, said: str, code: int | None = None) -> None:
        super().__init__(sentence)
        self.said = said
        self.code = code


class MatomoClient:
    """One site of one Matomo. `token` is asked for at each request, so that it can be renewed while running.

    `is_heard`: whether a Matomo has said no in its own form, whatever the status.
    """

    def __init__(
        self, session: HttpSession, site_id: str, token: Callable[[], str], *, page_size: int = PAGE_SIZE
    ) -> None:
        self._session = session
        self._site_id = site_id
        self._token = token
        self._page_size = page_size
        self.is_heard = False

    @property
    def requests_made(self) -> int:
        return self._session.requests_made

    @property
    def bytes_received(self) -> int:
        return self._session.bytes_received

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    # -- what the site is ---------------------------------------------------------------------------------------

    def version(self) -> str:
        """Matomo's version, such as "5.2.0"."""
        answer = self._answered("API.getMatomoVersion")
        value = answer.get("value") if isinstance(answer, dict) else None
        if not isinstance(value, str) or not value:
            raise self.odd("its version comes in an unknown shape")
        return value

    def site(self) -> Site:
        """The site's name and zone; AccessRefused, SourceMissing or CredentialsRefused when it cannot be had."""
        try:
            found = self._call("SitesManager.getSiteFromId", idSite=self._site_id)
        except CredentialsRefused:
            self.check_access()
            raise
        except _RefusedInWords as error:
            raise SourceMissing(
                f"Source {self._session.name}: {self._session.host} does not give site {self._site_id}"
                f"{_quoted(error.said)}; correct its site_id."
            ) from error
        if not isinstance(found, dict) or not found.get("timezone"):
            raise AnswerNotUnderstood(
                f"Source {self._session.name}: {self._session.host} describes site {self._site_id} without a time "
                "zone; check that the address is a Matomo."
            )
        created = _moment(found.get("ts_created"))
        return Site(self._site_id, str(found.get("name", "")), self._zone(str(found["timezone"])), created)

    def _zone(self, name: str) -> ZoneInfo:
        """The site's zone; a manual offset of whole hours ("UTC+1") is one as well."""
        offset = re.fullmatch(r"UTC([+-])(\d{1,2})", name)
        try:
            return ZoneInfo(f"Etc/GMT{'-' if offset[1] == '+' else '+'}{offset[2]}") if offset else zone_named(name)
        except (SettingsError, ValueError, KeyError, OSError) as error:
            raise AnswerNotUnderstood(
                f'Source {self._session.name}: site {self._site_id} at {self._session.host} is in the zone "{name}", '
                "which has no rules to convert times by; choose a city's zone in Matomo's settings of the site."
            ) from error

    def sites(self) -> list[int]:
        """Ids of the sites the token may view. CredentialsRefused for a token that is unknown or expired."""
        found = self._answered("SitesManager.getSitesIdWithAtLeastViewAccess")
        if isinstance(found, dict) and all(key.isdecimal() for key in found) and found:
            found = list(found.values())  # PHP's list with a gap in it
        if not isinstance(found, list):
            raise self.odd("its list of sites comes in an unknown shape")
        try:
            return [int(site) for site in found]
        except (TypeError, ValueError) as error:
            raise self.odd("its list of sites comes in an unknown shape") from error

    def dimensions(self) -> list[Dimension]:
        """The custom dimensions configured for the site."""
        found = self._call("CustomDimensions.getConfiguredCustomDimensions", idSite=self._site_id)
        try:
            return [_dimension(entry) for entry in (found if isinstance(found, list) else [])]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self.odd("its custom dimensions come in an unknown shape") from error

    def newest_visit(self) -> datetime | None:
        """When the newest visit's last action was, UTC; None for a site without visits."""
        found = self._call("Live.getMostRecentVisitsDateTime", idSite=self._site_id)
        return _moment(found.get("value")) if isinstance(found, dict) and found.get("value") else None

    # -- events -------------------------------------------------------------------------------------------------

    def visits_since(self, cursor: datetime, hidden: str = "") -> Iterator[Page]:
        """Pages of all visits whose last action is at or after `cursor`, oldest first; neighbours overlap.

        Sorted upwards and never by offset: an offset over more than one day silently skips visits. An event's visit
        ends at or after the event, so every event since `cursor` is in it. Drained when a page comes back short.
        """
        yield from self._pages(int(cursor.timestamp()), {}, hidden)

    def visits_of_day(self, day: date, zone: ZoneInfo, hidden: str = "") -> Iterator[Page]:
        """Pages of all visits whose last action is on `day` in the site's zone. Only for days that have passed:
        for today Matomo starts at yesterday's midnight."""
        start = int(start_of_day(day, zone).timestamp())
        yield from self._pages(start, {"period": "day", "date": day.isoformat()}, hidden)

    def events_reported(self, first: date, last: date) -> dict[date, int]:
        """Events a day as Matomo's own report counts them. 0 also means "not archived yet"."""
        found = self._call(
            "Events.getCategory",
            idSite=self._site_id,
            period="day",
            date=f"{first.isoformat()},{last.isoformat()}",
            filter_limit="-1",
            showColumns="label,nb_events",
        )
        if not isinstance(found, dict):
            raise self.odd("its daily event counts come in an unknown shape")
        try:
            return {date.fromisoformat(day): sum(_count(row) for row in rows) for day, rows in found.items()}
        except (OverflowError, TypeError, ValueError) as error:
            raise self.odd("its daily event counts come in an unknown shape") from error

    def _pages(self, cursor: int, period: dict[str, str], hidden: str) -> Iterator[Page]:
        limit = self._page_size
        while True:
            asked = limit
            page, limit = self._page(cursor, asked, period, hidden)
            yield page
            if len(page) < limit:
                return
            last = page.ends[-1]
            if last is None or last < cursor or not _ascending(page.ends):
                raise self.odd("a page of its visit log is not sorted by last action")
            if last > cursor:
                cursor, limit = last, min(limit, self._page_size)
            elif limit < asked or limit >= LARGEST_PAGE:
                raise self.odd(f"over {limit} visits end in the same second, more than one of its pages can hold")
            else:  # more visits in one second than a page holds
                limit *= 2

    def _page(self, cursor: int, limit: int, period: dict[str, str], hidden: str) -> tuple[Page, int]:
        """One page and the limit it was asked with, halved while the server cannot carry it."""
        while True:
            try:
                found = self._call(
                    "Live.getLastVisitsDetails",
                    page_in,
                    idSite=self._site_id,
                    filter_sort_order="asc",
                    filter_limit=str(limit),
                    minTimestamp=str(cursor - 1),  # strictly greater than, so this takes the whole second again
                    showColumns=VISIT_COLUMNS,
                    **({"hideColumns": hidden} if hidden else {}),
                    **period,
                )
            except PageTooLarge:
                if limit == 1:
                    raise
                limit //= 2
                continue
            if not isinstance(found, Page):
                raise self.odd("its visit log comes in an unknown shape")
            return found, limit

    # -- one call -----------------------------------------------------------------------------------------------

    @property
    def site_id(self) -> str:
        """The number of the site that is asked about."""
        return self._site_id

    def call(self, method: str, params: Mapping[str, str], form: Mapping[str, str] | None = None) -> Any:
        """The parsed answer to any method; `form` travels in the body, which has no length limit.

        Raises ReportRefused when Matomo says no in words, AccessRefused when the token is good but not for the site.
        """
        try:
            return self._ask(method, params, form or {}, json.loads)
        except _RefusedInWords as error:
            raise ReportRefused(str(error), error.said, error.code) from error
        except CredentialsRefused as error:
            self.check_access()
            raise AccessRefused(
                f"The token of source {self._session.name} is good for site {self._site_id}, but {self._session.host} "
                f"does not let it call {method}; give its user the right to."
            ) from error

    def refused(self, method: str, answer: Any) -> ReportRefused | None:
        """The error that a part of a bulk answer stands for; None when it is a good answer."""
        if not _is_refusal(answer):
            return None
        said = _plain(answer.get("message"))
        return ReportRefused(self._refused_sentence(method, said), said, _code(answer))

    def _answered(self, method: str) -> Any:
        """The parsed answer to a method without parameters; ReportRefused when Matomo says no in words."""
        try:
            return self._call(method)
        except _RefusedInWords as error:
            raise ReportRefused(str(error), error.said, error.code) from error

    def _call(self, method: str, read: Callable[[bytes], Any] = json.loads, /, **params: str) -> Any:
        return self._ask(method, params, {}, read)

    def _ask(
        self, method: str, params: Mapping[str, str], form: Mapping[str, str], read: Callable[[bytes], Any]
    ) -> Any:
        query = {"module": "API", "method": method, "format": "json", **params}
        # Parameters in the address and only the token in the body: works for every kind of token, keeps it out of
        # access logs, and errors come as JSON.
        parsed: list[Any] = []
        answer = self._session.post(
            "index.php",
            query,
            {**form, "token_auth": self._token()},
            lambda answer: self._why_again(answer, read, parsed),
        )
        if answer.status == 200 and parsed and not _is_refusal(parsed[-1]):
            return parsed[-1]
        raise self._refusal(method, answer)

    def _why_again(self, answer: Answer, read: Callable[[bytes], Any], parsed: list[Any]) -> str | None:
        """Why an answer is worth another try ("it ..."), or None; what `read` makes of JSON goes to `parsed`."""
        if answer.status == 500 and "SQLSTATE" in answer.text:
            self.is_heard = self.is_heard or _is_refusal(_document(answer))
            return "its database is down"
        if answer.status == 200 and answer.kind == "application/json":
            try:
                parsed.append(read(answer.body))
            except (ValueError, RecursionError):
                return Unreadable("it answered half a document" if answer.body.strip() else "it answered nothing")
        return None

    def _refusal(self, method: str, answer: Answer) -> MatokitError:
        """What an answer that is not good means. Branches on status, not on words: those are translated."""
        said, host, name = _message(answer), self._session.host, self._session.name
        self.is_heard = self.is_heard or _is_refusal(_document(answer))
        if answer.status == 401:
            return CredentialsRefused(
                f"{host} refuses the token of source {name}; put a valid one (view access is enough) into "
                f"{_variable(name)}."
            )
        if answer.status == 500 and "failed logins" in answer.text:
            return LockedOut(
                f"{host} answers nobody from this address after too many failed log-ins (source {name}); wait an hour "
                "and check the token meanwhile."
            )
        if answer.status == 500 and "Allowed memory size" in answer.text:
            return PageTooLarge(
                f"{host} runs out of memory even for a single visit (source {name}); raise memory_limit in its PHP "
                "settings."
            )
        if answer.status == 400 and said:
            return ReportRefused(
                f"{host} answered 400 to {method} (source {name}){_quoted(said)}; check that the url is the folder of "
                "a Matomo, and its log.",
                said,
                _code(_document(answer)),
            )
        if answer.status != 200:
            return SourceAnswered(
                f"{host} answered {answer.status} to {method} (source {name}){_quoted(said)}; check that the url is "
                "the folder of a Matomo, and its log.",
                answer.status,
            )
        if answer.kind != "application/json":
            return AnswerNotUnderstood(
                f"{host} answered {method} with a page instead of data (source {name}); check that the url is the "
                "folder of a Matomo."
            )
        return _RefusedInWords(self._refused_sentence(method, said), said, _code(_document(answer)))

    def _refused_sentence(self, method: str, said: str) -> str:
        return f"{self._session.host} refused {method} (source {self._session.name}){_quoted(said)}."

    def check_access(self) -> None:
        """AccessRefused when the token is good but may not view the site, CredentialsRefused when it is not good.

        For a good token this is no failed log-in, so it may be asked as often as one likes.
        """
        allowed = self.sites()
        if self._site_id in {str(site) for site in allowed}:
            return
        has = f"only sites {', '.join(map(str, allowed))}" if allowed else "no site at all"
        raise (AccessRefused if allowed else NothingAllowed)(
            f"The token of source {self._session.name} is good, but {self._session.host} lets it view {has}, not site "
            f"{self._site_id}; give its user view access there, or correct site_id."
        )

    def odd(self, what: str) -> AnswerNotUnderstood:
        """The error for an answer that cannot be read: `what` is wrong with it."""
        return AnswerNotUnderstood(
            f"Source {self._session.name} at {self._session.host} cannot be read: {what}; "
            "what was landed before is kept."
        )


def _is_refusal(found: Any) -> bool:
    """Most errors come with status 200."""
    return isinstance(found, dict) and found.get("result") == "error"


def _message(answer: Answer) -> str:
    """What the server said, as plain text; nothing of a page made for a browser."""
    found = _document(answer)
    return _plain(found.get("message")) if isinstance(found, dict) else ""


def _document(answer: Answer) -> Any:
    """The answer's JSON, None where it is none."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def _code(found: Any) -> int | None:
    """The number of an error, which only some versions and plugins send."""
    code = found.get("code") if isinstance(found, dict) else None
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _plain(message: Any) -> str:
    return html.unescape(_TAG.sub(" ", str(message or ""))).strip()


def _quoted(said: str) -> str:
    words = " ".join(said.split())
    return f': "{words[:160]}"' if words and len(words) < 600 else ""


def _variable(name: str) -> str:
    return f"MATOKIT_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}_TOKEN"


def _dimension(entry: Any) -> Dimension:
    active = entry.get("active") in (True, 1, "1")
    return Dimension(int(entry["idcustomdimension"]), str(entry.get("name", "")), active, str(entry.get("scope", "")))


def _ascending(ends: Sequence[int | None]) -> bool:
    """Whether a full page can be gone on from: in another order its last visit says nothing about what is missing."""
    known = [end for end in ends if end is not None]
    return all(sooner <= later for sooner, later in pairwise(known))


def _count(row: Any) -> int:
    """`nb_events` of a report row: a number in one answer, text in the next."""
    return int(float(row.get("nb_events") or 0)) if isinstance(row, dict) else 0


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).replace(tzinfo=UTC)
    except ValueError:
        return None
