"""What the readers answer, as models: for the published schemas, and for the test that holds every answer to them.

Further keys that Matomo sends pass through. Not here: making answers.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Count = int | float | None


def _count(what: str) -> Any:
    return Field(None, description=what)


class WebAnswer(BaseModel):
    """Base: keys that Matomo sends beside the known ones stay."""

    model_config = ConfigDict(extra="allow")

    as_of: str | None = Field(description="The moment these figures are true of, ISO 8601 in UTC.")


class _Compared(WebAnswer):
    previous: dict[str, Any] | None = Field(
        None, description="The same figures of the span of equal length before (`date` names it); null: not known."
    )
    change: dict[str, Any] | None = Field(
        None, description="Figure less the one before, rates in percentage points; null: not known."
    )
    note: str | None = Field(None, description="What to know about these figures, one sentence.")


class _Row(_Compared):
    label: str = Field(description="What the row is about.")


class KeyNumbers(_Compared):
    """Visits, visitors and actions."""

    nb_visits: Count = Field(description="Visits; null where Matomo may not have archived them yet.")
    nb_uniq_visitors: Count = _count("Unique visitors of the period; not there for sums of several periods.")
    sum_daily_nb_uniq_visitors: Count = _count("Sum of the unique visitors of each day, who are not distinct persons.")
    nb_actions: Count = _count("Actions: page views, downloads, outlinks, searches, events.")
    nb_users: Count = _count("Users who were logged in.")
    nb_visits_converted: Count = _count("Visits with a conversion of any goal.")
    sum_visit_length: Count = _count("Length of all visits, in seconds.")
    max_actions: Count = _count("Actions of the visit that had most.")
    bounce_rate: str | None = Field(None, description='Share of visits with one action only, as "45%".')
    nb_actions_per_visit: Count = _count("Actions a visit, mean.")
    nb_pageviews: Count = _count("Page views.")
    nb_uniq_pageviews: Count = _count("Page views, each page once a visit.")
    bounce_count: Count = _count("Visits with one action only.")
    avg_time_on_site: Count = _count("Length of a visit, mean, in seconds.")


class HistoricalKeyNumbers(KeyNumbers):
    """Key numbers of one period."""

    date: str = Field(description="The period: YYYY-MM-DD, YYYY-MM-DD,YYYY-MM-DD (week, range), YYYY-MM, or YYYY.")


class PageRow(_Row):
    """One page."""

    label: str = Field(description="Path of the page.")
    url: str | None = Field(None, description="Address of the page.")
    nb_hits: Count = _count("Views of the page.")
    nb_visits: Count = _count("Visits that viewed it.")
    nb_uniq_visitors: Count = _count("Unique visitors of the period who viewed it; days only.")
    sum_time_spent: Count = _count("Time spent on it, in seconds.")


class EntryRow(PageRow):
    """One page that visits began on."""

    entry_nb_uniq_visitors: Count = _count("Unique visitors who began on it; days only.")
    entry_nb_visits: Count = _count("Visits that began on it.")
    entry_nb_actions: Count = _count("Actions of the visits that began on it.")
    entry_sum_visit_length: Count = _count("Length of the visits that began on it, in seconds.")
    entry_bounce_count: Count = _count("Visits that began on it and had no further action.")
    exit_nb_uniq_visitors: Count = _count("Unique visitors who left from it; days only.")
    exit_nb_visits: Count = _count("Visits that ended on it.")
    avg_page_load_time: Count = _count("Time to load it, mean, in seconds.")
    avg_time_on_page: Count = _count("Time spent on it a view, mean, in seconds.")
    bounce_rate: str | None = Field(None, description='Share of the visits begun on it that bounced, as "45%".')
    exit_rate: str | None = Field(None, description='Share of its visits that ended on it, as "45%".')


class ReferrerRow(_Row):
    """One place that visits came from."""

    label: str = Field(description="Name of the search engine's keyword, website, campaign or social network.")
    nb_visits: Count = _count("Visits.")
    nb_actions: Count = _count("Actions of these visits.")
    nb_visits_converted: Count = _count("Visits with a conversion of any goal.")
    referrer_type: Count = _count("1 direct, 2 search, 3 website, 6 campaign, 7 social network.")
    currency: str | None = Field(None, description="Currency of revenue.")


class ChannelRow(ReferrerRow):
    """One channel."""

    label: str = Field(description="Name of the channel, in the language of the Matomo.")
    sum_visit_length: Count = _count("Length of these visits, in seconds.")
    nb_hits: Count = _count("Page views of these visits.")
    bounce_rate: str | None = Field(None, description='Share of these visits with one action only, as "45%".')


class CampaignRow(ReferrerRow):
    """One campaign."""

    label: str = Field(description="Name of the campaign.")
    revenue: Count = _count("Revenue of these visits, in `currency`.")


class DeviceRow(_Row):
    """One type of device."""

    label: str = Field(description="Type of device, in the language of the Matomo.")
    nb_visits: Count = _count("Visits.")
    nb_actions: Count = _count("Actions of these visits.")
    nb_visits_converted: Count = _count("Visits with a conversion of any goal.")
    nb_hits: Count = _count("Page views of these visits.")
    sum_visit_length: Count = _count("Length of these visits, in seconds.")
    avg_time_on_site: Count = _count("Length of a visit, mean, in seconds.")
    max_actions: Count = _count("Actions of the visit that had most.")
    bounce_rate: str | None = Field(None, description='Share of these visits with one action only, as "45%".')


class EventCategoryRow(_Row):
    """One category of events."""

    label: str = Field(description="The category.")
    nb_events: Count = _count("Events.")
    nb_visits: Count = _count("Visits with them, counted once for each category, action and name.")
    nb_actions: Count = _count("Actions of these visits.")
    sum_event_value: Count = _count("Sum of the values, in whatever unit they were sent.")
    nb_events_with_value: Count = _count("Events that were sent with a value.")
    avg_event_value: int | float | str | None = Field(None, description="Mean of the values.")
    min_event_value: Count = _count("Least value.")
    max_event_value: Count = _count("Greatest value.")


class EventRow(EventCategoryRow):
    """Events of two, or all three, of category, action and name."""

    label: str = Field(description="The parts joined by ` - `.")
    category: str | None = Field(None, description="Category, where the row is about one.")
    action: str | None = Field(None, description="Action, where the row is about one.")
    name: str | None = Field(None, description="Name, where the row is about one.")


class _Orders(BaseModel):
    model_config = ConfigDict(extra="allow")

    nb_conversions: Count = _count("Orders.")
    nb_visits: Count = _count("Visits, with and without an order; null where they may not be archived yet.")
    nb_visits_converted: Count = _count("Visits with an order.")
    conversion_rate: str | None = Field(None, description='Share of visits with an order, as "1.2%".')
    revenue: Count = _count("Revenue, in `currency`; null where it may not be archived yet.")
    currency: str | None = Field(None, description="Currency of every amount, such as EUR.")
    revenue_per_visit: Count = _count("Revenue a visit.")
    revenue_per_conversion: Count = _count("Revenue an order.")
    avg_order_revenue: Count = _count("Revenue an order.")
    items: Count = _count("Items ordered.")
    revenue_subtotal: Count = _count("Revenue of the items alone.")
    revenue_tax: Count = _count("Tax.")
    revenue_shipping: Count = _count("Shipping.")
    revenue_discount: Count = _count("Discount.")


class Ecommerce(_Orders, _Compared):
    """The orders of a span."""


class EcommercePeriod(_Orders):
    """The orders of one period."""

    label: str = Field(description="The period, as `date` of the historical key numbers.")


class EcommerceRevenue(_Compared):
    """The orders of a span, and of each of its periods."""

    totals: _Orders = Field(description="Sums over the span.")
    series: list[EcommercePeriod] | None = Field(None, description="One entry a period, in order of time.")


class GoalRow(_Compared):
    """Conversions of one goal."""

    id: str = Field(description="Number of the goal, ecommerceOrder, or ecommerceAbandonedCart.")
    label: str = Field(description="Name of the goal.")
    type: str = Field(description="What converts: manual, url, title, file, event_*, ecommerce, ecommerce_cart.")
    nb_conversions: Count = _count("Conversions.")
    nb_visits_converted: Count = _count("Visits with a conversion of this goal.")
    revenue: Count = _count("Revenue, in `currency`.")
    currency: str | None = Field(None, description="Currency of revenue.")
