-- grain: window_days, environment, component, error_type, os_family, os_release, architecture; failures only; windows
-- end at the last complete day
with spread_over as (
    select
        lengths.window_days,
        product_day.last_complete_day - lengths.window_days + 1 as first_date,
        product_day.last_complete_day as last_date
    from staging.product_day as product_day
    cross join (
        select 1 as window_days
        union all
        select 7 as window_days
        union all
        select 30 as window_days
        union all
        select 90 as window_days
    ) as lengths
    where product_day.last_complete_day is not null
)

select
    spread_over.window_days,
    daily.environment,
    daily.component,
    coalesce(daily.error_type, 'not_reported') as error_type,
    daily.os_family,
    daily.os_release,
    daily.architecture,
    sum(daily.events) as failures,
    spread_over.first_date,
    spread_over.last_date
from staging.events_daily as daily
inner join spread_over on daily.event_date between spread_over.first_date and spread_over.last_date
where daily.counted
    and daily.outcome = 'failure'
group by
    spread_over.window_days, spread_over.first_date, spread_over.last_date, daily.environment, daily.component,
    coalesce(daily.error_type, 'not_reported'), daily.os_family, daily.os_release, daily.architecture
