-- grain: component; first counted events of a machine at a component in a stretch of time, and those that failed; of
-- the same instant, a success is the first
with firsts as (
    select
        component,
        min(2 * epoch_us(event_ts) + case when outcome = 'failure' then 1 else 0 end) as first_try
    from staging.installer_events
    where counted
        and environment = $environment
        and event_ts >= $start_ts
        and event_ts < $end_ts
        and ($component is null or component = $component)
    group by
        component,
        coalesce(machine_key, 'event-' || left(md5(source || '|' || site_id || '|' || event_id), 16))
)

select
    component,
    count(*) as units,
    count(*) filter (where first_try % 2 = 1) as failures
from firsts
group by component
order by component
