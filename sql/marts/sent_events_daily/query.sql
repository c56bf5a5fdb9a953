-- grain: source, site_id, event_date, category, action, name; the landed custom events of Matomo sources as sent
select
    event.source,
    event.site_id,
    event.event_date,
    event.category_raw as category,
    event.action_raw as action,
    event.name_raw as name,
    count(*) as events,
    count(event.value_raw) as events_with_value,
    sum(event.value_raw) as sum_value,
    min(event.value_raw) as min_value,
    max(event.value_raw) as max_value
from staging.installer_events as event
inner join ledger.sources as source
    on source.source = event.source
where event.event_date between $first_day and $last_day
    and source.kind = 'matomo'
    and event.left_out_reason is distinct from 'vanished'
group by event.source, event.site_id, event.event_date, event.category_raw, event.action_raw, event.name_raw
