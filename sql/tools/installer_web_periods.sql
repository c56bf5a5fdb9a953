-- grain: source; how sure the days of the web reports are in a span
select
    source,
    count(*) filter (where state = 'final') as final_days,
    count(*) filter (where state = 'provisional') as provisional_days,
    count(*) filter (where state = 'unknown') as unknown_days,
    max(period_end) filter (where state <> 'unknown') as last_day,
    max(as_of) as asked_at
from web_periods
where period = 'day'
    and period_start between $first and $last
group by source
order by source
