"""Settings of delivery: where messages go, and by which servers. Without any of them everything goes to files.

Secrets come from the environment only: MATOKIT_SLACK_TOKEN or MATOKIT_SLACK_WEBHOOK, MATOKIT_SMTP_PASSWORD, and
MATOKIT_WEBHOOK_<NAME> for each `webhook:<name>`. Not here: what is told (alert_settings.py).
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from matokit_pipelines.section import Section

# files | console | slack:#channel or slack:C0123 | email:a@x.org[,b@x.org] | webhook:name
_ADDRESS = r"[^\s,:;<>@\"]{1,64}@[^\s,:;<>@\"]{1,253}"
DESTINATION = re.compile(
    rf"^(files|console|slack:#?[A-Za-z0-9][A-Za-z0-9._-]{{0,79}}|email:{_ADDRESS}(,{_ADDRESS})*|webhook:[a-z][a-z0-9_]{{0,39}})$"
)
GROUPS = ("on_call", "development", "product", "operators")


class LinkSettings(Section):
    """Where people find more."""

    public_url: str = Field("", description="Web address under which the pages of this home are reached, for links.")
    toolserver: bool = Field(
        True, description="The tool server answers there: each alert has a page, and the runbook; off: only files."
    )
    runbook_url: str = Field("", description="Web address of the runbook; default: the delivered one.")

    @field_validator("public_url", "runbook_url")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        if value and not re.match(r"^https?://[^/\s?#@]+[^\s]*$", value):
            raise ValueError('must be a web address such as "https://matokit.example.org"')
        return value.rstrip("/")


class SlackSettings(Section):
    """Slack. The bot token is MATOKIT_SLACK_TOKEN; a webhook in MATOKIT_SLACK_WEBHOOK is the reduced mode."""

    api_url: str = Field("https://slack.com/api/", description="Where Slack's API answers.")
    timeout: float = Field(20.0, gt=0, le=55, description="Seconds to wait for an answer.")

    @field_validator("api_url")
    @classmethod
    def _ends_with_slash(cls, value: str) -> str:
        if not re.match(r"^https?://[^/\s?#@]+[^\s?#]*$", value):
            raise ValueError('must be a web address such as "https://slack.com/api/"')
        return value if value.endswith("/") else value + "/"


class SmtpSettings(Section):
    """The mail server. The password is MATOKIT_SMTP_PASSWORD."""

    host: str = Field("", description="Name of the mail server; empty: no mail is sent.")
    port: int = Field(587, ge=1, le=65_535, description="Its port.")
    security: Literal["starttls", "tls", "none"] = Field("starttls", description="How the connection is encrypted.")
    username: str = Field("", description="User, when the server wants one.")
    sender: str = Field("matokit@localhost", description="Address that mails come from.")
    ca_file: str = Field("", description="File with certificates to trust beside the system's.")
    timeout: float = Field(20.0, gt=0, le=55, description="Seconds to wait for the server.")


class RecipientSettings(Section):
    """Who reads what: lists of destinations; an empty group gets files and the console."""

    on_call: tuple[str, ...] = Field((), description="Whoever is woken: critical alerts and the daily health.")
    development: tuple[str, ...] = Field((), description="Those who change the scripts: warnings, the weekly page.")
    product: tuple[str, ...] = Field((), description="The product team: the monthly page.")
    operators: tuple[str, ...] = Field((), description="Whoever runs this: old data, failed runs, failed deliveries.")

    @field_validator(*GROUPS)
    @classmethod
    def _are_destinations(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            if not DESTINATION.match(entry):
                raise ValueError(
                    f'"{entry}" is no destination; write slack:#channel, email:a@example.org, webhook:name, files or '
                    "console"
                )
        return value

    def of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The destinations of groups and single destinations, each once, in order; `files` where there are none."""
        found: dict[str, None] = {}
        for name in names:
            if DESTINATION.match(name):
                found[name] = None
            else:
                found.update(dict.fromkeys(getattr(self, name) or ("files",)))
        return tuple(found) or ("files",)
