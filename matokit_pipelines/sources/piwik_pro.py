"""Asking Piwik PRO: raw events page by page, counts by hour or day, the site and what is configured for it.

The facts behind each choice are in docs/sources/piwik-pro.md. Not here: tokens (piwik_pro_token.py), pages and rows
(piwik_pro_pages.py), what a refusal means (piwik_pro_refusals.py), when to ask for what (warehouse/).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import AnswerNotUnderstood, MatokitError, SettingsError
from matokit_pipelines.sources import http
from matokit_pipelines.sources.http import Answer, HttpSession, Unreadable
from matokit_pipelines.sources.pacing import RateLimit
from matokit_pipelines.sources.piwik_pro_pages import NEEDED, OddPage, Page, cut
from matokit_pipelines.sources.piwik_pro_refusals import is_json, refusal
from matokit_pipelines.sources.piwik_pro_token import Credentials, Tokens
from matokit_pipelines.sources.sites import Dimension, Site
from matokit_pipelines.windows import zone_named

TRANSIENT_STATUS = http.TRANSIENT_STATUS | {500}  # all requests here only read, so each can be repeated
RATE_LIMIT = RateLimit(reads_per_minute=600, others_per_minute=60)
LARGEST_PAGE = 100_000
MANAGEMENT_PAGE = 1_000
CUSTOM_EVENT = 5
PAGES_FOR_DATA = 2  # a proxy puts a page in place of an answer now and then; a wrong address does so always
LONGEST_LOOKBACK = 300  # minutes
_CUSTOM_EVENTS_ONLY = {
    "operator": "and",
    "conditions": [{"column_id": "event_type", "condition": {"operator": "eq", "value": CUSTOM_EVENT}}],
}

Unit = Literal["to_start_of_hour", "to_date"]
Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class App:
    """A site with those of its settings that decide which installer events are seen."""

    site: Site
    real_time_dashboards: bool
    exclude_unknown_urls: bool
    excluded_user_agents: tuple[str, ...]


class PiwikProClient:
    """One site of one Piwik PRO account; methods may be called from several threads at once.

    `session` should repeat TRANSIENT_STATUS and keep RATE_LIMIT. Every method raises what HttpSession.request and
    Tokens.request raise, SourceMissing and AccessRefused for a site that is not there or may not be seen,
    AnswerNotUnderstood for answers in an unknown shape, SourceError with the server's words for other refusals.
    """

    def __init__(
        self, session: HttpSession, site_id: str, credentials: Callable[[], Credentials], clock: Clock
    ) -> None:
        self._session = session
        self._site_id = site_id
        self._tokens = Tokens(session, credentials, clock)

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

    def site(self) -> Site:
        """The site's name and zone."""
        return self.app().site

    def app(self) -> App:
        """The site and its settings."""
        found = self._ask("GET", f"api/apps/v2/{quote(self._site_id, safe='')}", "describe the site", json.loads)
        try:
            told = found["data"]["attributes"]
            zone = zone_named(str(told["timezone"]))
            site = Site(self._site_id, str(told.get("name", "")), zone, _instant(told.get("addedAt")))
            agents = tuple(str(agent) for agent in told.get("excludedUserAgents") or ())
            live, unknown = bool(told.get("realTimeDashboards")), bool(told.get("excludeUnknownUrls"))
            return App(site, live, unknown, agents)
        except SettingsError as error:
            raise self._odd("its site is in a time zone that has no rules to convert by") from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._odd("it describes the site without its time zone") from error

    def apps(self) -> list[tuple[str, str]]:
        """(id, name) of every site the credentials may see."""
        entries = self._entries("api/apps/v2", {}, "list the sites", site_bound=False)
        try:
            return [(str(entry["id"]), str(entry["attributes"].get("name", ""))) for entry in entries]
        except (AttributeError, KeyError, TypeError) as error:
            raise self._odd("its list of sites comes in an unknown shape") from error

    def dimensions(self) -> list[Dimension]:
        """The custom dimensions configured for the site; `number` is the tracking id a sender uses."""
        entries = self._entries(
            "api/analytics/v1/manage/custom-dimensions/", {"website_id": self._site_id}, "list the custom dimensions"
        )
        try:
            return [_dimension(entry["attributes"]) for entry in entries]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._odd("its custom dimensions come in an unknown shape") from error

    def tracker_settings(self) -> dict[str, object]:
        """What is set for the tracker of this site, as named by the server; what is not set has no key."""
        path = f"api/tracker/v2/settings/app/{quote(self._site_id, safe='')}"
        found = self._ask("GET", path, "show the tracker settings", json.loads)
        try:
            return dict(found["data"].get("attributes") or {})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._odd("its tracker settings come in an unknown shape") from error

    # -- events -------------------------------------------------------------------------------------------------

    def events(
        self, start: datetime, end: datetime, columns: Sequence[str], *, limit: int = LARGEST_PAGE, offset: int = 0
    ) -> Page:
        """One page of the custom events in `[start, end)`, naive wall clocks of the site, in no order.

        `session_id`, `event_id`, `visitor_id` and `timestamp` come by themselves, before `columns`.
        """
        return self._page("events", start, end, columns, limit=limit, offset=offset)

    def count(self, start: datetime, end: datetime) -> int:
        """How many rows `events` announces for the window; one small request."""
        return self.events(start, end, ("event_type",), limit=1).count

    def real_time(
        self, start: datetime, end: datetime, columns: Sequence[str], *, limit: int = LARGEST_PAGE, offset: int = 0
    ) -> Page:
        """One page of the custom events seen within the last hour, like `events`; only `timestamp` comes by itself.

        Incomplete by the vendor's word, and no substitute for `events`.
        """
        return self._page("real-time-events", start, end, columns, limit=limit, offset=offset, needed=("timestamp",))

    def events_by(self, unit: Unit, start: datetime, end: datetime) -> dict[datetime, int]:
        """Custom events in `[start, end)` an hour or a day, keyed by its start; hours without events are left out.

        Starts are naive wall clocks of the site: both passes of the repeated hour of autumn have one key. Counted by
        the metric `custom_events`, without sampling; the server may answer as of ten minutes ago.
        """
        counts: dict[datetime, int] = {}
        received = 0
        while True:
            found = self._ask(
                "POST",
                "api/analytics/v1/query/",
                "count the events",
                json.loads,
                body={
                    **self._window(start, end),
                    "columns": [
                        {"column_id": "timestamp", "transformation_id": unit},
                        {"column_id": "custom_events"},
                    ],
                    "order_by": [[0, "asc"]],
                    "options": {"sampling": 1},
                    "offset": received,
                    "limit": LARGEST_PAGE,
                },
            )
            try:
                rows, announced = found["data"], int(found["meta"]["count"])
                at, count_at = _places(found["meta"].get("columns"), f"timestamp__{unit}", "custom_events")
                for row in rows:
                    moment = datetime.fromisoformat(row[at]).replace(tzinfo=None)
                    counts[moment] = counts.get(moment, 0) + _whole(row[count_at])
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                raise self._odd("its counts come in an unknown shape") from error
            received += len(rows)
            if received >= announced:
                return counts
            if not rows:
                raise self._odd(f"it announces counts of {announced} {unit} and gives {received}")

    def debug_sessions(
        self, lookback_minutes: int, visitor_id: str | None = None, *, limit: int = 100
    ) -> Iterator[dict[str, Any]]:
        """Sessions of the tracker debugger that were alive in the last `lookback_minutes` (1 to 300), each once.

        As the server gives them, broken (type 17) and excluded (type 18) events included; `server_time` is in UTC. They
        hold personal data: read what is needed and keep none.
        """
        if not 1 <= lookback_minutes <= LONGEST_LOOKBACK:
            raise ValueError(f"the debugger looks back 1 to {LONGEST_LOOKBACK} minutes, not {lookback_minutes}")
        params = {"app_id": self._site_id, "lookup_window": str(lookback_minutes), "limit": str(limit)}
        if visitor_id:
            params["visitor_id"] = visitor_id
        seen: set[str] = set()
        offset = 0
        while True:
            path = "api/tracker/v1/debugger"
            page = self._ask("GET", path, "debug the tracker", _lines, params={**params, "offset": str(offset)})
            try:
                new = {key: session for session in page if (key := _session_key(session)) not in seen}
            except (KeyError, TypeError) as error:
                raise self._odd("its debugger answers in an unknown shape") from error
            if not new:
                return
            yield from new.values()
            seen.update(new)
            offset += limit  # by what was asked: an answer can hold more sessions than that

    # -- one call -----------------------------------------------------------------------------------------------

    def _page(
        self,
        endpoint: str,
        start: datetime,
        end: datetime,
        columns: Sequence[str],
        *,
        limit: int,
        offset: int,
        needed: Collection[str] = NEEDED,
    ) -> Page:
        body = {
            **self._window(start, end),
            "columns": [{"column_id": column} for column in columns],
            "offset": offset,
            "limit": limit,  # the server's default of 100 cuts without a word
            "format": "json",
            "column_format": "id",  # names can be edited by people
        }
        path = f"api/analytics/v1/{endpoint}/"
        return self._ask("POST", path, "give the events", partial(cut, needed=needed), body=body)

    def _window(self, start: datetime, end: datetime) -> dict[str, Any]:
        return {
            "website_id": self._site_id,
            "date_from": _wall_clock(start),
            "date_to": _wall_clock(end),
            "filters": _CUSTOM_EVENTS_ONLY,
        }

    def _entries(self, path: str, params: dict[str, str], what: str, *, site_bound: bool = True) -> list[Any]:
        """All entries of a management list."""
        entries: list[Any] = []
        while True:
            paging = {"limit": str(MANAGEMENT_PAGE), "offset": str(len(entries))}
            found = self._ask("GET", path, what, json.loads, params={**params, **paging}, site_bound=site_bound)
            try:
                page = list(found["data"])
                total = (found.get("meta") or {}).get("total")
                entries += page
                if not page or (len(page) < MANAGEMENT_PAGE if total is None else len(entries) >= int(total)):
                    return entries
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise self._odd("one of its lists comes in an unknown shape") from error

    def _ask(
        self,
        method: str,
        path: str,
        what: str,
        parse: Callable[[bytes], Parsed],
        *,
        params: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
        site_bound: bool = True,
    ) -> Parsed:
        """What `parse` makes of a good answer. `what` the server should do, in words that follow "refuses to"."""
        parsed: list[Parsed] = []
        pages: list[Answer] = []

        def passing(answer: Answer) -> str | None:
            if answer.status == 200 and not is_json(answer) and len(pages) < PAGES_FOR_DATA:
                pages.append(answer)
                return Unreadable("it answered with a page instead of data")
            if answer.status != 200 or not is_json(answer):
                return None
            try:
                parsed.append(parse(answer.body))
            except OddPage as error:
                raise self._odd(f"a page of its events {error}") from error
            except (ValueError, RecursionError):  # HalfDocument is one
                return Unreadable("it answered half a document")
            return None

        answer = self._tokens.request(method, path, params=params, json=body, passing=passing)
        if parsed:
            return parsed[-1]
        raise refusal(answer, self._session, self._site_id, what, self._visible if site_bound else None)

    def _visible(self) -> list[tuple[str, str]] | None:
        """What the credentials may see, None when that cannot be told either."""
        try:
            return self.apps()
        except MatokitError:
            return None

    def _odd(self, what: str) -> AnswerNotUnderstood:
        return AnswerNotUnderstood(
            f"Source {self._session.name} at {self._session.host} cannot be read: {what}; "
            "what was landed before is kept."
        )


