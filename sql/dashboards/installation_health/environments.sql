-- 1.4 Environment Distribution: counted events by environment, all environments that have any, most events first,
-- ties by name; the value stands at its bar. Default: 30 days.
with period as (
    select
        last_complete_day - cast($days as integer) + 1 as first_day,
        last_complete_day as last_day
    from marts.project_day
)

select
    daily.environment,
    cast(sum(daily.events) as bigint) as events,
    cast(sum(daily.installations) as bigint) as installations
from marts.success_rate_daily as daily
inner join period on daily.event_date between period.first_day and period.last_day
group by daily.environment
having sum(daily.events) > 0
order by events desc, daily.environment
