"""The stage of the demo: simulated services that misbehave, people to be told, the clock they all share, and a home.

Seventy of a hundred machines send to a Piwik PRO, the others to a Matomo; a second Piwik PRO receives what the Matomo
does and is declared its mirror. The Matomo has a second site, that of the downloads, with web reports. Messages go to
a Slack and a mail server on this machine, and into files. Not here: what is played (demo.py, demo_alerts.py,
demo_break.py), simulations (simulator/).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from matokit_pipelines.clock import FixedClock, SystemClock

if TYPE_CHECKING:
    import polars as pl

    from matokit_pipelines.cli.scoreboard import Sent
    from matokit_pipelines.simulator import MatomoSimulator, PiwikProFaults, PiwikProSimulator, Truth, WebTruth
    from matokit_pipelines.simulator.mail import MailServer
    from matokit_pipelines.simulator.slack import SlackSimulator
    from matokit_pipelines.warehouse.refresh import Home

ZONE = "Europe/Copenhagen"
PIWIK_PRO_SHARE = 0.7
COPY_SITE = "22222222-2222-4333-8444-555555555555"
KILLED_AT_REQUEST = 6
VISITS_PER_DAY = 150
CHANNELS = ("on-call", "installers")
SETTINGS = """# Settings of the demo. The services live only while `matokit demo` runs.
[project]
timezone = "{zone}"

[[sources]]
name = "installers"
kind = "piwik_pro"
url = "{services.installers.url}"
site_id = "{services.installers.site_id}"
real_time = true
start_date = {start}

[[sources]]
name = "lab"
kind = "matomo"
url = "{services.lab.url}"
site_id = "1"
start_date = {start}

[[sources]]
name = "lab_copy"
kind = "piwik_pro"
url = "{services.lab_copy.url}"
site_id = "{services.lab_copy.site_id}"
mirror_of = "lab" # receives the same events again: compared, never counted
start_date = {start}

[[sources]]
name = "website"
kind = "matomo"
url = "{services.lab.url}"
site_id = "2"
provides = ["web_reports"]
start_date = {start}

[web_reports]
first_time_periods = 500 # all of its past at once

[toolserver]
tracking = true
calls_per_minute = 0

[http]
first_wait = 0.05 # the simulated servers recover at once

[slack]
api_url = "{services.slack.api_url}"

[smtp]
host = "{services.mail.host}"
port = {services.mail.port}
security = "none"
sender = "matokit@example.org"

[recipients]
on_call = ["slack:#{channels[0]}", "email:on-call@example.org", "files"]
development = ["slack:#{channels[1]}", "email:development@example.org", "files"]
product = ["slack:#{channels[1]}", "email:product@example.org", "files"]
operators = ["files"]
"""


class StageClock:
    """The machine's clock, set ahead by leaps, or standing at moments of the past while these are told of."""

    def __init__(self) -> None:
        self._real = SystemClock()
        self._ahead = timedelta()
        self._past: FixedClock | None = None

    def now(self) -> datetime:
        return self._past.now() if self._past else self._real.now() + self._ahead

    def sleep(self, seconds: float) -> None:
        (self._past or self._real).sleep(seconds)

    def leap(self, by: timedelta) -> None:
        """From now on it is so much later."""
        self._ahead += by

    @contextmanager
    def in_the_past(self, since: datetime) -> Iterator[FixedClock]:
        """Inside the block time stands still, at first at `since`, and moves only as the clock given is moved."""
        self._past = FixedClock(since)
        try:
            yield self._past
        finally:
            self._past = None


@dataclass(frozen=True)
class Services:
    """The simulated services, and who kills the first reader."""

    installers: PiwikProSimulator
    lab: MatomoSimulator
    lab_copy: PiwikProSimulator
    slack: SlackSimulator
    mail: MailServer
    parts: tuple[Truth, Truth]
    killer: Killer
    web: WebTruth

    @property
    def environ(self) -> dict[str, str]:
        return {
            "MATOKIT_INSTALLERS_CLIENT_ID": self.installers.client_id,
            "MATOKIT_INSTALLERS_CLIENT_SECRET": self.installers.client_secret,
            "MATOKIT_LAB_TOKEN": self.lab.token,
            "MATOKIT_WEBSITE_TOKEN": self.lab.token,
            "MATOKIT_LAB_COPY_CLIENT_ID": self.lab_copy.client_id,
            "MATOKIT_LAB_COPY_CLIENT_SECRET": self.lab_copy.client_secret,
            "MATOKIT_SLACK_TOKEN": self.slack.token,
        }

    @property
    def struck(self) -> Counter[str]:
        return self.installers.struck + self.lab.struck + self.lab_copy.struck

    def sent(self, began: datetime, ended: datetime) -> list[Sent]:
        """What was sent to the sources that count, and what of it they showed when the reading began and ended."""
        from matokit_pipelines.cli.scoreboard import Sent

        ours, theirs = self.parts
        everything: pl.Series = theirs.events["event_ts"].is_not_null()
        must, may = (self.installers.in_sight(at) for at in (began, ended))
        return [
            Sent("installers", "piwik_pro", ZONE, ours.events, must, may),
            Sent("lab", "matomo", ZONE, theirs.events, everything, everything),
        ]


