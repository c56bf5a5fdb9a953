"""A server on loopback that answers from recordings of a real Matomo, and the homes that tests read it into.

Belongs here: serving recorded visits page by page, and recorded answers as they were. Does not belong here: anything
made up; the simulator does that.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from matokit_pipelines.clock import Clock, FixedClock
from matokit_pipelines.settings import load
from matokit_pipelines.warehouse.refresh import Home

RECORDINGS = Path(__file__).parent / "fixtures" / "matomo"
TOKEN = "0123456789abcdef0123456789abcdef"
FIXTURE_DAY = date(2026, 11, 14)
COPENHAGEN = ZoneInfo("Europe/Copenhagen")
Answer = tuple[int, str, bytes]


def recording(name: str) -> dict[str, Any]:
    """One recording: request, status, headers, body, at times a note."""
    found: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def verbatim(name: str) -> Answer:
    """A recorded answer as it went over the wire."""
    taken = recording(name)
    body = taken["body"]
    text = body if isinstance(body, str) else json.dumps(body)
    return taken["status"], taken["headers"].get("content-type", "text/html"), text.encode()


def visits_in(*names: str) -> list[dict[str, Any]]:
    """The visits of several recordings, each once, the first one named winning."""
    found: dict[int, dict[str, Any]] = {}
    for name in names:
        for visit in recording(name)["body"]:
            found.setdefault(visit["idVisit"], visit)
    return list(found.values())


@dataclass
class Replay:
    """One site of a recorded server. `instead` may answer in place of a method: (status, content type, body) or None.

    `asked`: (method, parameters) in order, without the token; `addresses`: the request lines, to look for secrets in.
    """

    visits: list[dict[str, Any]] = field(default_factory=list)
    site: dict[str, Any] = field(default_factory=lambda: recording("SitesManager.getSiteFromId")["body"])
    dimensions: list[dict[str, Any]] = field(
        default_factory=lambda: recording("CustomDimensions.getConfiguredCustomDimensions")["body"]
    )
    reports: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    sites: Answer = field(
        default_factory=lambda: verbatim("diagnose.SitesManager.getSitesIdWithAtLeastViewAccess.viewer")
    )
    instead: Callable[[str, dict[str, str]], Answer | None] = lambda method, params: None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    url: str = ""

    @contextmanager
    def serving(self) -> Iterator[Replay]:
        """Listen while the block runs."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join(timeout=5)

    def methods(self) -> list[str]:
        """What was asked for, in order."""
        return [method for method, _ in self.asked]

    def answer(self, method: str, params: dict[str, str]) -> Answer:
        """The answer to one call."""
        if made := self.instead(method, params):
            return made
        if method == "SitesManager.getSiteFromId":
            return _json(self.site)
        if method == "CustomDimensions.getConfiguredCustomDimensions":
            return _json(self.dimensions)
        if method == "SitesManager.getSitesIdWithAtLeastViewAccess":
            return self.sites
        if method == "Events.getCategory":
            first, _, last = params["date"].partition(",")
            return _json(
                {day: self.reports.get(day, []) for day in _days(first, last)} if last else self.reports[first]
            )
        if method == "Live.getLastVisitsDetails":
            return _json(self.page(params))
        return verbatim("error.unknown-method")

    def page(self, params: Mapping[str, str]) -> list[dict[str, Any]]:
        """A page of the visit log: matomo-api facts on sorting, the strict lower bound, the inclusive upper one."""
        chosen = sorted(self.visits, key=lambda v: (v["lastActionTimestamp"], v["idVisit"]))
        if params.get("period"):
            assert params["period"] == "day", "only whole days are recorded"
            start, end = _bounds(date.fromisoformat(params["date"]), ZoneInfo(self.site["timezone"]))
            chosen = [v for v in chosen if start <= v["lastActionTimestamp"] <= end]
        if params.get("minTimestamp"):
            chosen = [v for v in chosen if v["lastActionTimestamp"] > int(params["minTimestamp"])]
        if params.get("filter_sort_order", "desc") == "desc":
            chosen.reverse()
        skipped, limit = int(params.get("filter_offset", 0)), int(params.get("filter_limit", 100))
        chosen = chosen[skipped:] if limit < 0 else chosen[skipped : skipped + limit]
        shown = set(filter(None, params.get("showColumns", "").split(",")))
        hidden = set(filter(None, params.get("hideColumns", "").split(",")))
        kept = [{k: v for k, v in visit.items() if not shown or k in shown} for visit in chosen]
        lean: list[dict[str, Any]] = _without(kept, hidden)
        return lean


def _bounds(day: date, zone: ZoneInfo) -> tuple[float, float]:
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    nextday = day + timedelta(days=1)
    return midnight.timestamp(), datetime(nextday.year, nextday.month, nextday.day, tzinfo=zone).timestamp()


def _days(first: str, last: str) -> Iterable[str]:
    day = date.fromisoformat(first)
    while day <= date.fromisoformat(last):
        yield day.isoformat()
        day += timedelta(days=1)


def _without(piece: Any, hidden: set[str]) -> Any:
    if isinstance(piece, list):
        return [_without(entry, hidden) for entry in piece]
    if isinstance(piece, dict):
        return {key: _without(value, hidden) for key, value in piece.items() if key not in hidden}
    return piece


def _json(body: Any) -> Answer:
    return 200, "application/json; charset=utf-8", json.dumps(body).encode()


def _handler(replay: Replay) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            params = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
            form = dict(parse_qsl(body, keep_blank_values=True))
            replay.tokens.add(form.pop("token_auth", ""))
            params |= form
            method = params.pop("method", "")
            replay.asked.append((method, params))
            replay.addresses.append(self.path)
            status, kind, answer = replay.answer(method, params)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:
            """`asked` is the record."""

    return Handler


def fixture_day(**more: Any) -> Replay:
    """The whole recorded day: 194 events, and the report to hold them against."""
    names = [f"fixture.2026-11-14.keyset.{page}" for page in range(3)]
    reports = {FIXTURE_DAY.isoformat(): recording("fixture.2026-11-14.Events.getCategory")["body"]}
    return Replay(visits_in(*names), reports=reports, **more)


def home_at(
    folder: Path,
    url: str,
    *,
    now: datetime | Clock,
    start: date | None = FIXTURE_DAY,
    site: str = "1",
    zone: str = "Europe/Copenhagen",
    source: str = "",
    settings: str = "",
    environ: Mapping[str, str] | None = None,
    wait_seconds: float = 5.0,
) -> Home:
    """A home whose one source `installers` is at `url`, read from its settings file as a person's would be.

    `source` and `settings` are further lines of TOML, for the source and before it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        settings,
        "[project]",
        f'timezone = "{zone}"',
        "[[sources]]",
        'name = "installers"',
        'kind = "matomo"',
        f'url = "{url}"',
        f'site_id = "{site}"',
        f"start_date = {start}" if start else "",
        source,
    ]
    (folder / "matokit.toml").write_text("\n".join(lines), encoding="utf-8")
    given = {"MATOKIT_INSTALLERS_TOKEN": TOKEN} if environ is None else dict(environ)
    clock = FixedClock(now) if isinstance(now, datetime) else now
    return Home.of(load(environ=given, cwd=folder), clock, wait_seconds=wait_seconds)


def rows_of(home: Home, sql: str, *params: object) -> list[tuple[Any, ...]]:
    """Rows from the warehouse itself."""
    with home.warehouse.reader() as connection:
        found: list[tuple[Any, ...]] = connection.execute(sql, list(params)).fetchall()
    return found


def utc(*parts: int) -> datetime:
    """An instant in UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]
