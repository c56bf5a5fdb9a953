-- grain: source, site_id, period, period_start, position; one page of one period
with read as (
    select
        *,
        web_taken(entry, [
            'label', 'url', 'nb_hits', 'nb_visits', 'nb_uniq_visitors', 'sum_time_spent', 'bounce_count'
        ]) as sent
    from staging.touched_web_rows
    where report = 'page_urls'
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
    web_number(sent.field.nb_hits) as nb_hits,
    web_number(sent.field.nb_visits) as nb_visits,
    web_number(sent.field.nb_uniq_visitors) as nb_uniq_visitors,
    web_number(sent.field.sum_time_spent) as sum_time_spent,
    web_number(sent.field.bounce_count) as bounce_count,
    sent.further,
    is_others,
    as_of
from read
