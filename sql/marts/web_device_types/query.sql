-- grain: source, site_id, period, period_start, position; one kind of device of one period
with read as (
    select
        *,
        web_taken(entry, [
            'label', 'nb_visits', 'nb_actions', 'nb_visits_converted', 'nb_hits', 'sum_visit_length',
            'avg_time_on_site', 'max_actions', 'bounce_rate', 'bounce_count'
        ]) as sent
    from staging.touched_web_rows
    where report = 'device_types'
        and period_start between $first_day and $last_day
)

select
    source,
    site_id,
    period,
    period_start,
    position,
    coalesce(sent.field.label, '') as label,
    web_number(sent.field.nb_visits) as nb_visits,
    web_number(sent.field.nb_actions) as nb_actions,
    web_number(sent.field.nb_visits_converted) as nb_visits_converted,
    web_number(sent.field.nb_hits) as nb_hits,
    web_number(sent.field.sum_visit_length) as sum_visit_length,
    web_number(sent.field.avg_time_on_site) as avg_time_on_site,
    web_number(sent.field.max_actions) as max_actions,
    web_percent(sent.field.bounce_rate) as bounce_rate,
    web_number(sent.field.bounce_count) as bounce_count,
    sent.further,
    is_others,
    as_of
from read
