"""What the readers are asked with. Not here: what dates mean (dates.py)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from matokit_pipelines.toolserver.parameters import Flag, Parameters, SiteId, Whole
from matokit_pipelines.toolserver.web.dates import FORMS, MOST_PARTS

MOST_ROWS = 1_000


def _as_text(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_as_text), StringConstraints(strip_whitespace=True, min_length=1)]


class WebParameters(Parameters):
    """What every reader takes."""

    siteId: SiteId | None = Field(
        None,
        description="Number of the Matomo site (digits), or the name of a configured site; default: the default site.",
        json_schema_extra={"published": "integer"},
    )
    period: Literal["day", "week", "month", "year", "range"] = Field(
        "day", description="Length of one period: day, week (Monday to Sunday), month, year, or range; default: day."
    )
    date: Text = Field(
        "today",
        description=f"Which period, or which several, in the zone of the site: {FORMS}; default: today. A list of "
        f"periods (lastN, previousN, A,B; {MOST_PARTS} at most) is answered as one sum.",
    )
    segment: Text | None = Field(
        None,
        description="Matomo segment, for example deviceType==smartphone; default: all visits. Is asked live, which may "
        "take long the first time.",
    )
    fresh: Flag = Field(
        False, description="true asks Matomo now instead of the tables, which is slower; default: false."
    )
    compare: Literal["previous"] | None = Field(
        None,
        description='"previous" adds the figures of the span of equal length just before, and the differences; '
        "default: no comparison.",
    )


class ListParameters(WebParameters):
    """What every reader of rows takes."""

    limit: Whole = Field(10, ge=1, le=MOST_ROWS, description=f"Rows at most, 1 to {MOST_ROWS}; default: 10.")


class HistoricalParameters(WebParameters):
    """Parameters of the series of key numbers."""

    date: Text = Field(
        "last7",
        description=f"Which periods, in the zone of the site: {FORMS}; default: last7. One row for each of them, "
        f"{MOST_PARTS} at most.",
    )


class RevenueParameters(WebParameters):
    """Parameters of the ecommerce totals."""

    includeSeries: Flag | None = Field(
        None,
        description="true adds one entry a period, false leaves them out; default: entries where there is more than "
        "one period.",
    )


class ChannelParameters(ListParameters):
    """Parameters of the traffic channels."""

    channelType: Text | None = Field(
        None,
        description="Only this channel: direct, search, websites (or referral), campaigns, social; default: all.",
    )


class GoalParameters(ListParameters):
    """Parameters of the goals."""

    goalId: Text | None = Field(
        None,
        description="Only this goal: its number, ecommerceOrder, or ecommerceAbandonedCart; default: every goal, and "
        "orders where the site has ecommerce.",
    )
    goalType: Text | None = Field(
        None,
        description="Only goals of this type: manual, url, title, file, external_website, event_category, "
        "event_action, event_name, ecommerce, or ecommerce_cart; default: every type.",
    )


class EventParameters(ListParameters):
    """Parameters of the events."""

    category: Text | None = Field(None, description="Only events of this category, in any case; default: all.")
    action: Text | None = Field(None, description="Only events of this action, in any case; default: all.")
    name: Text | None = Field(
        None,
        description="Only events of this name, in any case; default: all. Category, action and name together can be "
        "answered only where the events of the site themselves are read.",
    )
