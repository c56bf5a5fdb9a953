-- grain: source, site_id, period, period_start; the page views of one period
with read as (
    select
        *,
        web_taken(body, ['nb_pageviews', 'nb_uniq_pageviews']) as sent
    from staging.touched_web_reports
    where report = 'actions'
        and period_start between $first_day and $last_day
)

select
    source,
    site_id,
    period,
    period_start,
    web_number(sent.field.nb_pageviews) as nb_pageviews,
    web_number(sent.field.nb_uniq_pageviews) as nb_uniq_pageviews,
    sent.further,
    as_of
from read
