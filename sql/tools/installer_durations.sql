-- grain: architecture, component, window_days; how long successes took over the windows that end at the last complete
-- day, of one environment
select
    architecture,
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
order by
    architecture,
    component,
    window_days
