-- grain: source, site_id, period, period_start, position; one referrer of one period
with read as (
    select
        *,
        web_taken(entry, [
            'label', 'nb_visits', 'nb_actions', 'nb_visits_converted', 'bounce_count', 'referrer_type',
            'referer_type'
        ]) as sent
    from staging.touched_web_rows
    where report = 'referrers'
        and period_start between $first_day and $last_day
)

select
    source,
    site_id,
    period,
    period_start,
    position,
    coalesce(sent.field.label, '') as label,
    cast(web_number(coalesce(sent.field.referrer_type, sent.field.referer_type)) as bigint) as referrer_type,
    web_number(sent.field.nb_visits) as nb_visits,
    web_number(sent.field.nb_actions) as nb_actions,
    web_number(sent.field.nb_visits_converted) as nb_visits_converted,
    web_number(sent.field.bounce_count) as bounce_count,
    sent.further,
    is_others,
    as_of
from read
