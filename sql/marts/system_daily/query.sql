-- grain: event_date, environment, component, os_family, os_release, architecture; counted events only
with event_counts as (
    select
        event_date,
        environment,
        component,
        os_family,
        os_release,
        architecture,
        sum(events) as events,
        sum(case when outcome = 'success' then events else 0 end) as successes,
        sum(case when outcome = 'failure' then events else 0 end) as failures
    from staging.events_daily
    where event_date between $first_day and $last_day
        and counted
    group by event_date, environment, component, os_family, os_release, architecture
),

-- a machine has one row a day and component, with the system of its first try
machine_counts as (
    select
        event_date,
        environment,
        component,
        os_family,
        os_release,
        architecture,
        count(*) as machines,
        count(*) filter (where failures > 0) as machines_failing,
        count(*) filter (where first_outcome = 'failure') as unit_failures
    from staging.machine_days
    where event_date between $first_day and $last_day
        and tries > 0
    group by event_date, environment, component, os_family, os_release, architecture
)

select
    event_counts.event_date,
    event_counts.environment,
    event_counts.component,
    event_counts.os_family,
    event_counts.os_release,
    event_counts.architecture,
    event_counts.events,
    event_counts.successes,
    event_counts.failures,
    rate(event_counts.successes, event_counts.events) as success_rate,
    wilson_low(event_counts.successes, event_counts.events) as success_rate_low,
    wilson_high(event_counts.successes, event_counts.events) as success_rate_high,
    coalesce(machine_counts.machines, 0) as machines,
    coalesce(machine_counts.machines_failing, 0) as machines_failing,
    coalesce(machine_counts.machines, 0) as units,
    coalesce(machine_counts.unit_failures, 0) as unit_failures
from event_counts
left join machine_counts
    on machine_counts.event_date = event_counts.event_date
    and machine_counts.environment = event_counts.environment
    and machine_counts.component = event_counts.component
    and machine_counts.os_family = event_counts.os_family
    and machine_counts.os_release = event_counts.os_release
    and machine_counts.architecture = event_counts.architecture