@contextmanager
def services(truth: Truth, clock: StageClock, seed: int) -> Iterator[Services]:
    """Everything that answers, while the block runs."""
    from matokit_pipelines.simulator import Faults, MatomoSimulator, PiwikProSimulator, WebTruth
    from matokit_pipelines.simulator.mail import MailServer
    from matokit_pipelines.simulator.matomo_web import LEAST_DAYS
    from matokit_pipelines.simulator.slack import SlackSimulator
    from matokit_pipelines.simulator.slack_faults import SlackFaults
    from matokit_pipelines.simulator.slack_store import Channel

    ours, theirs = truth.split(PIWIK_PRO_SHARE)
    killer = Killer(KILLED_AT_REQUEST)
    trouble = Faults(seed=seed, dropped=0.06, half=0.06, sqlstate=0.04, memory_visits=60)
    with ExitStack() as stack:
        installers = PiwikProSimulator(
            ours, now=clock.now, faults=_piwik_pro_faults(seed), on_request=killer.on_request
        )
        web = WebTruth.generate(
            days=max(LEAST_DAYS, (truth.end - truth.start).days),
            visits_per_day=VISITS_PER_DAY, seed=seed, end=clock.now(), zone=ZONE,
        )  # fmt: skip
        lab = MatomoSimulator(theirs, now=clock.now, faults=trouble, web=web)
        copy = PiwikProSimulator(theirs, now=clock.now, faults=_piwik_pro_faults(seed + 1), site_id=COPY_SITE)
        channels = [Channel(f"C0DEMO000{number}", name) for number, name in enumerate(CHANNELS)]
        rough = SlackFaults(seed=seed, dropped_before=0.04, dropped_after=0.04, limited=0.04, error=0.04)
        slack, mail = SlackSimulator(channels=channels, now=clock.now, faults=rough), MailServer(now=clock.now)
        for service in (installers, lab, copy, slack, mail):
            stack.callback(service.stop)
        yield Services(installers, lab, copy, slack, mail, (ours, theirs), killer, web)


def _piwik_pro_faults(seed: int) -> PiwikProFaults:
    from matokit_pipelines.simulator import PiwikProFaults

    return PiwikProFaults(
        seed=seed, dropped=0.06, half=0.06, server_error=0.06, token_expires_early=0.05, moving_count_once=True,
        processing_delay_s=3_600, late_share=0.02, late_seconds=5_400,
    )  # fmt: skip


class Killer:
    """Starts a reader in a process of its own and kills it in the middle of its work."""

    def __init__(self, at_request: int) -> None:
        self.kills = 0
        self._at_request = at_request
        self._victim: subprocess.Popen[bytes] | None = None

    def on_request(self, number: int, path: str) -> None:
        if self._victim and number >= self._at_request and not self.kills:
            self._victim.send_signal(signal.SIGKILL)
            self.kills = 1

    def run_and_kill(self, folder: Path, secrets: dict[str, str]) -> None:
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("MATOKIT_", "MATOMO_"))}
        environ |= {"MATOKIT_HOME": str(folder), **secrets}
        command = [
            sys.executable,
            "-m",
            "matokit_pipelines.cli.main",
            "--config",
            str(folder / "matokit.toml"),
            "extract",
        ]
        self._victim = subprocess.Popen(  # noqa: S603 - ourselves
            command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._victim.wait()
        self._victim = None


def home_of(folder: Path, services: Services, truth: Truth, clock: StageClock, public_url: str = "") -> Home:
    """The home of the demo, its settings written as a person would; `public_url`: where its pages will be served."""
    from matokit_pipelines import settings
    from matokit_pipelines.warehouse.refresh import Home

    start = truth.start.astimezone(ZoneInfo(ZONE)).date()
    file = folder / "matokit.toml"
    text = SETTINGS.format(zone=ZONE, start=start, services=services, channels=CHANNELS)
    if public_url:
        text += f'\n[links]\npublic_url = "{public_url}"\n'
    file.write_text(text, encoding="utf-8")
    return Home.of(settings.load(file, {"MATOKIT_HOME": str(folder), **services.environ}, folder), clock)
