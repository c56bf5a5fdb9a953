-- grain: window_days, environment, os_family, os_release; windows end at the last complete day
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
),

event_counts as (
    select
        spread_over.window_days,
        spread_over.first_date,
        spread_over.last_date,
        daily.environment,
        daily.os_family,
        daily.os_release,
        sum(daily.events) as events,
        sum(daily.successes) as successes,
        sum(daily.failures) as failures,
        sum(daily.installations) as installations
    from marts.os_daily as daily
    inner join spread_over on daily.event_date between spread_over.first_date and spread_over.last_date
    group by
        spread_over.window_days, spread_over.first_date, spread_over.last_date, daily.environment, daily.os_family,
        daily.os_release
),

-- a machine is counted on the first of its days in the window, a failing one on the first day on which it failed
machine_counts as (
    select
        spread_over.window_days,
        daily.environment,
        daily.os_family,
        daily.os_release,
        sum(case when coalesce(daily.before_date < spread_over.first_date, true) then daily.machines else 0 end)
            as machines,
        sum(case
            when coalesce(daily.failed_before_date < spread_over.first_date, true) then daily.machines_failing
            else 0
        end) as machines_failing
    from staging.machine_returns as daily
    inner join spread_over on daily.event_date between spread_over.first_date and spread_over.last_date
    where daily.level = 'system'
    group by spread_over.window_days, daily.environment, daily.os_family, daily.os_release
)

select
    event_counts.window_days,
    event_counts.environment,
    event_counts.os_family,
    event_counts.os_release,
    event_counts.events,
    event_counts.successes,
    event_counts.failures,
    rate(event_counts.successes, event_counts.events) as success_rate,
    wilson_low(event_counts.successes, event_counts.events) as success_rate_low,
    wilson_high(event_counts.successes, event_counts.events) as success_rate_high,
    coalesce(machine_counts.machines, 0) as machines,
    coalesce(machine_counts.machines_failing, 0) as machines_failing,
    event_counts.installations,
    event_counts.first_date,
    event_counts.last_date
from event_counts
left join machine_counts
    on machine_counts.window_days = event_counts.window_days
    and machine_counts.environment = event_counts.environment
    and machine_counts.os_family = event_counts.os_family
    and machine_counts.os_release = event_counts.os_release
