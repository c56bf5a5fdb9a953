"""Settings of the reports: who is sent which one. Pages are made in any case.

Not here: when they are made (orchestration), where a group's messages go (delivery_settings.py).
"""

from __future__ import annotations

from pydantic import Field, field_validator

from matokit_pipelines.delivery_settings import DESTINATION, GROUPS
from matokit_pipelines.section import Section


class ReportSettings(Section):
    """Reports."""

    weekly_to: tuple[str, ...] = Field(
        ("development",),
        description="Who is sent the weekly summary: groups or destinations; [] for nobody.",
    )
    daily_to: tuple[str, ...] = Field(("on_call",), description="Who is sent the daily component health report.")
    monthly_to: tuple[str, ...] = Field(("product",), description="Who is sent the monthly compatibility report.")
    send_when_empty: bool = Field(
        False, description="Whether the daily report is sent when it lists no component and no trigger is met."
    )

    @field_validator("weekly_to", "daily_to", "monthly_to")
    @classmethod
    def _are_readers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            if entry not in GROUPS and not DESTINATION.match(entry):
                raise ValueError(f'"{entry}" is neither one of {", ".join(GROUPS)} nor a destination')
        return value
