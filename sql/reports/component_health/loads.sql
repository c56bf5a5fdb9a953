-- grain: start_ts; counted events of the stretches between neighbouring instants of $edges that hold any
with edges as (
    select unnest(cast($edges as timestamptz [])) as edge
),

stretches as (
    select
        edge as start_ts,
        lead(edge) over (order by edge) as end_ts
    from edges
)

select
    stretches.start_ts,
    count(*) as events,
    count(*) filter (where events.outcome = 'failure') as failures
from stretches
inner join staging.installer_events as events
    on events.event_ts >= stretches.start_ts
    and events.event_ts < stretches.end_ts
where events.counted
    and events.environment = $environment
    and events.event_ts >= $start_ts
    and events.event_ts < $end_ts
group by stretches.start_ts
order by stretches.start_ts
