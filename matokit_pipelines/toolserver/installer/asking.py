"""What the installer tools can be asked: the parameters they share, and the days that are meant.

Days are those of the project's zone. A span ends at the last complete day, since the running day says too little. Not
here: a tool's own parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from matokit_pipelines.errors import SettingsError
from matokit_pipelines.toolserver.installer.ground import Ground
from matokit_pipelines.toolserver.parameters import Parameters, Whole
from matokit_pipelines.toolserver.problems import Problem, refused
from matokit_pipelines.windows import ONE_DAY, Window, days_window, parse_day

LONGEST = 366  # days
MONTH_DAYS = 30


def lower(value: Any) -> Any:
    """Choices are read in any case."""
    return value.strip().lower() if isinstance(value, str) else value


def _day(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be a day written as 2026-11-20")
    try:
        return parse_day(value.strip())
    except SettingsError:
        raise ValueError("must be a day written as 2026-11-20") from None


Day = Annotated[date, BeforeValidator(_day)]
Environment = Annotated[
    Literal["production", "ci", "test", "development", "staging", "unknown", "all"], BeforeValidator(lower)
]
Compare = Annotated[Literal["previous"], BeforeValidator(lower)]

DAYS = "How many days, 1 to 90; they end with the last complete day, or with toDate. Default {}."
COMPONENT = "Only this component, such as python_install. Default: all components together."
ENVIRONMENT = (
    "Where the installer ran: production, ci, test, development, staging, unknown, or all of them. Default production."
)
COMPARE = "previous: compare with the span of the same length directly before. Default: no comparison."
LIMIT = "Rows at most, 1 to 50. Default {}."


class DayParameters(Parameters):
    """Which days, compared with what."""

    given_or_not: ClassVar[frozenset[str]] = frozenset({"days"})
    days: Whole = Field(7, ge=1, le=90, description=DAYS.format(7))
    fromDate: Day | None = Field(
        None,
        description="First day, as 2026-11-01, in the project's time zone. Default: by days.",
        json_schema_extra={"published": "string"},
    )
    toDate: Day | None = Field(
        None,
        description="Last day, as 2026-11-20, included. Default: the last complete day, or by fromDate and days.",
        json_schema_extra={"published": "string"},
    )
    compare: Compare | None = Field(None, description=COMPARE)


class SpanParameters(DayParameters):
    """Which days, of which environment, compared with what."""

    environment: Environment = Field("production", description=ENVIRONMENT)


@dataclass(frozen=True)
class Span:
    """Days of the project's zone, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Span:
        """The span of the same length directly before."""
        return Span(self.first - timedelta(days=self.days), self.first - ONE_DAY)

    @property
    def is_iso_week(self) -> bool:
        return self.days == 7 and self.first.weekday() == 0

    @property
    def ends_a_month(self) -> bool:
        """Whether these are the 30 days of a monthly report."""
        return self.days == MONTH_DAYS and (self.last + ONE_DAY).day == 1

    @property
    def words(self) -> str:
        return f"on {self.first}" if self.days == 1 else f"from {self.first} to {self.last}"

    def window(self, ground: Ground) -> Window:
        """Its instants, UTC."""
        return days_window(self.first, self.last, ground.zone)


def span_of(asked: DayParameters, ground: Ground, otherwise: date | None = None) -> Span:
    """The days that are meant, cut at the last complete one, or at `otherwise`. Problem where there are none."""
    last_day = ground.last_day or otherwise
    if last_day is None:
        raise Problem(
            "unknown",
            "No day is complete yet, so nothing can be counted.",
            "Ask again when a first day has been read; GetDataStatus says how far reading is.",
            status=503,
        )
    given, length = asked.fromDate, timedelta(days=asked.days - 1)
    last = asked.toDate or last_day
    if given and asked.toDate is None and "days" in asked.model_fields_set:
        last = given + length
    first = given or last - length
    if first > last and asked.toDate:
        raise refused(f"fromDate {first} is after toDate {last}.", "Give the earlier day as fromDate.")
    if first > last_day:
        raise refused(
            f"{first} is not complete yet; the last complete day is {last_day}.",
            f"Ask for days up to {last_day}, or leave fromDate and toDate out.",
        )
    last = min(last, last_day)
    if (last - first).days >= LONGEST:
        raise refused(f"{first} to {last} are more than {LONGEST} days.", f"Ask for at most {LONGEST} days at once.")
    return Span(first, last)
