"""Asking Matomo for its web reports: which there are, one question, many questions in few requests.

Not here: the wire and what a refusal means (matomo.py), when a report is asked (warehouse/web_planning.py), what an
answer holds (sql/marts/web_*).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from matokit_pipelines.errors import AnswerNotUnderstood, MatokitError, PageTooLarge, SourceTimedOut
from matokit_pipelines.sources.matomo import MatomoClient


@dataclass(frozen=True)
class Report:
    """One report. `params` beside idSite, period and date; `has_rows`: a list of rows instead of one object.

    `table` is the mart it fills; `needs_ecommerce`: only a site with ecommerce has it.
    """

    name: str
    method: str
    params: Mapping[str, str]
    has_rows: bool
    table: str
    needs_ecommerce: bool = False


def _and(dimension: str) -> dict[str, str]:
    """Rows of pairs. The second dimension is named: which one Matomo takes by itself differs from report to report."""
    return {"flat": "1", "secondaryDimension": dimension}


# flat=1 alone ranks and cuts them by all visits, not by those that began there
_BY_ENTRIES = {"flat": "1", "filter_sort_column": "entry_nb_visits", "filter_sort_order": "desc"}
_ALL = (
    Report("visits", "VisitsSummary.get", {}, False, "web_visits"),
    Report("actions", "Actions.get", {}, False, "web_actions"),
    Report("page_urls", "Actions.getPageUrls", {"flat": "1"}, True, "web_page_urls"),
    Report("entry_pages", "Actions.getEntryPageUrls", _BY_ENTRIES, True, "web_entry_pages"),
    Report("referrer_types", "Referrers.getReferrerType", {}, True, "web_referrer_types"),
    Report("referrers", "Referrers.getAll", {}, True, "web_referrers"),
    Report("campaigns", "Referrers.getCampaigns", {}, True, "web_campaigns"),
    Report("device_types", "DevicesDetection.getType", {}, True, "web_device_types"),
    Report("event_categories", "Events.getCategory", {}, True, "web_event_categories"),
    Report("events_action_name", "Events.getAction", _and("eventName"), True, "web_events"),
    Report("events_category_action", "Events.getCategory", _and("eventAction"), True, "web_events"),
    Report("events_category_name", "Events.getCategory", _and("eventName"), True, "web_events"),
    Report("goals", "Goals.get", {}, False, "web_goals"),
    Report("ecommerce", "Goals.get", {"idGoal": "ecommerceOrder"}, False, "web_ecommerce", needs_ecommerce=True),
    Report(
        "abandoned_carts", "Goals.get", {"idGoal": "ecommerceAbandonedCart"}, False, "web_goals", needs_ecommerce=True
    ),
)
REPORTS: Mapping[str, Report] = {report.name: report for report in _ALL}


@dataclass(frozen=True)
class Question:
    """One call: a method and its parameters without site and token."""

    method: str
    params: Mapping[str, str] = field(default_factory=dict)


def question(report: Report, period: str, date: str, *, goal: str = "", **more: str) -> Question:
    """The question for one report of one period; `goal` is the number of a goal, for the report "goals"."""
    chosen = {"idGoal": goal} if goal else {}
    return Question(report.method, {"period": period, "date": date, **report.params, **chosen, **more})


class MatomoReports:
    """The reports of one site of one Matomo."""

    def __init__(self, client: MatomoClient) -> None:
        self._client = client

    def ask(self, question: Question) -> Any:
        """The parsed answer to one question; ReportRefused when Matomo says no in words."""
        return self._client.call(question.method, {"idSite": self._client.site_id, **question.params})

    def ask_all(self, questions: Sequence[Question], at_once: int = 30) -> list[Any | MatokitError]:
        """One answer or error for each question, in order, `at_once` of them in a request.

        A request that the server has no memory for is cut in halves. What is wrong with a request as a whole
        (credentials, connection, time-out) is raised; answers of earlier requests are then lost.
        """
        return [answer for part in _parts(questions, at_once) for answer in self._bulk(part)]

    def goals(self) -> list[dict[str, Any]]:
        """The site's goals as Matomo lists them: idgoal, name, match_attribute and more."""
        found = self.ask(Question("Goals.getGoals", {"filter_limit": "-1"}))
        rows = list(found.values()) if isinstance(found, dict) else found
        if not isinstance(rows, list) or not all(isinstance(row, dict) and "idgoal" in row for row in rows):
            raise self._client.odd("its list of goals comes in an unknown shape")
        return rows

    def facts(self) -> dict[str, Any]:
        """What Matomo says of the site, as sent: name, main_url, timezone, currency, ecommerce, ts_created."""
        found = self.ask(Question("SitesManager.getSiteFromId"))
        if not isinstance(found, dict) or not found.get("timezone"):
            raise self._client.odd("it describes the site without a time zone")
        return found

    def _bulk(self, questions: Sequence[Question]) -> list[Any | MatokitError]:
        site = {"idSite": self._client.site_id}
        urls = {
            f"urls[{number}]": urlencode({"method": one.method, **site, **one.params})
            for number, one in enumerate(questions)
        }
        try:
            answers = self._client.call("API.getBulkRequest", {}, form=urls)
        except SourceTimedOut:
            raise  # the server still computes: the same again in parts would only add to its work
        except PageTooLarge as error:
            if len(questions) == 1:
                return [error]
            half = len(questions) // 2
            return self._bulk(questions[:half]) + self._bulk(questions[half:])
        if not isinstance(answers, list) or len(answers) != len(questions):
            raise self._client.odd(f"{len(questions)} questions at once do not get as many answers")
        return [
            self._client.refused(one.method, answer) or answer for one, answer in zip(questions, answers, strict=True)
        ]


def by_period(answer: Any, period: str, date: str) -> dict[str, Any]:
    """Label of a period -> its object or list of rows, whatever the form of the question; `[]` for an empty period.

    A question for one period (one date, or period "range") is answered without its label: that is `date` as asked.
    Raises AnswerNotUnderstood when a question for several periods is not answered by an object of them.
    """
    if period == "range" or not _is_several(date):
        return {date: answer}
    if answer == []:  # no period at all
        return {}
    if not isinstance(answer, dict) or any(not isinstance(part, dict | list | int | float) for part in answer.values()):
        raise AnswerNotUnderstood(
            f"Matomo did not answer by {period} for the dates {date}; ask for one {period} at a time."
        )
    return answer


def rows_in(answer: Any) -> list[dict[str, Any]] | None:
    """The rows of an answer to a report that has rows; None when it is something else."""
    if isinstance(answer, dict) and not answer:
        return []
    return answer if isinstance(answer, list) and all(isinstance(row, dict) for row in answer) else None


def figures_in(answer: Any) -> dict[str, Any] | None:
    """The figures of an answer to a report that has no rows; None when it is something else."""
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if answer == []:
        return {}
    return answer if isinstance(answer, dict) else None


def _is_several(date: str) -> bool:
    return "," in date or date.startswith(("last", "previous"))


def _parts(questions: Sequence[Question], at_once: int) -> Iterator[Sequence[Question]]:
    for start in range(0, len(questions), at_once):
        yield questions[start : start + at_once]
