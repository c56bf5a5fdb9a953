"""The lines of `status` and `doctor` about web reports. Not here: what they tell of (warehouse/web_facts.py)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from matokit_pipelines.cli.frame import counted, moment_of

if TYPE_CHECKING:
    from matokit_pipelines.warehouse.web_facts import WebFacts


def lines(facts: WebFacts, now: datetime) -> Iterator[str]:
    """What is known of the web reports of a source."""
    if not facts.periods and not facts.error:
        yield f"{facts.source}: web reports were not read yet; run `matokit extract --source {facts.source}`."
        return
    complete = f"complete to {facts.last_complete_day}" if facts.last_complete_day else "no day complete yet"
    yield f"{facts.source}: web reports {complete}, {counted(facts.periods, 'period')} read."
    if facts.error:
        yield f"  last pass failed: {facts.error}"
    if facts.waiting:
        yield f"  {counted(facts.waiting, 'period')} of history still to read, the newest first, a few each pass."
    if facts.unknown:
        yield (
            f"  {counted(facts.unknown, 'period')} unknown, the oldest of {facts.oldest_unknown}: Matomo says 0 and "
            "nothing proves it, so it may not have counted yet; asked again until it is sure."
        )
    if facts.refused:
        yield f"  not given by this Matomo: {', '.join(facts.refused)}."
    if facts.read_at:
        yield f"  last read {moment_of(facts.read_at, now)}."
