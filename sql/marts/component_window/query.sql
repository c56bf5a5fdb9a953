-- grain: window_days, environment, architecture (or all), component (or all); windows end at the last complete day
with windows as (
    select
        last_complete_day as last_date,
        last_complete_day - 6 as first_of_7,
        last_complete_day - 29 as first_of_30,
        last_complete_day - 89 as first_of_90
    from staging.product_day
    where last_complete_day is not null
),

-- one row each, so that nothing below is read once a window
spread_over as (
    select 1 as window_days, last_date as first_date, last_date from windows
    union all
    select 7 as window_days, first_of_7 as first_date, last_date from windows
    union all
    select 30 as window_days, first_of_30 as first_date, last_date from windows
    union all
    select 90 as window_days, first_of_90 as first_date, last_date from windows
),

-- what days add up to; a machine that came on several days is in it several times
day_sums as (
    select
        spread_over.window_days,
        daily.environment,
        daily.architecture,
        daily.component,
        sum(daily.events) as events,
        sum(daily.failures) as failures,
        sum(daily.units) as units,
        sum(daily.unit_failures) as unit_failures,
        sum(daily.machines_failing) as machines_failing
    from marts.system_daily as daily
    inner join spread_over on daily.event_date between spread_over.first_date and spread_over.last_date
    group by spread_over.window_days, daily.environment, daily.architecture, daily.component
),

-- the days of the longest window with their numbers, 0 to 89
days as (
    select
        daily.event_date,
        cast(date_diff('day', windows.first_of_90, daily.event_date) as integer) as day_number
    from marts.system_daily as daily
    inner join windows on daily.event_date between windows.first_of_90 and windows.last_date
    group by daily.event_date, windows.first_of_90
),

-- a machine that tried several components is one machine of all of them
machines as (
    select
        machine_day.environment,
        machine_day.architecture,
        machine_day.machine_key,
        min(days.day_number) as first_day,
        max(days.day_number) as last_day,
        max(case when machine_day.failures > 0 then days.day_number end) as last_failing_day
    from staging.machine_days as machine_day
    inner join days on days.event_date = machine_day.event_date
    where machine_day.tries > 0
    group by machine_day.environment, machine_day.architecture, machine_day.machine_key
),

-- 30, 7 and 1 days begin with the days number 60, 83 and 89
machines_of_all_windows as (
    select
        environment,
        architecture,
        count(*) filter (where last_day >= 89) as machines_1,
        count(*) filter (where last_day >= 83) as machines_7,
        count(*) filter (where last_day >= 60) as machines_30,
        count(*) as machines_90,
        count(*) filter (where last_failing_day >= 89) as failing_1,
        count(*) filter (where last_failing_day >= 83) as failing_7,
        count(*) filter (where last_failing_day >= 60) as failing_30,
        count(*) filter (where last_failing_day >= 0) as failing_90
    from machines
    group by environment, architecture
),

machine_counts as (
    select
        spread_over.window_days,
        counted.environment,
        counted.architecture,
        case spread_over.window_days
            when 1 then machines_1 when 7 then machines_7 when 30 then machines_30 else machines_90
        end as machines,
        case spread_over.window_days
            when 1 then failing_1 when 7 then failing_7 when 30 then failing_30 else failing_90
        end as machines_failing
    from machines_of_all_windows as counted
    cross join spread_over
),

-- Only machines that came on several days can be in those sums twice, and they are few. One has one row a day at a
-- component, so twice the number of the day, plus one when the first try of that day failed, is least for the first
-- try of all, and odd when that one failed.
returned as (
    select
        machine_day.environment,
        machine_day.architecture,
        machine_day.component,
        machine_day.machine_key,
        2 * days.day_number + case when machine_day.first_outcome = 'failure' then 1 else 0 end as try_number,
        case when machine_day.failures > 0 then days.day_number end as failing_day
    from staging.machine_days as machine_day
    inner join days on days.event_date = machine_day.event_date
    inner join machines
        on machines.machine_key = machine_day.machine_key
        and machines.environment = machine_day.environment
        and machines.architecture = machine_day.architecture
        and machines.first_day < machines.last_day
    where machine_day.tries > 0
),

