-- grain: window_days, environment, architecture (or all), component; windows end at the last complete day
with window_lengths as (
    select 1 as window_days
    union all
    select 7 as window_days
    union all
    select 30 as window_days
    union all
    select 90 as window_days
),

windows as (
    select
        window_lengths.window_days,
        product_day.last_complete_day - window_lengths.window_days + 1 as first_date,
        product_day.last_complete_day as last_date
    from window_lengths
    cross join staging.product_day as product_day
    where product_day.last_complete_day is not null
),

-- one machine at one component over the window: its unit failed when its first try of all did
machine_units as (
    select
        windows.window_days,
        windows.first_date,
        windows.last_date,
        machine_day.environment,
        machine_day.architecture,
        machine_day.component,
        machine_day.machine_key,
        sum(machine_day.tries) as tries,
        sum(machine_day.failures) as failures,
        min(machine_day.first_ts) as first_ts,
        min(case when machine_day.first_outcome = 'failure' then machine_day.first_ts end) as first_failure_ts
    from staging.machine_days as machine_day
    inner join windows on machine_day.event_date between windows.first_date and windows.last_date
    where machine_day.tries > 0
    group by
        windows.window_days, windows.first_date, windows.last_date, machine_day.environment, machine_day.architecture,
        machine_day.component, machine_day.machine_key
),

counts as (
    select
        window_days,
        first_date,
        last_date,
        environment,
        case when grouping(architecture) = 1 then 'all' else architecture end as architecture,
        component,
        sum(tries) as events,
        sum(tries) - sum(failures) as successes,
        sum(failures) as failures,
        count(distinct machine_key) as machines,
        count(distinct case when failures > 0 then machine_key end) as machines_failing,
        count(*) as units,
        count(*) filter (where first_failure_ts = first_ts) as unit_failures
    from machine_units
    group by grouping sets (
        (window_days, first_date, last_date, environment, component, architecture),
        (window_days, first_date, last_date, environment, component)
    )
)

select
    window_days,
    environment,
    architecture,
    component,
    events,
    successes,
    failures,
    rate(successes, events) as success_rate,
    wilson_low(successes, events) as success_rate_low,
    wilson_high(successes, events) as success_rate_high,
    machines,
    machines_failing,
    units,
    unit_failures,
    first_date,
    last_date
from counts
