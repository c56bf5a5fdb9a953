-- grain: window_days, environment, architecture (or all), component (or all); windows end at the last complete day
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
        daily.environment,
        daily.architecture,
        daily.component,
        sum(daily.events) as events,
        sum(case when daily.outcome = 'failure' then daily.events else 0 end) as failures
    from staging.events_daily as daily
    inner join spread_over on daily.event_date between spread_over.first_date and spread_over.last_date
    where daily.counted
    group by spread_over.window_days, daily.environment, daily.architecture, daily.component
),

-- a machine is counted on the first of its days in the window, a failing one on the first day on which it failed
machine_counts as (
    select
        spread_over.window_days,
        daily.level,
        daily.environment,
        daily.architecture,
        daily.component,
        sum(case when coalesce(daily.before_date < spread_over.first_date, true) then daily.machines else 0 end)
            as machines,
        sum(case when coalesce(daily.before_date < spread_over.first_date, true) then daily.first_failures else 0 end)
            as unit_failures,
        sum(case
            when coalesce(daily.failed_before_date < spread_over.first_date, true) then daily.machines_failing
            else 0
        end) as machines_failing
    from staging.machine_returns as daily
    inner join spread_over on daily.event_date between spread_over.first_date and spread_over.last_date
    where daily.level in ('component', 'architecture')
    group by spread_over.window_days, daily.level, daily.environment, daily.architecture, daily.component
),

-- a machine's first try of a component is its unit
parts as (
    select
        event_counts.window_days,
        event_counts.environment,
        event_counts.architecture,
        event_counts.component,
        event_counts.events,
        event_counts.failures,
        coalesce(machine_counts.machines, 0) as machines,
        coalesce(machine_counts.machines_failing, 0) as machines_failing,
        coalesce(machine_counts.machines, 0) as units,
        coalesce(machine_counts.unit_failures, 0) as unit_failures
    from event_counts
    left join machine_counts
        on machine_counts.level = 'component'
        and machine_counts.window_days = event_counts.window_days
        and machine_counts.environment = event_counts.environment
        and machine_counts.architecture = event_counts.architecture
        and machine_counts.component = event_counts.component
),

-- a machine that tried several components is one machine of all of them
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
        on machine_counts.level = 'architecture'
        and machine_counts.window_days = parts.window_days
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
