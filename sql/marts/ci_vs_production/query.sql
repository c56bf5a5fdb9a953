-- grain: window_days, environment, component (or all), error_type; counts where error_type is null, else failures of it
select
    window_days,
    environment,
    component,
    cast(null as varchar) as error_type,
    events,
    successes,
    failures,
    success_rate,
    success_rate_low,
    success_rate_high,
    units,
    unit_failures,
    first_date,
    last_date
from marts.component_window
where architecture = 'all'
    and environment in ('production', 'ci')
union all
select
    window_days,
    environment,
    component,
    error_type,
    failures as events,
    0 as successes,
    failures,
    cast(null as double) as success_rate,
    cast(null as double) as success_rate_low,
    cast(null as double) as success_rate_high,
    0 as units,
    0 as unit_failures,
    first_date,
    last_date
from marts.error_window
where environment in ('production', 'ci')
