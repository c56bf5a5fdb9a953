"""One pass over the web reports of one source: what is due is asked for and landed, one period a transaction.

Interrupted anywhere, the next pass goes on. Not here: what is due and worth what (web_planning.py), how Matomo is asked
(sources/matomo_reports.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import (
    AccessRefused,
    CredentialsRefused,
    MatokitError,
    ReportRefused,
    SettingsError,
    SourceError,
)
from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.sources.matomo import MatomoClient
from matokit_pipelines.sources.matomo_reports import REPORTS, MatomoReports, Question, Report, question
from matokit_pipelines.toolserver_settings import WebReportSettings
from matokit_pipelines.warehouse import ledger, web_landing, web_ledger, web_planning
from matokit_pipelines.warehouse.landing import SourceKey, transaction
from matokit_pipelines.warehouse.passes import (
    PassResult,
    Progress,
    fingerprint,
    hold_back,
    without_access,
)
from matokit_pipelines.warehouse.web_answers import goal_of, raise_if_passing, visits_of
from matokit_pipelines.warehouse.web_due import is_due
from matokit_pipelines.warehouse.web_landing import Answered, Reading
from matokit_pipelines.warehouse.web_ledger import WebGoal, WebSite
from matokit_pipelines.warehouse.web_planning import Known, PeriodName, Span
from matokit_pipelines.warehouse.web_proof import VisitLog
from matokit_pipelines.windows import ONE_DAY, local_date, start_of_day

WHAT = "web reports"
VISITS = REPORTS["visits"]


@dataclass(frozen=True)
class _Site:
    """What the questions of one pass stand on."""

    zone: ZoneInfo
    today: date
    first_day: date
    has_ecommerce: bool
    goals: tuple[WebGoal, ...]


class WebReportsPass:
    """One pass, inside an open warehouse. `secret`: what is refused when the source refuses us."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        client: MatomoClient,
        source: SourceSettings,
        secret: str,
        settings: WebReportSettings,
        *,
        clock: Clock,
        progress: Progress | None = None,
    ) -> None:
        self._connection = connection
        self._client = client
        self._reports = MatomoReports(client)
        self._source = source
        self._key = SourceKey(source.name, source.site_id)
        self._credentials = fingerprint(secret)
        self._settings = settings
        self._clock = clock
        self._progress = progress or (lambda label, done, total: None)
        self._result = PassResult(source.name, what=WHAT)
        self._known: dict[tuple[PeriodName, date], Known] = {}

    def run(self, days: tuple[date, date] | None = None) -> PassResult:
        """Read what is due, or the periods that hold the site's `days`. A refusal ends up in the result, not raised."""
        started = self._clock.now()
        try:
            self._hold_back_refused()
            self._read_all(days)
        except (SourceError, SettingsError) as error:  # the other sources are still read
            self._result = replace(self._result, error=error)
            with transaction(self._connection):
                now = self._clock.now()
                web_ledger.note_error(self._connection, self._key, self._source.url, str(error), now)
        requests, received = self._client.requests_made, self._client.bytes_received
        if requests:
            with transaction(self._connection):
                ledger.note_pass(self._connection, self._key, started, self._clock.now(), requests, received)
        self._result = replace(self._result, requests=requests, bytes_received=received, watermark=self._complete_to())
        return self._result

    def _complete_to(self) -> datetime | None:
        met = web_ledger.site(self._connection, self._source.name)
        last = web_planning.last_complete_day(web_ledger.periods(self._connection, self._key))
        return start_of_day(last + ONE_DAY, ZoneInfo(met.zone)) if met and last else None

    # -- what is due ----------------------------------------------------------------------------------------------

    def _read_all(self, days: tuple[date, date] | None) -> None:
        self._known = web_ledger.periods(self._connection, self._key)
        met = web_ledger.site(self._connection, self._source.name)
        is_changed = met is not None and (met.site_id, met.url) != (self._source.site_id, self._source.url)
        if (
            met
            and met.name
            and not is_changed
            and not days
            and not is_due(met, self._known, self._source, self._settings, self._clock.now())
        ):
            return
        site = self._meet()
        spans = self._spans(site, days)
        log = VisitLog(self._reports, self._source.kept_days, site.today)
        for number, span in enumerate(spans):
            self._progress(f"{span.period} {span.start}", number, len(spans))
            self._read(span, site, log)
        self._progress("", len(spans), len(spans))
        with transaction(self._connection):
            gone = web_planning.beyond(self._settings, self._known, site.today, site.first_day)
            web_landing.put_away(self._connection, self._key, gone)
            web_ledger.note_read(self._connection, self._key, self._clock.now())

    def _spans(self, site: _Site, days: tuple[date, date] | None) -> list[Span]:
        if days:
            return web_planning.asked_for(self._settings, days, site.today, site.first_day)
        return web_planning.due(
            self._settings, self._known, now=self._clock.now(), zone=site.zone, first_day=site.first_day
        )

    def _meet(self) -> _Site:
        """The site and its goals as Matomo describes them now; refuses another site or zone under a known name."""
        try:
            found = self._client.site()  # says what is wrong with a zone, a site or a token
            facts = self._reports.facts()
            goals = tuple(goal_of(row) for row in self._goals())
        except (CredentialsRefused, AccessRefused) as error:
            self._note_refused(error)
            raise
        now = self._clock.now()
        created = local_date(found.created, found.zone) if found.created else None
        first_day = max((day for day in (created, self._source.start_date) if day), default=None)
        has_ecommerce = facts.get("ecommerce") in (True, 1, "1")
        with transaction(self._connection):
            web_ledger.meet(
                self._connection,
                self._key,
                WebSite(
                    self._source.site_id, found.zone.key, self._source.url, found.name or self._source.name,
                    str(facts.get("currency") or ""), has_ecommerce, first_day,
                ),
            )  # fmt: skip
            web_ledger.keep_goals(self._connection, self._key, goals)
        today = local_date(now, found.zone)
        return _Site(found.zone, today, first_day or date.min, has_ecommerce, goals)

    def _goals(self) -> list[dict[str, Any]]:
        try:
            return self._reports.goals()
        except ReportRefused as error:  # the plugin is off
            raise_if_passing(error)
            return []

    # -- one period -----------------------------------------------------------------------------------------------

    def _read(self, span: Span, site: _Site, log: VisitLog) -> None:
        """Ask for all reports of one period and land them.

        Where the server may have to count first it is asked for the visits alone, which makes it count everything;
        and where they are a doubtful 0, nothing else is asked for.
        """
        at = self._clock.now()
        before = self._known.get(span.key)
        figures: Any = None
        if (before is None and span.period != "day") or (before is not None and before.state == "unknown"):
            figures = self._reports.ask(question(VISITS, span.period, span.start.isoformat()))
            if not visits_of(figures) and not self._is_proven(span, site, log):
                self._land(Reading(span, *self._worth(span, 0, False, at, site), (), at), before)
                return
        answers = self._answers(span, site, figures)
        visits = self._visits_in(answers)
        is_proven = visits == 0 and self._is_proven(span, site, log)
        kept = self._kept(answers, site)
        self._land(Reading(span, *self._worth(span, visits, is_proven, at, site), kept, at), before)

    def _worth(
        self, span: Span, visits: int, is_proven: bool, at: datetime, site: _Site
    ) -> tuple[web_planning.State, int | None, bool]:
        state = web_planning.state_of(span, visits, is_proven=is_proven, asked_at=at, zone=site.zone)
        return state, None if state == "unknown" else visits, is_proven

    def _answers(self, span: Span, site: _Site, figures: Any) -> list[tuple[Report, str, Any | MatokitError]]:
        """Every report of the period with its answer; `figures`: that of the visits, where it is there already."""
        wanted = [
            (report, subject)
            for report in REPORTS.values()
            if site.has_ecommerce or not report.needs_ecommerce
            for subject in ([goal.goal_id for goal in site.goals] if report.name == "goals" else [""])
            if figures is None or report is not VISITS
        ]
        questions = [self._question(report, subject, span) for report, subject in wanted]
        found = [
            (report, subject, answer)
            for (report, subject), answer in zip(wanted, self._reports.ask_all(questions), strict=True)
        ]
        for _, _, answer in found:
            if isinstance(answer, MatokitError):
                raise_if_passing(answer)
        return found if figures is None else [(VISITS, "", figures), *found]

    def _question(self, report: Report, subject: str, span: Span) -> Question:
        limit = {"filter_limit": str(self._settings.rows)} if report.has_rows else {}
        return question(report, span.period, span.start.isoformat(), goal=subject, **limit)

    def _visits_in(self, answers: Sequence[tuple[Report, str, Any | MatokitError]]) -> int:
        answer = next(answer for report, _, answer in answers if report is VISITS)
        if isinstance(answer, MatokitError):
            raise answer
        visits = visits_of(answer)
        if visits is None:
            raise self._client.odd("its visits come in an unknown shape")
        return visits

    def _kept(self, answers: Sequence[tuple[Report, str, Any | MatokitError]], site: _Site) -> list[Answered]:
        """What is kept of the answers; notes the reports that this Matomo does not give."""
        kept: list[Answered] = []
        refused: dict[str, str] = {} if site.has_ecommerce else {"ecommerce": "The site has no ecommerce."}
        for report, subject, answer in answers:
            if isinstance(answer, ReportRefused):
                refused[report.name] = answer.said
            elif one := web_landing.answered(report, subject, answer, self._settings.rows):
                kept.append(one)
            else:
                refused[report.name] = "It comes in an unknown shape."
        with transaction(self._connection):
            given = {one.report for one in kept} - refused.keys()
            web_ledger.keep_refusals(self._connection, self._key, refused, given, self._clock.now())
        return kept

    def _is_proven(self, span: Span, site: _Site, log: VisitLog) -> bool:
        """Whether 0 visits mean that nobody came."""
        if span.end < site.first_day:
            return True
        if span.period == "day":
            return span.end < site.today and log.is_empty(span)
        by_days = web_planning.zero_by_days(span, self._known, site.today, site.first_day)
        if by_days is None and not web_planning.days_are_kept(span, self._settings, site.today):
            return span.end < site.today and log.is_empty(span)
        return bool(by_days)

    def _land(self, reading: Reading, before: Known | None) -> None:
        """Keep a reading, unless it is a doubtful 0 where figures are known."""
        with transaction(self._connection):
            if before and before.visits and not reading.visits and not reading.is_proven:
                web_landing.note_asked(self._connection, self._key, reading.span, reading.fetched_at)
                self._known[reading.span.key] = replace(before, asked_at=reading.fetched_at)
                return
            web_landing.land(self._connection, self._key, reading)
        self._known[reading.span.key] = Known(reading.state, reading.visits, reading.fetched_at, reading.is_proven)
        r, rows = self._result, sum(one.rows for one in reading.answers)
        self._result = replace(
            r, windows=r.windows + 1, received=r.received + sum(one.received for one in reading.answers),
            landed=r.landed + rows, inserted=r.inserted + (0 if before else rows),
            changed=r.changed + (rows if before else 0), unproven=r.unproven,
        )  # fmt: skip

    # -- refusals -------------------------------------------------------------------------------------------------

    def _hold_back_refused(self) -> None:
        """Do not try credentials again that were refused lately, by this pass or by that of events."""
        met = web_ledger.site(self._connection, self._source.name)
        other = ledger.state(self._connection, self._source.name)
        if met and met.refused_credentials == without_access(self._credentials):
            self._client.check_access()  # asking for the site itself may count as one more failed log-in each pass
        for known in (met, other):
            if known and known.refused_credentials == self._credentials:
                hold_back(self._source, known.refused_at, self._clock.now())

    def _note_refused(self, error: CredentialsRefused | AccessRefused) -> None:
        kept = self._credentials if isinstance(error, CredentialsRefused) else without_access(self._credentials)
        with transaction(self._connection):
            web_ledger.note_refusal(self._connection, self._key, self._source.url, kept, self._clock.now())
