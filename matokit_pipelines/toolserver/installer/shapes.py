"""What the answers of the installer tools have in common, with the units of their fields.

Not here: the rows of a single tool.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Word = Literal["worse", "better", "could be chance", "too few"]
Wholeness = Literal["complete", "incomplete", "stale", "unknown"]
UTC = "ISO 8601, UTC"
DAY = "Day of the project's time zone, YYYY-MM-DD"


class Result(BaseModel):
    """A part of an answer; what it does not name is not answered."""

    model_config = ConfigDict(extra="forbid")


class Figures(Result):
    """Counts, then the rate."""

    events: int = Field(description="Counted events: successes and failures of components.")
    successes: int = Field(description="Events that succeeded.")
    failures: int = Field(description="Events that failed.")
    success_rate: float | None = Field(description="Successes / events, 0 to 1; null without events.")
    success_rate_low: float | None = Field(description="Lower end of the 95 % Wilson interval, 0 to 1.")
    success_rate_high: float | None = Field(description="Upper end of the 95 % Wilson interval, 0 to 1.")
    few_events: bool = Field(description="Fewer than ten events: the rate says little.")


class Compared(Figures):
    """The same with the span before; these fields are there when it was asked for."""

    previous_events: int | None = Field(None, description="Events of the span before.")
    previous_failures: int | None = Field(None, description="Failures of the span before.")
    previous_success_rate: float | None = Field(None, description="0 to 1; null without events then.")
    change_points: float | None = Field(None, description="Success rate less that of before, percentage points.")
    verdict: Word | None = Field(
        None,
        description="worse or better: more than chance; could be chance; too few: under ten first tries on a side. "
        "Judged on first tries of a machine at a component (of each day, unless the span is that of a weekly or "
        "monthly report); allows for another mix of components, and rows of a table for how many rows there are.",
    )
    chance: float | None = Field(None, description="How often as much would be seen had nothing changed, 0 to 1.")


class Answered(Result):
    """The head of an answer."""

    summary: str = Field(description="One sentence to repeat, with its numbers, dates and doubts.")
    as_of: str | None = Field(description=f"Up to when the data are complete, {UTC}; null when not known.")


class OfSpan(Answered):
    """An answer about days."""

    environment: str = Field(description="Whose events are counted.")
    first_day: str = Field(description=f"{DAY}, included.")
    last_day: str = Field(description=f"{DAY}, included.")
    previous_first_day: str | None = Field(None, description=f"{DAY}: start of what is compared with.")
    previous_last_day: str | None = Field(None, description=f"{DAY}: end of what is compared with.")
    data_complete: bool = Field(
        description="Whether the data of these days, and of those compared with, are whole and fresh."
    )
    more: int = Field(0, description="Rows that are not in this answer.")
