-- grain: component, and one row of all together (component is null); counted events of the window, of the 7 and of the
-- 28 days before it; machines of the window
with seen as (
    select
        component,
        outcome = 'failure' as failed,
        event_ts >= $start_ts as is_now,
        event_ts < $start_ts and event_ts >= $week_ts as is_week,
        event_ts < $start_ts as is_before,
        coalesce(machine_key, 'event-' || left(md5(source || '|' || site_id || '|' || event_id), 16)) as machine
    from staging.installer_events
    where counted
        and environment = $environment
        and event_ts >= $weeks_ts
        and event_ts < $end_ts
)

select
    component,
    count(*) filter (where is_now) as events,
    count(*) filter (where is_now and failed) as failures,
    count(*) filter (where is_week) as week_events,
    count(*) filter (where is_week and failed) as week_failures,
    count(*) filter (where is_before) as weeks_events,
    count(*) filter (where is_before and failed) as weeks_failures,
    count(distinct case when is_now then machine end) as machines,
    count(distinct case when is_now and failed then machine end) as machines_failing
from seen
group by grouping sets ((component), ())
having grouping(component) = 1 or count(*) filter (where is_now) > 0
order by grouping(component) desc, component
