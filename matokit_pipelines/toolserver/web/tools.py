"""The thirteen readers as tools, in the order in which the predecessor published them.

Not here: what they do (key_numbers.py, lists.py, channels.py, events.py, goals.py, ecommerce.py).
"""

from __future__ import annotations

from typing import Any

from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.tools import Answer, Tool
from matokit_pipelines.toolserver.web import results
from matokit_pipelines.toolserver.web.channels import get_traffic_channels
from matokit_pipelines.toolserver.web.ecommerce import get_ecommerce_overview, get_ecommerce_revenue
from matokit_pipelines.toolserver.web.events import get_events
from matokit_pipelines.toolserver.web.goals import get_goal_conversions
from matokit_pipelines.toolserver.web.key_numbers import get_key_numbers, get_key_numbers_historical
from matokit_pipelines.toolserver.web.lists import answer_rows
from matokit_pipelines.toolserver.web.parameters import (
    ChannelParameters,
    EventParameters,
    GoalParameters,
    HistoricalParameters,
    ListParameters,
    RevenueParameters,
    WebParameters,
)
from matokit_pipelines.toolserver.web.reports import (
    CAMPAIGNS,
    DEVICE_TYPES,
    ENTRY_PAGES,
    EVENT_CATEGORIES,
    PAGE_URLS,
    REFERRERS,
    RowReport,
)


def _rows(report: RowReport) -> Any:
    def answer(kit: Kit, parameters: ListParameters) -> Answer:
        return answer_rows(kit, parameters, report)

    return answer


WEB_TOOLS: tuple[Tool[Any], ...] = (
    Tool(
        "GetKeyNumbers", "/tools/get-key-numbers", "web",
        "How much a website was used: visits, unique visitors, actions, page views, bounce rate and time on site, as "
        'one set of figures for the whole span. Answers "how many visits had we yesterday, last week, this month?". '
        "Default: today at the default site. The numbers are Matomo's, of visits to that site.",
        WebParameters, results.KeyNumbers, get_key_numbers, "keyNumbers",
    ),
    Tool(
        "GetKeyNumbersHistorical", "/tools/get-key-numbers-historical", "web",
        "How the use of a website went over time: visits, visitors, actions, page views, bounce rate and time on site, "
        'one row for each day, week, month or year. Answers "how did traffic develop?". Default: the last 7 days at '
        "the default site. A period without any visit has nb_visits 0; one that Matomo may not have counted has null.",
        HistoricalParameters, list[results.HistoricalKeyNumbers], get_key_numbers_historical, "keyNumbersHistorical",
    ),
    Tool(
        "GetMostPopularUrls", "/tools/get-most-popular-urls", "web",
        "The most viewed pages of a website, by visits that viewed them, with page views and seconds spent. Answers "
        '"which are our top pages?", and with compare=previous "which pages gained or lost?". Default: the first 10 of '
        "today at the default site.",
        ListParameters, list[results.PageRow], _rows(PAGE_URLS), "popularUrls",
    ),
    Tool(
        "GetTopReferrers", "/tools/get-top-referrers", "web",
        "Where the visits of a website came from, by name: websites, search keywords, campaigns and social networks, "
        'with visits, actions and converted visits. Answers "who sends us visitors?". Default: the first 10 of today '
        "at the default site. For the kinds of sources in sum use GetTrafficChannels.",
        ListParameters, list[results.ReferrerRow], _rows(REFERRERS), "topReferrers",
    ),
    Tool(
        "GetEntryPages", "/tools/get-entry-pages", "web",
        "The pages on which visits of a website began, by visits begun there, with bounces, exits, page views, times. "
        'Answers "where do people land, and do they stay?". Default: the first 10 of today at the default site.',
        ListParameters, list[results.EntryRow], _rows(ENTRY_PAGES), "entryPages",
    ),
    Tool(
        "GetCampaigns", "/tools/get-campaigns", "web",
        "The campaigns that brought visits to a website, by visits, with actions, converted visits and revenue in the "
        'site\'s currency. Answers "which campaign works?". Default: the first 10 of today at the default site.',
        ListParameters, list[results.CampaignRow], _rows(CAMPAIGNS), "campaigns",
    ),
    Tool(
        "GetEcommerceOverview", "/tools/get-ecommerce-overview", "web",
        "The orders of a shop: number, revenue with tax, shipping and discount, items, and the share of visits that "
        'ordered, as one set of figures. Answers "how much did we sell?". Default: today at the default site. Amounts '
        "are in the site's currency.",
        WebParameters, results.Ecommerce, get_ecommerce_overview, "ecommerceOverview",
    ),
    Tool(
        "GetEcommerceRevenue", "/tools/get-ecommerce-revenue", "web",
        "Revenue of a shop in total, and one entry for each period when the question is about several. Answers \"how "
        'did revenue develop?". Default: today at the default site; entries only where there is more than one period. '
        "Amounts are in the site's currency.",
        RevenueParameters, results.EcommerceRevenue, get_ecommerce_revenue, "ecommerceRevenueTotals",
    ),
    Tool(
        "GetTrafficChannels", "/tools/get-traffic-channels", "web",
        "By which kinds of ways visits came to a website: direct, search engines, websites, campaigns, social "
        'networks, with actions, converted visits and bounce rate. Answers "how much of our traffic is search?". '
        "Default: every channel, today, at the default site. For names use GetTopReferrers.",
        ChannelParameters, list[results.ChannelRow], get_traffic_channels, "trafficChannels",
    ),
    Tool(
        "GetGoalConversions", "/tools/get-goal-conversions", "web",
        "Conversions of each goal of a website, orders among them where it has a shop, with converted visits and "
        'revenue. Answers "how many signed up?". Default: the first 10 goals of today at the default site, the most '
        "converted first.",
        GoalParameters, list[results.GoalRow], get_goal_conversions, "goalConversions",
    ),
    Tool(
        "GetEvents", "/tools/get-events", "web",
        "The custom events of a website by two of category, action and name, with counts and values; without a filter "
        'by action and name. Answers "how often was the video played?". Default: the first 10 of today at the default '
        "site. One category, action and name together are answered only where the site's events themselves are read.",
        EventParameters, list[results.EventRow], get_events, "events",
    ),
    Tool(
        "GetEventCategories", "/tools/get-event-categories", "web",
        "The categories of a website's custom events, by number of events, with the values that were sent. Answers "
        '"what kinds of events do we have?". Default: the first 10 of today at the default site.',
        ListParameters, list[results.EventCategoryRow], _rows(EVENT_CATEGORIES), "eventCategories",
    ),
    Tool(
        "GetDeviceTypes", "/tools/get-device-types", "web",
        "The types of devices that a website was visited with (desktop, smartphone, tablet, ...), by visits, with "
        'actions, converted visits and bounce rate. Answers "how many come by phone?". Default: the first 10 of today '
        "at the default site.",
        ListParameters, list[results.DeviceRow], _rows(DEVICE_TYPES), "deviceTypes",
    ),
)  # fmt: skip
