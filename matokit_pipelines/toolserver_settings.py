"""Settings of the tool server, and of Matomo's web reports that it answers from.

Secrets come from the environment only: MATOKIT_TOOLSERVER_TOKEN (or OPAL_BEARER_TOKEN), further callers'
MATOKIT_TOOLSERVER_TOKEN_<NAME>, and MATOKIT_TOOLSERVER_PAGES_TOKEN, which opens the pages only. Not here: the list of
sites (toolserver/sites.py).
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from matokit_pipelines.section import Section

_HOST = re.compile(r"^([A-Za-z0-9.*-]+|\[[0-9A-Fa-f:.]+\])(:(\d{1,5}|\*))?$")
_ORIGIN = re.compile(r"^https?://[A-Za-z0-9.-]+(:\d{1,5})?$")


class WebReportSettings(Section):
    """Matomo's web reports: how far back they are kept, how much of each, how fast history is read."""

    days: int = Field(400, ge=1, le=3_660, description="Days of daily reports that are kept.")
    weeks: int = Field(60, ge=0, le=530, description="Weeks of weekly reports that are kept.")
    months: int = Field(25, ge=0, le=120, description="Months of monthly reports that are kept.")
    rows: int = Field(250, ge=10, le=5_000, description="Rows kept of one report of one period, the greatest first.")
    first_time_periods: int = Field(
        20,
        ge=1,
        le=500,
        description="Periods that one pass asks for the first time; a Matomo computes each then, which may take long.",
    )
    again_days: int = Field(3, ge=1, le=60, description="Days after the end of a period in which it is read again.")
    every_minutes: int = Field(60, ge=5, le=1_440, description="Minutes between two readings of the current periods.")


class ToolserverSettings(Section):
    """The tool server."""

    host: str = Field("127.0.0.1", description="Address it listens on.")
    port: int = Field(4000, ge=0, le=65_535, description="Port it listens on; 0 takes any free one.")
    allowed_hosts: tuple[str, ...] = Field(
        ("localhost", "127.0.0.1"),
        description='Names under which it is asked, as in "tools.example.org"; that of links.public_url is one anyway.',
    )
    allowed_origins: tuple[str, ...] = Field((), description="Web pages that may call it from a browser.")
    tracking: bool = Field(False, description="Whether the three tools that write to Matomo are offered.")
    error_status: Literal["status", "ok"] = Field(
        "status", description='Whether an error comes with its own HTTP status, or with 200 ("ok"), same body.'
    )
    default_site: str = Field("", description="Number or name of the site asked about when a call names none.")
    cache_seconds: float = Field(60.0, ge=0, le=3_600, description="Seconds an answer is kept.")
    cache_entries: int = Field(2_000, ge=1, le=1_000_000, description="Answers kept at most.")
    call_seconds: float = Field(25.0, gt=0, le=300, description="Seconds a call may take.")
    calls_at_once: int = Field(16, ge=1, le=256, description="Calls worked on at once that are not answered yet.")
    calls_waiting: int = Field(64, ge=0, le=10_000, description="Calls that wait for their turn; others get 503.")
    calls_per_minute: int = Field(600, ge=0, le=1_000_000, description="Calls a minute of one token; 0: any number.")
    largest_body: int = Field(65_536, ge=1_024, le=16_777_216, description="Bytes of a request's body at most.")

    @field_validator("allowed_hosts")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            if not _HOST.match(entry):
                raise ValueError(f'"{entry}" is no host name such as "tools.example.org"')
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            if not _ORIGIN.match(entry):
                raise ValueError(f'"{entry}" is no origin such as "https://chat.example.org"')
        return value
