"""The cheap question to a source: does it hold anything that is not stored? One or two small requests, nothing landed.

Ids are compared, never counts alone: one event that came and one that went would leave a count as it was. Where the
answer is "nothing", the ledger gets a reading and the watermark moves on as after a pass, with the same proof. Not
here: landing (the passes), what else makes a refresh due (probe.py).
"""

from __future__ import annotations

import json
from abc import abstractmethod
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from matokit_pipelines.errors import AccessRefused, CredentialsRefused, PageTooLarge
from matokit_pipelines.sources.matomo_pages import Page as VisitPage
from matokit_pipelines.sources.piwik_pro_pages import Page as EventPage
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse import piwik_pro_planning as planning
from matokit_pipelines.warehouse.landing import Landed, transaction
from matokit_pipelines.warehouse.ledger import SourceState
from matokit_pipelines.warehouse.matomo_pass import MatomoPass
from matokit_pipelines.warehouse.passes import SourcePass
from matokit_pipelines.warehouse.piwik_pro_pass import ALL_TIERS, PROBE_AGAIN, PiwikProPass
from matokit_pipelines.warehouse.planning import days_to_reconcile, latest_night
from matokit_pipelines.windows import Window, day_window, wall_clock, zone_named

EVENTS_AT_MOST = 5_000  # in the newest six hours; a site with more is read by passes, which it nearly always needs
# Of visits only what tells them and their events apart is asked for, and no dimension: they hold what people typed.
_NOT_NEEDED = ",".join(["url", "title", "subtitle", "icon", "iconSVG", *(f"dimension{n}" for n in range(1, 31))])


@dataclass(frozen=True)
class Nothing:
    """An answer that holds only what is stored: its window, the rows it gave and how many events they are."""

    window: Window
    rows: int
    events: int


class Question(SourcePass):
    """A pass that only asks. `finding`: why a pass is due (words that follow the source's name), None when none is.

    `proof`: what an answer that holds nothing new proves by.
    """

    finding: str | None = None
    proof: ledger.Proof

    def _read_all(self, days: tuple[date, date] | None) -> None:
        known, error = ledger.state(self._connection, self._source.name), self._last_error()
        if known is None or ledger.first_reading(self._connection, self._source.name) is None:
            self.finding = "was never read"
            return
        if known.refused_credentials:  # run() has held back those that were refused within the hour
            self.finding = "may be asked again after it refused us"
            return
        with transaction(self._connection):
            self._introduce(known.zone)  # another site or kind under this name is refused in words
        tier = self._due_tier(zone_named(known.zone))
        if tier and not error:
            self.finding = tier
        else:  # a source that failed is asked before a whole pass fails as well
            self._ask_and_note(known, tier)

    def _ask_and_note(self, known: SourceState, tier: str | None) -> None:
        zone, started = zone_named(known.zone), self._clock.now().replace(microsecond=0)
        try:
            answer = self._ask(zone, started)
        except (CredentialsRefused, AccessRefused) as error:
            self._note_refused(error)
            raise
        except PageTooLarge:
            self.finding = "answers too slowly to be asked what is new"
            return
        if tier or answer is None:
            self.finding = tier or "holds something else than what is stored"
            return
        with transaction(self._connection):
            ledger.note_window(
                self._connection, self._key, answer.window,
                Landed(answer.rows, answer.rows - answer.events, 0, answer.events, 0, 0, 0),
                tier="probe", zone=zone.key, proof=self.proof, status="complete", detail=None, started=started,
                finished=self._clock.now(), dimensions=self._mapping, expected=answer.rows,
            )  # fmt: skip
        self._advance(zone, self._since(zone), started)

    def _last_error(self) -> str | None:
        return ledger.last_error(self._connection, self._source.name)

    @abstractmethod
    def _due_tier(self, zone: ZoneInfo) -> str | None:
        """What is due whatever the source holds, None when nothing is."""

    @abstractmethod
    def _ask(self, zone: ZoneInfo, now: datetime) -> Nothing | None:
        """What the newest window holds, None when that is not what is stored, or too much to tell."""

    def _stored(self, sql: str, window: Window) -> set[str]:
        """Ids of stored events that `sql` selects, with the parameters $source, $site_id, $start and $end."""
        names = self._key.names | {"start": window.start, "end": window.end}
        return {row[0] for row in self._connection.execute(sql, names).fetchall()}


