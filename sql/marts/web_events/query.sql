-- grain: source, site_id, period, period_start, pair, position; one pair of parts of the events of one period
with read as (
    select
        *,
        case report
            when 'events_action_name' then 'action_name'
            when 'events_category_action' then 'category_action'
            else 'category_name'
        end as pair,
        web_taken(entry, [
            'label', 'nb_events', 'nb_visits', 'nb_actions', 'sum_event_value', 'nb_events_with_value',
            'min_event_value', 'max_event_value', 'avg_event_value', 'Events_EventCategory',
            'Events_EventAction', 'Events_EventName'
        ]) as sent
    from staging.touched_web_rows
    where report in ('events_action_name', 'events_category_action', 'events_category_name')
        and period_start between $first_day and $last_day
)

select
    source,
    site_id,
    period,
    period_start,
    pair,
    position,
    coalesce(sent.field.label, '') as label,
    sent.field.Events_EventCategory as category,
    sent.field.Events_EventAction as action,
    sent.field.Events_EventName as name,
    web_number(sent.field.nb_events) as nb_events,
    web_number(sent.field.nb_visits) as nb_visits,
    web_number(sent.field.nb_actions) as nb_actions,
    web_number(sent.field.sum_event_value) as sum_event_value,
    web_number(sent.field.nb_events_with_value) as nb_events_with_value,
    web_number(sent.field.min_event_value) as min_event_value,
    web_number(sent.field.max_event_value) as max_event_value,
    web_number(sent.field.avg_event_value) as avg_event_value,
    sent.further,
    as_of
from read
