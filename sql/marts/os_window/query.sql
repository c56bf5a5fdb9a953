-- grain: window_days, environment, os_family, os_release; windows end at the last complete day
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

-- the days of the longest window with their numbers, 0 to 89
days as (
    select
        daily.event_date,
        cast(date_diff('day', windows.first_of_90, daily.event_date) as integer) as day_number
    from marts.os_daily as daily
    inner join windows on daily.event_date between windows.first_of_90 and windows.last_date
    group by daily.event_date, windows.first_of_90
),

machines as (
    select
        machine_day.environment,
        machine_day.os_family,
        machine_day.os_release,
        machine_day.machine_key,
        max(days.day_number) as last_day,
        max(case when machine_day.failures > 0 then days.day_number end) as last_failing_day
    from staging.machine_days as machine_day
    inner join days on days.event_date = machine_day.event_date
    where machine_day.tries > 0
    group by machine_day.environment, machine_day.os_family, machine_day.os_release, machine_day.machine_key
),

-- 30, 7 and 1 days begin with the days number 60, 83 and 89
machines_of_all_windows as (
    select
        environment,
        os_family,
        os_release,
        count(*) filter (where last_day >= 89) as machines_1,
        count(*) filter (where last_day >= 83) as machines_7,
        count(*) filter (where last_day >= 60) as machines_30,
        count(*) as machines_90,
        count(*) filter (where last_failing_day >= 89) as failing_1,
        count(*) filter (where last_failing_day >= 83) as failing_7,
        count(*) filter (where last_failing_day >= 60) as failing_30,
        count(*) filter (where last_failing_day >= 0) as failing_90
    from machines
    group by environment, os_family, os_release
),

machine_counts as (
    select
        spread_over.window_days,
        counted.environment,
        counted.os_family,
        counted.os_release,
        case spread_over.window_days
            when 1 then machines_1 when 7 then machines_7 when 30 then machines_30 else machines_90
        end as machines,
        case spread_over.window_days
            when 1 then failing_1 when 7 then failing_7 when 30 then failing_30 else failing_90
        end as machines_failing
    from machines_of_all_windows as counted
    cross join spread_over
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
