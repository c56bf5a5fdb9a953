-- 3.1 Component Success Rates: a table of successes, failures, rate with its 95 % Wilson interval, and the machines that
-- failed at least once; most failures first, then most events, then by name. Default: 30 days.
select
    component,
    events,
    successes,
    failures,
    success_rate,
    success_rate_low,
    success_rate_high,
    machines,
    machines_failing
from marts.component_window
where window_days = cast($days as integer)
    and environment = $environment
    and architecture = 'all'
    and component <> 'all'
order by failures desc, events desc, component
