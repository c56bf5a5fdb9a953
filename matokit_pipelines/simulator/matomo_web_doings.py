"""What visitors do beside looking: downloads, films, forms, sign-ups, orders and carts left behind.

Belongs here: which page view leads to which event or conversion. Does not belong here: the page views (matomo_web).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from matokit_pipelines.simulator import matomo_web_pages as site
from matokit_pipelines.simulator.matomo_web_visits import GOALS

MONEY = ("revenue", "subtotal", "tax", "shipping", "discount")
_KINDS: dict[str, type[pl.DataType] | pl.DataType] = {
    "visit": pl.Int64,
    "ts": pl.Datetime("us", "UTC"),
    "kind": pl.String,
    "url": pl.String,
    "title": pl.String,
    "seconds": pl.Int64,
    "category": pl.String,
    "action": pl.String,
    "name": pl.String,
    "value": pl.Float64,
    "goal": pl.Int64,
    "order_id": pl.String,
    "items": pl.Int64,
}
HIT_SCHEMA = _KINDS | dict.fromkeys(MONEY, pl.Float64)
_WITHOUT_URL = 0.002


def beside(views: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """The page views (visit, ts, path, title, gap) and all they lead to; `place` orders what shares a second.

    Columns as HIT_SCHEMA, but `seconds` is null, and `place`.
    """
    luck = pl.Series("luck", rng.random(views.height))
    amount = pl.Series("amount", rng.random(views.height))
    views = views.with_columns(luck, amount, url=pl.lit(site.SITE_URL) + pl.col("path"))
    # Some trackers send no address; the page has to be one that leads to nothing.
    idle = pl.col("path").is_in(["/about", "/docs/vscode"]) & (pl.col("luck") < _WITHOUT_URL * 8)
    pages = views.with_columns(url=pl.when(~idle).then(pl.col("url")), kind=pl.lit("page"))
    parts = [_cut(pages, 0), *_events(views), *_sign_ups(views), *_shopping(views, rng)]
    return pl.concat(parts)


def _cut(rows: pl.DataFrame, place: int) -> pl.DataFrame:
    """The rows with all columns of a hit; absent ones are null, absent money and items 0."""
    absent = {name: kind for name, kind in HIT_SCHEMA.items() if name not in rows.columns}
    zero = {"items", *MONEY}
    filled = rows.with_columns(
        [pl.lit(0 if name in zero else None, dtype=kind).alias(name) for name, kind in absent.items()]
    )
    return filled.select([pl.col(name).cast(kind) for name, kind in HIT_SCHEMA.items()]).with_columns(place=place)


def _after(seconds: int) -> pl.Expr:
    return pl.col("ts") + pl.duration(seconds=seconds)


def _events(views: pl.DataFrame) -> list[pl.DataFrame]:
    system = pl.col("path").str.extract(r"^/download/(\w+)$")
    downloads = views.filter(system.is_not_null() & (pl.col("luck") < 0.55)).select(
        "visit",
        "url",
        ts=_after(3),
        kind=pl.lit("event"),
        category=pl.lit("Download"),
        action=pl.lit("Click"),
        name=system,
        goal=GOALS[2].id,
    )
    films = views.filter((pl.col("path") == "/docs/python") & (pl.col("luck") < 0.25)).select(
        "visit",
        "url",
        ts=_after(4),
        kind=pl.lit("event"),
        category=pl.lit("Video"),
        action=pl.when(pl.col("luck") < 0.17).then(pl.lit("play")).otherwise(pl.lit("pause")),
        name=pl.lit("install-python"),
        value=(pl.col("amount") * 300).round(2),
    )
    # The name is a number: reports send such a label as a JSON number.
    errors = views.filter(pl.col("path").str.starts_with("/docs/errors/")).select(
        "visit",
        "url",
        ts=_after(1),
        kind=pl.lit("event"),
        category=pl.lit("Error"),
        action=pl.lit("shown"),
        name=pl.col("path").str.split("/").list.last(),
        value=pl.lit(0.0),
    )
    forms = views.filter((pl.col("path") == "/contact") & (pl.col("luck") < 0.45)).select(
        "visit",
        "url",
        ts=_after(5),
        kind=pl.lit("event"),
        category=pl.lit("Form"),
        action=pl.lit("contact_sent"),
        goal=GOALS[1].id,
    )
    events = [_cut(rows.drop("goal", strict=False), 1) for rows in (downloads, films, errors, forms)]
    once = downloads.unique("visit", keep="first", maintain_order=True)
    goals = [rows.select("visit", "url", "ts", "goal", kind=pl.lit("goal")) for rows in (once, forms)]
    return [*events, *(_cut(rows, 2) for rows in goals)]


def _sign_ups(views: pl.DataFrame) -> list[pl.DataFrame]:
    signed = (
        views.filter((pl.col("path") == "/newsletter") & (pl.col("luck") < 0.35))
        .unique("visit", keep="first", maintain_order=True)
        .select("visit", ts=_after(5), url=pl.lit(site.SITE_URL + site.THANKS), title=pl.lit("Thanks"))
    )
    goal = signed.drop("title").with_columns(kind=pl.lit("goal"), goal=GOALS[0].id, revenue=GOALS[0].revenue)
    return [_cut(signed.with_columns(kind=pl.lit("page")), 0), _cut(goal, 2)]


def _shopping(views: pl.DataFrame, rng: np.random.Generator) -> list[pl.DataFrame]:
    """One order or one cart left behind a visit, at its last look at a product."""
    looks = views.filter(pl.col("path").str.starts_with("/shop/")).unique("visit", keep="last", maintain_order=True)
    n, prices = looks.height, np.array([price for _, price in site.PRODUCTS])
    many = rng.integers(0, 3, (n, len(prices)))
    many[:, 0] += many.sum(axis=1) == 0
    subtotal = np.round((many * prices).sum(axis=1), 2)
    tax = np.round(subtotal * site.TAX, 2)
    discount = np.where(rng.random(n) < 0.15, site.DISCOUNT, 0.0)
    bought = looks.select("visit", "ts", "luck", "amount").with_columns(
        pl.Series("items", many.sum(axis=1)),
        pl.Series("subtotal", subtotal),
        pl.Series("tax", tax),
        pl.Series("discount", discount),
        shipping=pl.lit(site.SHIPPING),
        ts=_after(5),
    )
    paid = pl.col("subtotal") + pl.col("tax") + pl.col("shipping") - pl.col("discount")
    orders = bought.filter(pl.col("luck") < 0.35).with_columns(kind=pl.lit("order"), revenue=paid.round(2))
    orders = orders.sort("ts", "visit").with_columns(
        order_id=pl.format("ORD-{}", pl.int_range(1_000, 1_000 + pl.len()))
    )
    carts = bought.filter(pl.col("luck").is_between(0.35, 0.55, closed="left")).select(
        "visit", "ts", "items", kind=pl.lit("cart"), revenue=pl.col("subtotal")
    )
    return [_cut(orders, 3), _cut(carts, 3)]
