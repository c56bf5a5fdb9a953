-- grain: window_days, environment, component, error_type; failures only; windows end at the last complete day
with windows as (
    select
        last_complete_day as last_date,
        last_complete_day - 6 as first_of_7,
        last_complete_day - 29 as first_of_30,
        last_complete_day - 89 as first_of_90
    from staging.product_day
    where last_complete_day is not null
),

spread_over as (
    select 1 as window_days, last_date as first_date, last_date from windows
    union all
    select 7 as window_days, first_of_7 as first_date, last_date from windows
    union all
    select 30 as window_days, first_of_30 as first_date, last_date from windows
    union all
    select 90 as window_days, first_of_90 as first_date, last_date from windows
)

select
    spread_over.window_days,
    daily.environment,
    daily.component,
    daily.error_type,
    sum(daily.failures) as failures,
    daily.often_harmless,
    spread_over.first_date,
    spread_over.last_date
from marts.error_daily as daily
inner join spread_over on daily.event_date between spread_over.first_date and spread_over.last_date
group by
    spread_over.window_days, spread_over.first_date, spread_over.last_date, daily.environment, daily.component,
    daily.error_type, daily.often_harmless
