"""The web reports of the demo beside the truth: visits and page views of each closed day.

Not here: the stage (demo_stage.py), events (scoreboard.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from matokit_pipelines.cli.frame import Frame
    from matokit_pipelines.simulator import WebTruth
    from matokit_pipelines.warehouse.refresh import Home

SHOWN = """
select web_visits.period_start as day, nb_visits, nb_pageviews
from web_visits
inner join web_actions using (source, site_id, period, period_start)
inner join web_periods using (source, site_id, period, period_start)
where period = 'day' and web_periods.state = 'final'
"""


@dataclass(frozen=True)
class WebBoard:
    """Closed days that are shown, how many of them as they were, and their visits."""

    days: int
    exact: int
    visits: int

    @property
    def is_whole(self) -> bool:
        return 0 < self.days == self.exact


def compare(home: Home, web: WebTruth) -> WebBoard:
    """The snapshot in service beside what was done on the site."""
    from matokit_pipelines.warehouse.snapshots import open_current

    with open_current(home.loaded.home) as snapshot:
        shown = snapshot.query(SHOWN)
    pages = web.hits.filter(pl.col("kind") == "page").join(web.visits.select("visit", "day"), on="visit")
    truth = (
        web.visits.group_by("day")
        .agg(pl.len().alias("visits"))
        .join(pages.group_by("day").agg(pl.len().alias("views")), on="day", how="left")
    )
    both = shown.join(truth, on="day", how="left").with_columns(pl.col("visits", "views").fill_null(0))
    exact = both.filter((pl.col("nb_visits") == pl.col("visits")) & (pl.col("nb_pageviews") == pl.col("views")))
    return WebBoard(both.height, exact.height, int(shown["nb_visits"].sum()))


def show(frame: Frame, board: WebBoard) -> None:
    """One line of the scoreboard."""
    frame.say(
        f"Web         {board.exact} of {board.days} closed days of website (Matomo) with the visits and page views "
        f"there were, {board.visits:,} visits in all"
    )
