-- grain: source, site_id, period, period_start; the visits of one period
with read as (
    select
        *,
        web_taken(body, [
            'nb_visits', 'nb_uniq_visitors', 'nb_actions', 'nb_users', 'nb_visits_converted',
            'sum_visit_length', 'max_actions', 'bounce_count', 'bounce_rate', 'nb_actions_per_visit',
            'avg_time_on_site'
        ]) as sent
    from staging.touched_web_reports
    where report = 'visits'
        and period_start between $first_day and $last_day
)

select
    source,
    site_id,
    period,
    period_start,
    web_number(sent.field.nb_visits) as nb_visits,
    web_number(sent.field.nb_uniq_visitors) as nb_uniq_visitors,
    web_number(sent.field.nb_actions) as nb_actions,
    web_number(sent.field.nb_users) as nb_users,
    web_number(sent.field.nb_visits_converted) as nb_visits_converted,
    web_number(sent.field.sum_visit_length) as sum_visit_length,
    web_number(sent.field.max_actions) as max_actions,
    web_number(sent.field.bounce_count) as bounce_count,
    web_percent(sent.field.bounce_rate) as bounce_rate,
    web_number(sent.field.nb_actions_per_visit) as nb_actions_per_visit,
    web_number(sent.field.avg_time_on_site) as avg_time_on_site,
    sent.further,
    state,
    as_of
from read