class PiwikProQuestion(Question, PiwikProPass):
    """The newest six hours, by the ids of their events."""

    proof: ledger.Proof = "count"

    def _due_tier(self, zone: ZoneInfo) -> str | None:
        name, now, since = self._source.name, self._now(), self._since(zone)
        # The columns of the dimensions are known from the last reading; a pass, at least one an hour, asks for them.
        self._dimensions = json.loads(ledger.last_dimensions(self._connection, name) or "{}")
        if set(self._dimensions) != set(map(str, self._source.dimensions)):
            return "is to be read with other dimensions"
        given_up = ledger.given_up_windows(self._connection, name, now, ALL_TIERS, self._mapping)
        if set(ledger.troubled_windows(self._connection, name, now)) - set(given_up):
            return "has a window that did not add up"
        if any(step.tier != "recent" for step in self._due_steps(zone, now, since)):
            return "has hours that were not read yet"
        last = ledger.looked_back_at(self._connection, name)
        if last is None or last > now or last < latest_night(now, zone):
            return "is due for its nightly look-back"
        asked = ledger.probed_at(self._connection, name)
        if asked is None or not asked <= now < asked + PROBE_AGAIN:
            return "is due for its hourly counts"
        due = days_to_reconcile(ledger.reconciled(self._connection, name), since=since, now=now, zone=zone)
        if any(day_window(day, zone).end <= now - planning.LAG for day in due):
            return "has closed days to compare"
        return None

    def _due_steps(self, zone: ZoneInfo, now: datetime, since: datetime) -> list[planning.Step]:
        name = self._source.name
        covered = ledger.covered_windows(self._connection, name, now, planning.LAG, self._mapping)
        given_up = ledger.given_up_windows(self._connection, name, now, ALL_TIERS, self._mapping)
        troubled = ledger.troubled_windows(self._connection, name, now)
        return planning.due(covered, troubled, given_up, since=since, now=now, zone=zone)

    def _ask(self, zone: ZoneInfo, now: datetime) -> Nothing | None:
        steps = [step for step in self._due_steps(zone, now, self._since(zone)) if step.tier == "recent"]
        window = Window(min(step.window.start for step in steps), max(step.window.end for step in steps))
        page = self._client.events(
            wall_clock(window.start, zone), wall_clock(window.end, zone), ("event_type",), limit=EVENTS_AT_MOST
        )
        ids = _event_ids(page)
        stored = self._stored(
            "select event_id from raw.piwik_pro_events where source = $source and site_id = $site_id "
            "and vanished_at is null and event_ts >= $start and event_ts < $end",
            window,
        )
        if len(ids) != page.count or set(ids) != stored:
            return None
        return Nothing(window, page.count, len(stored))


class MatomoQuestion(Question, MatomoPass):
    """The visits that ended since the overlap began, by the ids of their events."""

    proof: ledger.Proof = "drained"

    def _due_tier(self, zone: ZoneInfo) -> str | None:
        steps = self._steps(zone, self._since(zone), None)
        if [step.tier for step in steps] != ["recent"]:
            is_night = any(step.tier == "look_back" for step in steps)
            return "is due for its nightly look-back" if is_night else "has days that were not read yet"
        known = ledger.reconciled(self._connection, self._source.name)
        if days_to_reconcile(known, since=self._since(zone), now=self._clock.now(), zone=zone):
            return "has closed days to compare"
        return None

    def _ask(self, zone: ZoneInfo, now: datetime) -> Nothing | None:
        [*_, step] = self._steps(zone, self._since(zone), None)
        window = Window(step.window.start, max(now, step.window.start))
        page = next(self._client.visits_since(window.start, _NOT_NEEDED))
        if len(page) >= self._source.rows_a_page:
            return None
        ids = self._known_ids(page)
        if ids is None:
            return None
        seen = set(ids)
        sql = "select event_id from raw.matomo_events where source = $source and site_id = $site_id"
        sql += " and vanished_at is null"
        here = self._stored(f"{sql} and visit_last_ts >= $start and visit_last_ts < $end", window)
        if here - seen or seen - here - self._stored_among(sql, seen - here):
            return None
        return Nothing(window, len(ids), len(seen))

    def _stored_among(self, sql: str, ids: set[str]) -> set[str]:
        """Which of `ids` are stored, whenever they happened: a visit may have begun long before the window."""
        names = self._key.names | {"ids": sorted(ids)}
        rows = self._connection.execute(f"{sql} and list_contains($ids, event_id)", names).fetchall() if ids else []
        return {row[0] for row in rows}

    def _known_ids(self, page: VisitPage) -> list[str] | None:
        """Ids of the events on a page; None when it cannot be read, or withholds actions nobody knew of."""
        try:
            ids = []
            for visit in page.visits():
                missing = int(visit.get("truncatedActionsCount") or 0)
                if missing and not self._is_known_to_withhold(int(visit["idVisit"]), missing):
                    return None
                ids += [str(action["pageId"]) for action in visit["actionDetails"] if action["type"] == "event"]
        except (AttributeError, KeyError, TypeError, ValueError):  # BrokenPage is one
            return None
        return ids

    def _is_known_to_withhold(self, visit_id: int, missing: int) -> bool:
        rows = self._connection.execute(
            "select 1 from ledger.truncated_visits where source = $source and site_id = $site_id "
            "and visit_id = $visit and truncated = $missing",
            self._key.names | {"visit": visit_id, "missing": missing},
        ).fetchall()
        return bool(rows)


def _event_ids(page: EventPage) -> list[str]:
    """One id a row, copies included; fewer than were announced when rows cannot be read."""
    at = page.columns.index("event_id")
    found = json.loads(page.rows.decode("utf-8", errors="replace"))
    rows = found if page.exact_frame else found["data"]
    return [str(row[at]) for row in rows if isinstance(row, list) and len(row) == len(page.columns)]
