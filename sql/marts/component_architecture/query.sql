-- grain: window_days, environment, component (or all), architecture; each beside all others together
with parts as (
    select
        window_days,
        environment,
        component,
        architecture,
        events,
        successes,
        failures,
        success_rate,
        success_rate_low,
        success_rate_high,
        units,
        unit_failures,
        machines,
        first_date,
        last_date
    from marts.component_window
    where architecture <> 'all'
),

-- what nobody knows the architecture of is no side of a comparison
known as (
    select
        window_days,
        environment,
        component,
        sum(events) as events,
        sum(successes) as successes,
        sum(failures) as failures,
        sum(units) as units,
        sum(unit_failures) as unit_failures,
        sum(machines) as machines
    from parts
    where architecture <> 'unknown'
    group by window_days, environment, component
),

compared as (
    select
        parts.*,
        coalesce(known.events, 0) - case when parts.architecture = 'unknown' then 0 else parts.events end
            as others_events,
        coalesce(known.successes, 0) - case when parts.architecture = 'unknown' then 0 else parts.successes end
            as others_successes,
        coalesce(known.failures, 0) - case when parts.architecture = 'unknown' then 0 else parts.failures end
            as others_failures,
        coalesce(known.units, 0) - case when parts.architecture = 'unknown' then 0 else parts.units end
            as others_units,
        coalesce(known.unit_failures, 0) - case when parts.architecture = 'unknown' then 0 else parts.unit_failures end
            as others_unit_failures,
        coalesce(known.machines, 0) - case when parts.architecture = 'unknown' then 0 else parts.machines end
            as others_machines
    from parts
    left join known
        on known.window_days = parts.window_days
        and known.environment = parts.environment
        and known.component = parts.component
)

select
    window_days,
    environment,
    component,
    architecture,
    events,
    successes,
    failures,
    success_rate,
    success_rate_low,
    success_rate_high,
    units,
    unit_failures,
    machines,
    others_events,
    others_successes,
    others_failures,
    rate(others_successes, others_events) as others_success_rate,
    wilson_low(others_successes, others_events) as others_success_rate_low,
    wilson_high(others_successes, others_events) as others_success_rate_high,
    others_units,
    others_unit_failures,
    others_machines,
    100.0 * (rate(failures, events) - rate(others_failures, others_events)) as gap_points,
    first_date,
    last_date
from compared
