"""The whole truth of a simulated download site: visits, and everything that happened in them.

Belongs here: drawing visits, page views, events and conversions from a seed. Does not belong here: what there is on
the site (matomo_web_pages), how Matomo stores it (matomo_web_log) and reports it (matomo_web_reports).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matokit_pipelines.simulator import matomo_web_pages as site
from matokit_pipelines.simulator.hashing import mixed
from matokit_pipelines.simulator.matomo_web_doings import HIT_SCHEMA, beside

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
DAY = 86_400
LEAST_DAYS = 7
# Visits of one visitor lie further apart than this, so that the server never joins two of them.
APART = 3_600
RETURNING = 0.22
GROWTH = 0.4


@dataclass(frozen=True)
class WebTruth:
    """Every visit of a web site and every hit in it.

    visits: one row a visit, by start: visit (from 0), visitor (16 hex digits), started (UTC), day (site-local),
        referrer_type (1 direct, 2 search, 3 website, 6 campaign, 7 social), referrer_name, referrer_keyword,
        referrer_url, device, pages, bounced (one action only). Nulls: nothing sent.
    hits: one row a hit, by time: visit, ts (UTC), kind (page, event, goal, order, cart), url, title, seconds (a page
        view's time, whole seconds), category, action, name, value, goal (number), order_id, items, revenue,
        subtotal, tax, shipping, discount (EUR, 0 where the kind has none).
    start, end: the half-open window, UTC. No visit lies on both sides of a site-local midnight.
    quiet_night: no visit begins in it (UTC, half-open). empty_day: site-local day without any visit.
    changed_on: from this site-local day on visitors look at other pages.
    """

    visits: pl.DataFrame
    hits: pl.DataFrame
    start: datetime
    end: datetime
    zone: str
    seed: int
    quiet_night: tuple[datetime, datetime]
    empty_day: date
    changed_on: date

    @classmethod
    def generate(
        cls,
        *,
        days: int,
        visits_per_day: float,
        seed: int,
        end: datetime,
        zone: str = "Europe/Copenhagen",
        error_pages: int = 60,
    ) -> WebTruth:
        """Simulate `days` (at least 7) days before `end` (aware), about `visits_per_day` visits a day.

        error_pages: how many different rarely seen pages there are. Fully determined by the arguments.
        Raises ValueError on a naive `end`, too few days or no volume.
        """
        if end.tzinfo is None:
            raise ValueError("The end of a simulation needs a time zone.")
        if days < LEAST_DAYS or visits_per_day <= 0:
            raise ValueError(f"A web site needs at least {LEAST_DAYS} days and a positive number of visits a day.")
        end = end.astimezone(UTC).replace(microsecond=0)
        start, place = end - timedelta(days=days), ZoneInfo(zone)
        first = start.astimezone(place).date()
        empty, changed = first + timedelta(days=days // 3), first + timedelta(days=days - min(8, days // 3))
        dark = datetime.combine(first + timedelta(days=days // 2), datetime.min.time(), place)
        night = (dark - timedelta(hours=1)).astimezone(UTC), (dark + timedelta(hours=6)).astimezone(UTC)
        rng = np.random.default_rng([seed, days, 90_001])
        began = _starts(start, days, visits_per_day, zone, night, empty, rng)
        visit, ts, hits = _page_views(began, changed, zone, error_pages, end, rng)
        came = _came(len(began), rng)
        visitor = _visitors(visit, ts, len(began), seed, rng)
        made = beside(hits, rng).filter(pl.col("ts") < end)
        visits = _visits(made, visitor, came, zone)
        kept = visits.select("visit", "began")
        made = _numbered(made.join(kept, on="visit", how="semi"), kept)
        visits = visits.with_columns(visit=pl.int_range(pl.len())).drop("began")
        return cls(visits, made, start, end, zone, seed, night, empty, changed)


def _local(epoch: Ints, zone: str) -> Ints:
    """The wall clock at these epoch seconds, as if it were UTC."""
    moments = pl.Series(epoch * 1_000_000).cast(pl.Datetime("us", "UTC"))
    return moments.dt.convert_time_zone(zone).dt.replace_time_zone(None).dt.epoch("s").to_numpy()


def _starts(
    start: datetime,
    days: int,
    visits_per_day: float,
    zone: str,
    night: tuple[datetime, datetime],
    empty: date,
    rng: np.random.Generator,
) -> Ints:
    hour = int(start.timestamp()) + 3_600 * np.arange(days * 24)
    wall = _local(hour, zone)
    weekday, clock = (wall // DAY + 3) % 7, wall % DAY // 3_600
    rate = np.array(site.WEEKDAYS)[weekday] * np.array(site.HOURS)[clock] / np.mean(site.HOURS)
    rate *= 1 + GROWTH * (np.arange(days * 24) / (days * 24) - 0.5)
    many = rng.poisson(rate * visits_per_day / 24)
    began: Ints = np.repeat(hour, many) + rng.integers(0, 3_600, many.sum())
    dark = (began >= night[0].timestamp()) & (began < night[1].timestamp())
    void = _local(began, zone) // DAY == (empty - date(1970, 1, 1)).days
    return np.sort(began[~dark & ~void])


def _page_views(
    began: Ints, changed: date, zone: str, error_pages: int, end: datetime, rng: np.random.Generator
) -> tuple[Ints, Ints, pl.DataFrame]:
    """(visit of each view, its second, the views as hits); the visits moved so that none crosses a midnight."""
    n = len(began)
    many = np.where(rng.random(n) < 0.34, 1, np.minimum(1 + rng.geometric(0.42, n), 9))
    visit = np.repeat(np.arange(n), many)
    place = np.arange(len(visit)) - np.repeat(np.cumsum(many) - many, many)
    gap = np.clip(rng.exponential(90, len(visit)), 6, 1_200).astype(np.int64)
    before = np.cumsum(gap) - gap
    since = before - np.repeat(before[place == 0], many)
    wall = _local(began, zone)
    # The last thing of a visit is done within 200 seconds of its last page.
    last = np.maximum.reduceat(since, np.flatnonzero(place == 0)) if n else since
    over = np.maximum(0, wall % DAY + last + 200 - DAY)
    began, wall = began - over, wall - over
    released = (wall // DAY >= (changed - date(1970, 1, 1)).days)[visit]
    page = _pages(place == 0, released, error_pages, rng)
    paths, titles = _catalogue(error_pages)
    ts = began[visit] + since
    return (
        visit,
        ts,
        pl.DataFrame(
            {
                "visit": visit,
                "ts": pl.Series(ts * 1_000_000).cast(pl.Datetime("us", "UTC")),
                "path": pl.Series(paths).gather(page),
                "title": pl.Series(titles).gather(page),
                "gap": gap,
            }
        ),
    )


def _catalogue(error_pages: int) -> tuple[list[str], list[str]]:
    errors = [(f"/docs/errors/{404 + number}", f"Error {404 + number}") for number in range(error_pages)]
    known = [(path, title) for path, title, _, _ in site.PAGES] + [(site.NEWS, "Release 3"), *errors]
    return [path for path, _ in known], [title for _, title in known]


def _pages(entry: NDArray[np.bool_], released: NDArray[np.bool_], errors: int, rng: np.random.Generator) -> Ints:
    """Numbers of pages in the catalogue: by place in the visit, before or after the release."""
    made = np.zeros(len(entry), dtype=np.int64)
    luck = rng.random(len(entry))
    for first in (True, False):
        for after in (True, False):
            weights = [site.RELEASED.get(p, (e, n)) if after else (e, n) for p, _, e, n in site.PAGES]
            weights.append(site.RELEASED[site.NEWS] if after else (0.0, 0.0))
            weight = np.array([pair[0 if first else 1] for pair in weights], dtype=np.float64)
            weight *= (1 - site.ERROR_SHARE) / weight.sum()
            whole = np.append(weight, np.full(errors, site.ERROR_SHARE / errors) if errors else [])
            where = (entry == first) & (released == after)
            made[where] = np.searchsorted(np.cumsum(whole) / whole.sum(), luck[where], side="right")
    return np.minimum(made, len(site.PAGES) + errors)


def _came(n: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """For each visit, places in the lists of referrers and of devices."""
    share = np.array([weight for _, weight in site.CAME])
    devices = np.array([weight for _, weight in site.DEVICES])
    return rng.choice(len(share), n, p=share / share.sum()), rng.choice(len(devices), n, p=devices)


def _visitors(visit: Ints, ts: Ints, n: int, seed: int, rng: np.random.Generator) -> list[str]:
    """Who made each visit: somebody new, or one of the last few hundred who is not here just now."""
    first, last = np.full(n, np.iinfo(np.int64).max), np.zeros(n, dtype=np.int64)
    np.minimum.at(first, visit, ts)
    np.maximum.at(last, visit, ts)
    back = np.where(rng.random(n) < RETURNING, 1 + rng.exponential(400, n).astype(np.int64), 0).tolist()
    who: list[int] = []
    # Bounds of the visits each visitor has made: moved visits are not in order of start any more.
    seen: dict[int, list[tuple[int, int]]] = {}
    for number, (since, until, steps) in enumerate(zip(first.tolist(), last.tolist(), back, strict=True)):
        chosen = who[number - steps] if 0 < steps <= number else number
        if any(since < b + APART and until + APART > a for a, b in seen.get(chosen, ())):
            chosen = number
        who.append(chosen)
        seen.setdefault(chosen, []).append((since, until))
    ids = mixed(np.array(who, dtype=np.uint64), 0x3EB + seed)
    return [f"{number:016x}" for number in ids.tolist()]


def _visits(hits: pl.DataFrame, visitor: list[str], came: tuple[Ints, Ints], zone: str) -> pl.DataFrame:
    named, devices = [one for one, _ in site.CAME], [name for name, _ in site.DEVICES]
    from_where, device = came
    actions = pl.col("kind").is_in(["page", "event"])
    everything = pl.DataFrame(
        {
            "visit": np.arange(len(visitor)),
            "visitor": visitor,
            "referrer_type": pl.Series([one.type for one in named]).gather(from_where),
            "referrer_name": pl.Series([one.name for one in named]).gather(from_where),
            "referrer_keyword": pl.Series([one.keyword for one in named], dtype=pl.String).gather(from_where),
            "referrer_url": pl.Series([one.url for one in named]).gather(from_where),
            "device": pl.Series(devices).gather(device),
        },
        schema_overrides={"visitor": pl.String},
    )
    counted = hits.group_by("visit").agg(
        started=pl.col("ts").min(), pages=(pl.col("kind") == "page").sum(), bounced=actions.sum() == 1
    )
    local = pl.col("started").dt.convert_time_zone(zone).dt.date()
    return (
        everything.join(counted, on="visit")
        .with_columns(day=local, began=pl.col("started"))
        .sort("started", "visit")
        .select(
            "visit",
            "visitor",
            "started",
            "day",
            "referrer_type",
            "referrer_name",
            "referrer_keyword",
            "referrer_url",
            "device",
            "pages",
            "bounced",
            "began",
        )
    )


def _numbered(hits: pl.DataFrame, visits: pl.DataFrame) -> pl.DataFrame:
    """The hits by time with the visits' final numbers and how long each page was looked at.

    A page is looked at until the next one, the last until the visit's last action, whose second counts too.
    """
    number = visits.with_row_index("number").select("visit", pl.col("number").cast(pl.Int64))
    is_page, is_action = pl.col("kind") == "page", pl.col("kind").is_in(["page", "event"])
    done = pl.when(is_action).then(pl.col("ts")).max().over("visit")
    later = pl.when(is_page).then(pl.col("ts")).shift(-1).backward_fill().over("visit")
    more = pl.when(is_action).then(1).sum().over("visit") > 1
    last = (done - pl.col("ts")).dt.total_seconds() + more.cast(pl.Int64)
    seconds = pl.when(later.is_not_null()).then((later - pl.col("ts")).dt.total_seconds()).otherwise(last)
    return (
        hits.join(number, on="visit")
        .sort("number", "ts", "place", maintain_order=True)
        .with_columns(seconds=pl.when(is_page).then(seconds))
        .with_columns(visit=pl.col("number"))
        .sort("ts", "visit", maintain_order=True)
        .select(list(HIT_SCHEMA))
    )