def _wall_clock(moment: datetime) -> str:
    if moment.tzinfo is not None or moment.microsecond:
        raise ValueError(f"Piwik PRO is asked in whole seconds of the site's wall clock, not {moment.isoformat()}")
    return moment.isoformat(sep=" ")  # the one spelling the vendor shows


def _instant(text: Any) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _dimension(told: Any) -> Dimension:
    return Dimension(
        number=_whole(told["tracking_id"]),
        name=str(told.get("name", "")),
        active=told["active"] is True,
        scope=str(told["scope"]),
        slot=_whole(told["slot"]),
        case_sensitive=told.get("case_sensitive") is not False,
    )


def _places(columns: Any, *names: str) -> list[int]:
    """Where columns stand in a row; in the order asked for where the answer does not name them."""
    if not isinstance(columns, list):
        return list(range(len(names)))
    return [columns.index(name) for name in names]


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError("not a whole number")
    return int(value)


def _lines(body: bytes) -> list[Any]:
    """The documents of newline-delimited JSON; ValueError when one is broken."""
    return [json.loads(line) for line in body.split(b"\n") if line.strip()]


def _session_key(session: Any) -> str:
    """A session's id; the text beside the number, which is beyond what many readers of JSON can hold."""
    return str(session["session_id_str"] if "session_id_str" in session else session["session_id"])
