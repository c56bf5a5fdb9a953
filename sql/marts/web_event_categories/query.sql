-- grain: source, site_id, period, period_start, position; one category of one period
with read as (
    select
        *,
        web_taken(entry, [
            'label', 'nb_events', 'nb_visits', 'nb_actions', 'sum_event_value', 'nb_events_with_value',
            'min_event_value', 'max_event_value', 'avg_event_value', 'bounce_count'
        ]) as sent
    from staging.touched_web_rows
    where report = 'event_categories'
        and period_start between $first_day and $last_day
)

select
    source,
    site_id,
    period,
    period_start,
    position,
    coalesce(sent.field.label, '') as label,
    web_number(sent.field.nb_events) as nb_events,
    web_number(sent.field.nb_visits) as nb_visits,
    web_number(sent.field.nb_actions) as nb_actions,
    web_number(sent.field.sum_event_value) as sum_event_value,
    web_number(sent.field.nb_events_with_value) as nb_events_with_value,
    web_number(sent.field.min_event_value) as min_event_value,
    web_number(sent.field.max_event_value) as max_event_value,
    web_number(sent.field.avg_event_value) as avg_event_value,
    web_number(sent.field.bounce_count) as bounce_count,
    sent.further,
    is_others,
    as_of
from read
