"""The reports and dashboards of the demo: the newest edition of each, made and sent to the simulated Slack and mail
server.

Not here: the stage (demo_stage.py), what a page says (reports/).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from matokit_pipelines.cli.frame import Frame
    from matokit_pipelines.warehouse.refresh import Home

# report -> what it is called
NAMES = {
    "weekly": "Weekly operations summary",
    "daily": "Component health",
    "monthly": "System compatibility",
}


@dataclass(frozen=True)
class Made:
    """Pages by name, the index, and how many messages of reports were queued and arrived."""

    pages: dict[str, Path]
    index: Path
    queued: int
    delivered: int

    @property
    def is_whole(self) -> bool:
        """Whether each message that was queued arrived."""
        return self.queued == self.delivered


def make(home: Home) -> Made:
    """Make all pages, queue the reports for their readers and deliver them."""
    from matokit_pipelines import state
    from matokit_pipelines.delivery import outbox
    from matokit_pipelines.delivery.draining import drain
    from matokit_pipelines.orchestration.editions import newest
    from matokit_pipelines.reports import making
    from matokit_pipelines.reports.sending import send_report

    pages = {}
    queued = 0
    for report, name in NAMES.items():
        edition = newest(report, home.loaded.settings, home.clock.now())
        files, _ = making.make_report(home, report, edition.day)
        pages[f"{name}, {edition.period}"] = files.html
        queued += len(send_report(home.loaded, report, edition.period, now=home.clock.now()).queued)
    making.make_dashboards(home)
    index = making.make_index(home)
    while queued:  # the simulated Slack asks to wait now and then
        done = drain(home.loaded, home.clock)
        if done.next_due is None:
            break
        home.clock.sleep(max(0.1, (done.next_due - home.clock.now()).total_seconds()))
    with state.opened(home.loaded.home) as connection:
        sent = outbox.listed(connection, ("sent",))
    return Made(pages, index, queued, sum(row.message_key.startswith("report:") for row in sent))


def show(frame: Frame, made: Made) -> None:
    """What was made and where it went."""
    frame.say(f"Reports     {len(made.pages)} reports, and four dashboards with sixteen widgets")
    for name, page in made.pages.items():
        frame.say(f"            {name}: {os.path.relpath(page)}")
    frame.say(f"            {made.delivered} of {made.queued} messages of them arrived at their readers")
