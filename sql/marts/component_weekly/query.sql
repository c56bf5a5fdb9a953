-- grain: week_start, environment, architecture (or all), component (or all)
with machine_units as (
    select
        cast(date_trunc('week', event_date) as date) as week_start,
        environment,
        architecture,
        component,
        machine_key,
        sum(tries) as tries,
        sum(failures) as failures,
        min(first_ts) as first_ts,
        min(case when first_outcome = 'failure' then first_ts end) as first_failure_ts
    from staging.machine_days
    where event_date between $first_day and $last_day
        and tries > 0
    group by cast(date_trunc('week', event_date) as date), environment, architecture, component, machine_key
),

-- a machine that tried several components is one machine of all of them
machines as (
    select
        week_start,
        environment,
        architecture,
        machine_key,
        sum(tries) as tries,
        sum(failures) as failures,
        count(*) as units,
        count(*) filter (where first_failure_ts = first_ts) as unit_failures
    from machine_units
    group by week_start, environment, architecture, machine_key
),

architecture_counts as (
    select
        week_start,
        environment,
        architecture,
        component,
        sum(tries) as events,
        sum(failures) as failures,
        count(*) as machines,
        count(*) filter (where failures > 0) as machines_failing,
        count(*) as units,
        count(*) filter (where first_failure_ts = first_ts) as unit_failures,
        max(tries) as largest_machine_events
    from machine_units
    group by week_start, environment, architecture, component

    union all

    select
        week_start,
        environment,
        architecture,
        'all' as component,
        sum(tries) as events,
        sum(failures) as failures,
        count(*) as machines,
        count(*) filter (where failures > 0) as machines_failing,
        sum(units) as units,
        sum(unit_failures) as unit_failures,
        max(tries) as largest_machine_events
    from machines
    group by week_start, environment, architecture
),

-- a machine's key holds its architecture, so architectures add up
counts as (
    select
        week_start,
        environment,
        case when grouping(architecture) = 1 then 'all' else architecture end as architecture,
        component,
        sum(events) as events,
        sum(events) - sum(failures) as successes,
        sum(failures) as failures,
        sum(machines) as machines,
        sum(machines_failing) as machines_failing,
        sum(units) as units,
        sum(unit_failures) as unit_failures,
        max(largest_machine_events) as largest_machine_events
    from architecture_counts
    group by grouping sets (
        (week_start, environment, component, architecture),
        (week_start, environment, component)
    )
),

installations_of_day as (
    select
        event_date,
        environment,
        architecture,
        machine_key,
        greatest(1, sum(run_starts)) as installations
    from staging.machine_days
    where event_date between $first_day and $last_day
    group by event_date, environment, architecture, machine_key
),

-- an installation is a machine's day, not a component's; so only the row of all components has them
installations as (
    select
        cast(date_trunc('week', event_date) as date) as week_start,
        environment,
        case when grouping(architecture) = 1 then 'all' else architecture end as architecture,
        'all' as component,
        sum(installations) as installations
    from installations_of_day
    group by grouping sets (
        (cast(date_trunc('week', event_date) as date), environment, architecture),
        (cast(date_trunc('week', event_date) as date), environment)
    )
),

parts as (
    select week_start, environment, architecture, component from counts
    union
    select week_start, environment, architecture, component from installations
)

select
    parts.week_start,
    parts.environment,
    parts.architecture,
    parts.component,
    coalesce(counts.events, 0) as events,
    coalesce(counts.successes, 0) as successes,
    coalesce(counts.failures, 0) as failures,
    rate(counts.successes, counts.events) as success_rate,
    wilson_low(counts.successes, counts.events) as success_rate_low,
    wilson_high(counts.successes, counts.events) as success_rate_high,
    coalesce(counts.machines, 0) as machines,
    coalesce(counts.machines_failing, 0) as machines_failing,
    coalesce(counts.units, 0) as units,
    coalesce(counts.unit_failures, 0) as unit_failures,
    installations.installations,
    coalesce(counts.largest_machine_events, 0) as largest_machine_events
from parts
left join counts
    on counts.week_start = parts.week_start
    and counts.environment = parts.environment
    and counts.architecture = parts.architecture
    and counts.component = parts.component
left join installations
    on installations.week_start = parts.week_start
    and installations.environment = parts.environment
    and installations.architecture = parts.architecture
    and installations.component = parts.component
