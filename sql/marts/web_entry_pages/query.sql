-- grain: source, site_id, period, period_start, position; one page that visits began with of one period
with read as (
    select
        *,
        web_taken(entry, [
            'label', 'url', 'nb_visits', 'nb_uniq_visitors', 'nb_hits', 'sum_time_spent',
            'entry_nb_uniq_visitors', 'entry_nb_visits', 'entry_nb_actions', 'entry_sum_visit_length',
            'entry_bounce_count', 'exit_nb_uniq_visitors', 'exit_nb_visits', 'avg_page_load_time',
            'avg_time_on_page', 'bounce_rate', 'exit_rate', 'bounce_count'
        ]) as sent
    from staging.touched_web_rows
    where report = 'entry_pages'
        and period_start between $first_day and $last_day
)

select
    source,
    site_id,
    period,
    period_start,
    position,
    coalesce(sent.field.label, '') as label,
    sent.field.url,
    web_number(sent.field.nb_visits) as nb_visits,
    web_number(sent.field.nb_uniq_visitors) as nb_uniq_visitors,
    web_number(sent.field.nb_hits) as nb_hits,
    web_number(sent.field.sum_time_spent) as sum_time_spent,
    web_number(sent.field.entry_nb_uniq_visitors) as entry_nb_uniq_visitors,
    web_number(sent.field.entry_nb_visits) as entry_nb_visits,
    web_number(sent.field.entry_nb_actions) as entry_nb_actions,
    web_number(sent.field.entry_sum_visit_length) as entry_sum_visit_length,
    web_number(sent.field.entry_bounce_count) as entry_bounce_count,
    web_number(sent.field.exit_nb_uniq_visitors) as exit_nb_uniq_visitors,
    web_number(sent.field.exit_nb_visits) as exit_nb_visits,
    web_number(sent.field.avg_page_load_time) as avg_page_load_time,
    web_number(sent.field.avg_time_on_page) as avg_time_on_page,
    web_percent(sent.field.bounce_rate) as bounce_rate,
    web_percent(sent.field.exit_rate) as exit_rate,
    web_number(sent.field.bounce_count) as bounce_count,
    sent.further,
    is_others,
    as_of
from read
