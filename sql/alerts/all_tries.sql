-- grain: one counted event; the same where keys are not machines: each event is a try
with components as (
    select
        unnest($components) as component,
        unnest(range(len($components))) as code
)

select
    epoch_us(event.event_ts) as ts,
    event.outcome = 'failure' as failed,
    components.code as component,
    hash(
        coalesce(
            event.machine_key,
            'event-' || left(md5(event.source || '|' || event.site_id || '|' || event.event_id), 16)
        )
    ) as machine,
    event.event_date - date '1970-01-01' as day
from staging.installer_events as event
inner join components on components.component = event.component
where event.counted
    and event.environment = $environment
    and event.event_date between $first_day and $last_day
order by event.event_ts, failed, event.source, event.site_id, event.event_id
