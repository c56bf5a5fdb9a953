"""How the tool server differs from its predecessor, each difference once: what it did, what ours does, why.

`docs/opal-differences.md` is made of this list by `python -m tests.opal_differences`, and the contract tests say of
each recorded answer which of these differences it shows. Belongs here: the list and its page. Not here: the answers.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

READERS = "all readers"
LISTS = "readers of rows"


@dataclass(frozen=True)
class Difference:
    """One difference. `where`: the endpoint, or a group of them. fix: the predecessor was wrong; add: new."""

    name: str
    where: str
    kind: Literal["fix", "add"]
    before: str
    ours: str
    why: str


_ALL = (
    # -- readers together
    Difference(
        "as_of",
        READERS,
        "add",
        "Nothing said of when the figures were true.",
        "Every object and every row ends with `as_of`, ISO 8601 in UTC.",
        "Answers come from tables as well as from Matomo; a reader has to know how old they are.",
    ),
    Difference(
        "tables",
        READERS,
        "add",
        "Every call went to Matomo.",
        "Answered from the published tables where they hold every period needed; `fresh: true`, a segment, and "
        "what the tables do not hold go to Matomo.",
        "Tables answer in milliseconds, whatever Matomo does at that moment.",
    ),
    Difference(
        "compare",
        READERS,
        "add",
        "No comparison.",
        '`compare: "previous"` adds `previous` and `change`: the span of equal length before, differences, '
        "rates in percentage points. A label that was not there before has zeros when all rows of then are known, "
        "else null.",
        "Most questions about figures are about what changed; one call answers them.",
    ),
    Difference(
        "bad_argument",
        READERS,
        "fix",
        "500, or silence: a `siteId` in words meant the default site.",
        "400 with `error`, `type` and `guidance`, for a site, period, date, limit or channel that cannot be.",
        "A model corrects what it is told; an answer about another site is worse than none.",
    ),
    Difference(
        "dates",
        READERS,
        "fix",
        "`today`, `last7` and the like were sent on as they were.",
        "Made absolute in the zone of the site before anything is asked. `YYYY-MM` is that month. A date in the "
        "future is a 400 that names today's date.",
        "Relative dates mean different days in different parts of Matomo.",
    ),
    Difference(
        "not_archived",
        READERS,
        "fix",
        "A zero was passed on.",
        "A zero of Matomo is held against its log of visits. Proven: 0. Not proven: the figure is null and "
        "`note` says why (objects, rows of a series), or the call fails with 503 (lists, goals).",
        "Matomo answers zeros for what it has not archived yet; a false zero is believed.",
    ),
    Difference(
        "token",
        READERS,
        "fix",
        "The token went in the address.",
        "It goes in the body of a POST.",
        "Addresses reach logs, and Matomo refuses secure-only tokens in them.",
    ),
    Difference(
        "limit",
        LISTS,
        "fix",
        "Leading digits were read, zero and negative values were sent on.",
        "A whole number from 1 to 1000, also as text; else 400.",
        "A limit that is not understood is no limit.",
    ),
    Difference(
        "span_of_rows",
        LISTS,
        "fix",
        "Several periods gave 500 with the words of a validator.",
        "One list over the whole span: rows of one label added up, rates made again, ranked anew. Matomo's row "
        "`Others` is no label.",
        "A list of several days is one question.",
    ),
    Difference(
        "unique_sums",
        READERS,
        "fix",
        "-",
        "Unique visitors of several periods are left out; their sum is there as `sum_daily_nb_uniq_visitors` "
        "(`sum_weekly_…`, `sum_monthly_…`).",
        "A person who comes on two days is one visitor; the sum may not pass for that.",
    ),
    Difference(
        "rates",
        LISTS,
        "fix",
        "Rows had a `bounce_count` and no `bounce_rate`; a rate as a bare number failed.",
        '`bounce_rate` of channels and device types is computed; every rate is text such as "45%".',
        "The field was promised.",
    ),
    Difference(
        "labels", LISTS, "fix", "A label that came as a number failed.", "It is text.", "A page may be called 2026."
    ),
    Difference(
        "currency",
        "readers with revenue",
        "add",
        "An amount without its currency.",
        "`currency` stands beside every `revenue`; the number stays.",
        "A model invents a currency otherwise.",
    ),
    Difference(
        "entry_order",
        "/tools/get-entry-pages",
        "fix",
        "Ranked, and cut to the limit, by all visits that saw a page.",
        "By the visits that began on it.",
        "It is called entry pages.",
    ),
    # -- key numbers
    Difference(
        "key_numbers_span",
        "/tools/get-key-numbers",
        "fix",
        "Several periods gave `nb_visits: 0` with the real figures as stray keys.",
        "One set of figures for the whole span.",
        "The tool promises one set of figures.",
    ),
    Difference(
        "historical_single",
        "/tools/get-key-numbers-historical",
        "fix",
        "One date gave one row for each name of a figure.",
        "One row.",
        "It was nonsense.",
    ),
    Difference(
        "historical_views",
        "/tools/get-key-numbers-historical",
        "add",
        "No page views.",
        "`nb_pageviews` and `nb_uniq_pageviews` in each row.",
        "They belong to the key numbers.",
    ),
    # -- referrers
    Difference(
        "referrers_by_name",
        "/tools/get-top-referrers",
        "fix",
        "Listed the types of referrers, as the traffic channels did.",
        "Lists referrers by name (`Referrers.getAll`); `referrer_type` tells of which type each is.",
        "It is called top referrers.",
    ),
    Difference(
        "channel_number",
        "/tools/get-traffic-channels",
        "fix",
        "`channelType` was held against English labels, after the limit.",
        "Held against Matomo's number of the channel, before the limit.",
        "Labels come in the language of the Matomo.",
    ),
    Difference(
        "channel_unknown",
        "/tools/get-traffic-channels",
        "fix",
        "An unknown channel gave `[]`.",
        "400 that names the channels.",
        "`[]` reads as no traffic.",
    ),
    # -- ecommerce
    Difference(
        "overview_span",
        "/tools/get-ecommerce-overview",
        "fix",
        "Of several periods the first was answered.",
        "The whole span.",
        "A wrong figure without a sign of it.",
    ),
    Difference(
        "ecommerce_visits",
        "/tools/get-ecommerce-overview, /tools/get-ecommerce-revenue",
        "add",
        "No number of visits.",
        "`nb_visits`, and `revenue_per_visit` and `conversion_rate` made of it.",
        "Rates over several periods need it.",
    ),
    Difference(
        "totals_per_visit",
        "/tools/get-ecommerce-revenue",
        "fix",
        "`revenue_per_visit` was summed over periods.",
        "Revenue over visits of the span.",
        "A sum of rates is no rate.",
    ),
    Difference(
        "series_false",
        "/tools/get-ecommerce-revenue",
        "fix",
        "`includeSeries: false` gave a series all the same where there were several periods.",
        "No series.",
        "It was asked for.",
    ),
    Difference(
        "series_empty",
        "/tools/get-ecommerce-revenue",
        "fix",
        "A period without an order was left out.",
        "It has an entry, with `revenue` 0.",
        "A gap is taken for missing data.",
    ),
    Difference(
        "series_single",
        "/tools/get-ecommerce-revenue",
        "fix",
        "One date with the flag gave `[]`.",
        "One entry.",
        "It was asked for.",
    ),
    # -- goals
    Difference(
        "goals_each",
        "/tools/get-goal-conversions",
        "fix",
        "Failed on every real Matomo, which answers one sum of all goals.",
        "Goals are listed and asked one by one, orders too where the site has ecommerce.",
        "It never worked.",
    ),
    Difference(
        "goal_filter",
        "/tools/get-goal-conversions",
        "fix",
        "`goalId` was sent on and the whole list came back.",
        "Only that goal; a goal that is not there is a 400 that names those that are.",
        "It was asked for.",
    ),
    Difference(
        "goal_order_label",
        "/tools/get-goal-conversions",
        "fix",
        "Orders were labelled as the answer said.",
        "`Ecommerce Order`, `Abandoned Cart`.",
        "Matomo gives these two no name.",
    ),
    # -- events
    Difference(
        "events_filters",
        "/tools/get-events",
        "fix",
        "Category, action and name went to Matomo, which ignored them: all events came back.",
        "Rows are chosen by two of the three. All three are answered where the site's events themselves are "
        "read, else 400.",
        "Matomo's reports join two of the three.",
    ),
    Difference(
        "event_parts",
        "/tools/get-events",
        "add",
        "The label alone.",
        "`category`, `action` and `name` beside it.",
        "A label joined with a dash cannot be taken apart for certain.",
    ),
    Difference(
        "event_categories",
        "/tools/get-event-categories",
        "fix",
        "Gave pairs of category and name on a real Matomo.",
        "Categories.",
        "It is called event categories.",
    ),
)
# Shown by the tests of what they are about.
_OTHER_ENDPOINTS = (
    Difference(
        "gate",
        "every call",
        "fix",
        "Only `/tools/` was gated, so `/track/` stood open.",
        "Everything is gated but the discovery document and the probes.",
        "Anybody could write to Matomo.",
    ),
    Difference(
        "errors",
        "every call",
        "fix",
        "500 for nearly everything, the guidance left out.",
        "A status by category; every error has `error`, `type` and `guidance`.",
        "Who calls must know whether to correct, to wait, or to tell the operator.",
    ),
    Difference(
        "not_json",
        "every call",
        "fix",
        "400 as a page, 404 as a page, a list taken for no parameters.",
        "400 and 404 as JSON; `parameters: null` is none, a list is refused.",
        "A model reads no pages.",
    ),
    Difference(
        "upstream_401",
        "every call",
        "fix",
        "A missing right was told as a failed log-in.",
        "After a 401 one more question tells which it is: permission (403) or a bad token (502). A refused token "
        "is not sent again for a while.",
        "Matomo answers both alike, and locks an address out after some twenty failed log-ins.",
    ),
    Difference(
        "upstream_rate",
        "every call",
        "fix",
        "Any message with the letters `rate` was a rate limit.",
        "By status 429, or the words themselves: 503 with `Retry-After`.",
        '"could not be generated" is none.',
    ),
    Difference(
        "time",
        "every call",
        "fix",
        "No time-outs.",
        "A call is answered or given up within `[toolserver] call_seconds`.",
        "A Matomo that hangs must not hang an agent.",
    ),
    Difference(
        "logs",
        "every call",
        "fix",
        "The log held the token, every body and every answer.",
        "Structured lines without any of them.",
        "Logs are read by many.",
    ),
    Difference(
        "cache",
        "every reader",
        "fix",
        "Unbounded, keyed by arguments as sent, made once for each who waited; key numbers never cached.",
        "Bounded, keyed by what the arguments mean and by the tables, made once for all who wait; key numbers too.",
        "An answer made twice costs twice, one that is kept too long is wrong.",
    ),
    Difference(
        "tracking_off",
        "/track/*",
        "fix",
        "Always on.",
        "Off until `[toolserver] tracking` is on, and only then in the discovery document.",
        "Writing is the operator's choice.",
    ),
    Difference(
        "tracking_400",
        "/track/*",
        "fix",
        "A missing value was a 500; fractions, future times and odd visitor ids went through.",
        "400; an amount keeps its fraction, a page view id has six characters.",
        "What Matomo drops or cuts is better refused.",
    ),
    Difference(
        "tracking_queue",
        "/track/*",
        "fix",
        "One queue in memory, which stood still while it waited; anything was tried three times.",
        "Kept on disk until it is sent, in order of each visitor; 202 with `queued: true` while Matomo cannot be "
        "reached; a refusal is not repeated.",
        "A restart lost hits, and one bad hit held up all.",
    ),
    Difference(
        "tracking_key",
        "/track/*",
        "add",
        "A finished page view id was never sent again, for good.",
        "`idempotencyKey` says that two calls are one hit, and is forgotten after a while.",
        "Only the caller knows.",
    ),
    Difference(
        "health_fail",
        "/tools/get-health-status",
        "fix",
        "`fail` could not be reached; a new server was degraded.",
        "Thresholds as documented, after enough look-ups.",
        "A probe that cannot fail is none.",
    ),
    Difference(
        "health_get",
        "/tools/get-health-status",
        "fix",
        "GET was promised and gave 404.",
        "GET and POST.",
        "Monitors use GET.",
    ),
    Difference(
        "health_version",
        "/tools/get-health-status, /tools/diagnose-matomo",
        "fix",
        "Asked for a method that Matomo does not have, so every real one was unhealthy.",
        "`API.getMatomoVersion`, and `SitesManager.getSitesIdWithAtLeastViewAccess` for the token.",
        "It blamed the address.",
    ),
    Difference(
        "health_more",
        "/tools/get-health-status, /tools/diagnose-matomo",
        "add",
        "Matomo only.",
        "Piwik PRO, the tables and their age, the true depth of the queue, the limits that Matomo tells.",
        "They fail too.",
    ),
)
DIFFERENCES = {difference.name: difference for difference in _ALL}
_HEAD = """# Where the answers differ from the predecessor's