returned_units as (
    select
        environment,
        architecture,
        component,
        machine_key,
        count(*) as days_90,
        count(*) filter (where try_number >= 120) as days_30,
        count(*) filter (where try_number >= 166) as days_7,
        min(try_number) as first_try_90,
        min(case when try_number >= 120 then try_number end) as first_try_30,
        min(case when try_number >= 166 then try_number end) as first_try_7,
        count(*) filter (where try_number % 2 = 1) as failed_days_90,
        count(*) filter (where try_number >= 120 and try_number % 2 = 1) as failed_days_30,
        count(*) filter (where try_number >= 166 and try_number % 2 = 1) as failed_days_7,
        count(failing_day) as failing_days_90,
        count(*) filter (where failing_day >= 60) as failing_days_30,
        count(*) filter (where failing_day >= 83) as failing_days_7
    from returned
    group by environment, architecture, component, machine_key
),

-- by how much the sums of days are too high; a single day holds nothing twice
surplus_of_all_windows as (
    select
        environment,
        architecture,
        component,
        sum(days_7) - count(first_try_7) as units_7,
        sum(days_30) - count(first_try_30) as units_30,
        sum(days_90) - count(first_try_90) as units_90,
        sum(failed_days_7) - count(*) filter (where first_try_7 % 2 = 1) as unit_failures_7,
        sum(failed_days_30) - count(*) filter (where first_try_30 % 2 = 1) as unit_failures_30,
        sum(failed_days_90) - count(*) filter (where first_try_90 % 2 = 1) as unit_failures_90,
        sum(failing_days_7) - count(*) filter (where failing_days_7 > 0) as failing_7,
        sum(failing_days_30) - count(*) filter (where failing_days_30 > 0) as failing_30,
        sum(failing_days_90) - count(*) filter (where failing_days_90 > 0) as failing_90
    from returned_units
    group by environment, architecture, component
),

surplus as (
    select
        spread_over.window_days,
        counted.environment,
        counted.architecture,
        counted.component,
        case spread_over.window_days when 7 then units_7 when 30 then units_30 when 90 then units_90 else 0 end
            as units,
        case spread_over.window_days
            when 7 then unit_failures_7 when 30 then unit_failures_30 when 90 then unit_failures_90 else 0
        end as unit_failures,
        case spread_over.window_days when 7 then failing_7 when 30 then failing_30 when 90 then failing_90 else 0 end
            as machines_failing
    from surplus_of_all_windows as counted
    cross join spread_over
),

-- a unit is a machine at its component; the machine's key holds its architecture, so architectures add up
parts as (
    select
        day_sums.window_days,
        day_sums.environment,
        day_sums.architecture,
        day_sums.component,
        day_sums.events,
        day_sums.failures,
        day_sums.units - coalesce(surplus.units, 0) as machines,
        day_sums.machines_failing - coalesce(surplus.machines_failing, 0) as machines_failing,
        day_sums.units - coalesce(surplus.units, 0) as units,
        day_sums.unit_failures - coalesce(surplus.unit_failures, 0) as unit_failures
    from day_sums
    left join surplus
        on surplus.window_days = day_sums.window_days
        and surplus.environment = day_sums.environment
        and surplus.architecture = day_sums.architecture
        and surplus.component = day_sums.component
),

components_together as (
    select
        parts.window_days,
        parts.environment,
        parts.architecture,
        'all' as component,
        sum(parts.events) as events,
        sum(parts.failures) as failures,
        max(machine_counts.machines) as machines,
        max(machine_counts.machines_failing) as machines_failing,
        sum(parts.units) as units,
        sum(parts.unit_failures) as unit_failures
    from parts
    left join machine_counts
        on machine_counts.window_days = parts.window_days
        and machine_counts.environment = parts.environment
        and machine_counts.architecture = parts.architecture
    group by parts.window_days, parts.environment, parts.architecture
),

all_parts as (
    select * from parts
    union all
    select * from components_together
),

counts as (
    select
        window_days,
        environment,
        case when grouping(architecture) = 1 then 'all' else architecture end as architecture,
        component,
        sum(events) as events,
        sum(failures) as failures,
        sum(machines) as machines,
        sum(machines_failing) as machines_failing,
        sum(units) as units,
        sum(unit_failures) as unit_failures
    from all_parts
    group by grouping sets (
        (window_days, environment, component, architecture),
        (window_days, environment, component)
    )
)

select
    counts.window_days,
    counts.environment,
    counts.architecture,
    counts.component,
    counts.events,
    counts.events - counts.failures as successes,
    counts.failures,
    rate(counts.events - counts.failures, counts.events) as success_rate,
    wilson_low(counts.events - counts.failures, counts.events) as success_rate_low,
    wilson_high(counts.events - counts.failures, counts.events) as success_rate_high,
    counts.machines,
    counts.machines_failing,
    counts.units,
    counts.unit_failures,
    spread_over.first_date,
    spread_over.last_date
from counts
inner join spread_over on spread_over.window_days = counts.window_days
