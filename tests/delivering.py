"""A home with an outbox, a clock that is moved by hand, and servers on this machine to deliver to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from matokit_pipelines import state
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.delivery import outbox
from matokit_pipelines.delivery.draining import DrainReport, drain
from matokit_pipelines.delivery.messages import Image, Message
from matokit_pipelines.delivery.outbox import Row
from matokit_pipelines.settings import Loaded, load
from matokit_pipelines.simulator.mail import MailServer
from matokit_pipelines.simulator.slack import SlackSimulator

START = datetime(2026, 11, 18, 3, tzinfo=UTC)
ON_SLACK = "slack:#alerts"
BY_MAIL = "email:a@example.org,b@example.org"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001e221bc33"
    "0000000049454e44ae426082"
)
PAGE = (
    "<html><head><style>p { color: #333 }</style></head><body><p>{}</p><img src='cid:chart.png' alt=''></body></html>"
)


def message(subject: str = "component r fails", *, text: str = "13 of 25 events failed.", **other: Any) -> Message:
    """A message with every part; others as given."""
    parts: dict[str, Any] = {
        "html": PAGE.replace("{}", subject),
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "13 of 25 events failed."}}],
        "images": (Image("chart.png", "Failures by the hour", PNG),),
    }
    return Message(subject, text, **(parts | other))


@dataclass
class Office:
    """A home from which messages leave."""

    home: Path
    clock: FixedClock = field(default_factory=lambda: FixedClock(START))
    environ: dict[str, str] = field(default_factory=dict)
    slack: SlackSimulator | None = None
    mail: MailServer | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def loaded(self) -> Loaded:
        """The settings, read anew from a file in the home."""
        sections: dict[str, dict[str, Any]] = {}
        if self.slack is not None:
            sections["slack"] = {"api_url": self.slack.api_url, "timeout": 5}
            self.environ.setdefault("MATOKIT_SLACK_TOKEN", self.slack.token)
        if self.mail is not None:
            sections["smtp"] = {
                "host": self.mail.host, "port": self.mail.port, "security": "none", "timeout": 5,
                "sender": "matokit@example.org",
            }  # fmt: skip
        for name, values in self.settings.items():
            sections[name] = sections.get(name, {}) | dict(values)
        self.home.mkdir(exist_ok=True)
        lines = []
        for name, values in sections.items():
            lines += [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
        (self.home / "matokit.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return load(environ={"MATOKIT_HOME": str(self.home), **self.environ}, cwd=self.home)

    def put(
        self,
        kind: str,
        destination: str = ON_SLACK,
        *,
        about: str = "r",
        severity: str = "critical",
        told: Message | None = None,
        due: datetime | None = None,
    ) -> str:
        """Put a message in; its key."""
        now = self.clock.now()
        key = f"new_failure_pattern|{about}|production|1|{kind}|{destination}"
        with state.opened(self.home) as connection, state.transaction(connection):
            assert outbox.enqueue(
                connection,
                message_key=key,
                conversation=f"new_failure_pattern|{about}|production|1|{destination}",
                destination=destination,
                severity=severity,
                message=told or message(f"{about} {kind}"),
                due=due or now,
                now=now,
            )
        return key

    def drain(self, limit: int | None = None) -> DrainReport:
        """One drain at the clock's time."""
        return drain(self.loaded, self.clock, limit=limit)

    def drain_until_empty(self, step: timedelta = timedelta(minutes=5), most: int = 100) -> int:
        """Drains with time in between, until nothing waits; how many it took."""
        for number in range(most):
            if self.drain().waiting == 0:
                return number + 1
            self.clock.advance(step)
        raise AssertionError(f"still waiting after {most} drains: {self.rows('pending', 'sending')}")

    def rows(self, *states: str) -> list[Row]:
        """Rows in any of the states, oldest first."""
        with state.opened(self.home) as connection:
            return outbox.listed(connection, states)[::-1]

    def row(self, key: str) -> Row:
        """The row of a key."""
        [found] = [row for row in self.rows() if row.message_key == key]
        return found


def keys(slack: SlackSimulator) -> list[str]:
    """Keys of the messages that Slack has, in the order in which it took them; files left out."""
    return [posted.message_key for posted in slack.messages if posted.message_key is not None]


def is_in_order(arrived: Sequence[str], put: Sequence[str]) -> bool:
    """Whether what arrived of `put` came in its order."""
    places = [put.index(key) for key in arrived if key in put]
    return places == sorted(places)


def _toml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