Names, addresses, parameters, fields and their types are the predecessor's, and so are the answers, but for what stands
here. *fix*: the predecessor was wrong. *add*: something more. Each line about the readers is shown by a test beside the
recorded answers of the predecessor, which are in `tests/fixtures/opal`; this page is made of the same list
(`tests/opal_differences.py`).

## The readers

"""
_TABLE = """\
| where | | predecessor | ours | why |
|---|---|---|---|---|
"""
_OTHERS = """
## Everything else

"""
_DECIDED = """
## What was decided where the recordings say nothing

- **What may not be archived.** A figure that Matomo gives as zero, and that its log of visits does not confirm, is
  null, with a sentence in `note`; a sum over periods of which one is unknown is null as a whole. In a series that
  is one row. A list has no place for a note, so an empty list that is not confirmed is a 503. The log is asked once
  for each run of neighbouring empty periods, at most thirty at a time; what is beyond stays unknown.
- **From tables or live.** Days, weeks and months of all visits come from the tables when each period asked for is
  there and is `final` or `provisional`. A range or a year comes from its days, when all of them are there.
  Everything else goes to Matomo. A row that the tables cut away could matter (only the first rows of a report are
  kept, `[web_reports] rows`): then the list is asked live too, and not before.
- **A list over several periods** is one range for Matomo, which adds up all rows; periods of their own would be
  cut.
- **Entry pages over several periods** come from the tables with what began there. Views, time and exits are left out of
  a page on which in some period no visit began: Matomo's report of that period does not have it.
- **Sums of unique visitors** are named after what was summed. A range that is asked live has none: Matomo gives
  none.
- **An average without events** is left out of sums, where Matomo's own range may say 0.
- **Previous.** As many periods before, for a range as many days. When the span is not over, `note` says so.
- **Abandoned carts** are listed only when asked for (`goalId: ecommerceAbandonedCart` or `goalType:
  ecommerce_cart`).
- **All three of category, action and name** are counted in days of the project; where the site's zone is another
  one, `days_in` names that of the project.
"""


def document() -> str:
    """The page."""
    return _HEAD + _TABLE + _rows(_ALL) + _OTHERS + _TABLE + _rows(_OTHER_ENDPOINTS) + _DECIDED


def _rows(differences: tuple[Difference, ...]) -> str:
    return "".join(
        f"| {_cell(one.where)} | {one.kind} | {_cell(one.before)} | {_cell(one.ours)} | {_cell(one.why)} |\n"
        for one in differences
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(document())
