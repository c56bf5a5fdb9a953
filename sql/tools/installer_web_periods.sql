-- grain: source; how sure the days of the web reports are in a span, and when all that was due had been read
with days as (
    select
        source,
        count(*) as kept_days,
        count(*) filter (where state = 'final') as final_days,
        count(*) filter (where state = 'provisional') as provisional_days,
        count(*) filter (where state = 'unknown') as unknown_days,
        max(period_end) filter (where state <> 'unknown') as last_day,
        max(as_of) as asked_at
    from web_periods
    where period = 'day'
        and period_start between $first and $last
    group by source
)

select
    coalesce(days.source, web_sites.source) as source,
    coalesce(days.kept_days, 0) as kept_days,
    coalesce(days.final_days, 0) as final_days,
    coalesce(days.provisional_days, 0) as provisional_days,
    coalesce(days.unknown_days, 0) as unknown_days,
    days.last_day,
    days.asked_at,
    web_sites.zone,
    web_sites.first_day,
    web_sites.as_of as read_at
from days
full join web_sites on web_sites.source = days.source
order by coalesce(days.source, web_sites.source)
