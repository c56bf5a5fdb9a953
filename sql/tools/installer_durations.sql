-- grain: component, window_days; how long successes took over the windows that end at the last complete day
select
    component,
    window_days,
    events,
    median_s,
    p75_s,
    p90_s,
    p95_s,
    max_s,
    first_date,
    last_date
from duration_window
where environment = $environment
    and architecture = $architecture
    and ($component is null or component = $component)
order by
    component,
    window_days
