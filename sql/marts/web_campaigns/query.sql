-- grain: source, site_id, period, period_start, position; one campaign of one period
with placed as (
    select
        report.source,
        report.site_id,
        report.period,
        report.period_start,
        report.fetched_at,
        web_last_place(report.body) as last_place,
        unnest(web_rows(report.body)) as place
    from raw.web_reports as report
    where report.report = 'campaigns'
        and report.period_start between $first_day and $last_day
        and exists (
            select 1
            from ledger.touched_web as touched
            where touched.source = report.source
                and touched.site_id = report.site_id
                and touched.period = report.period
                and touched.period_start = report.period_start
        )
),

read as (
    select
        placed.source,
        placed.site_id,
        placed.period,
        placed.period_start,
        placed.fetched_at,
        placed.place.position as position,
        placed.place.entry as entry,
        web_is_others(placed.place.entry, placed.place.position, placed.last_place) as is_others,
        json_transform(
            placed.place.entry,
            '{"label": "varchar", "nb_visits": "varchar", "nb_actions": "varchar", '
            || '"nb_visits_converted": "varchar", "revenue": "varchar", "bounce_count": "varchar", '
            || '"referrer_type": "varchar", "referer_type": "varchar", "segment": "varchar"}'
        ) as field
    from placed
)

select
    source,
    site_id,
    period,
    period_start,
    position,
    coalesce(field.label, '') as label,
    cast(web_number(coalesce(field.referrer_type, field.referer_type)) as bigint) as referrer_type,
    web_number(field.nb_visits) as nb_visits,
    web_number(field.nb_actions) as nb_actions,
    web_number(field.nb_visits_converted) as nb_visits_converted,
    web_number(field.revenue) as revenue,
    web_number(field.bounce_count) as bounce_count,
    web_further(
        entry,
        '{"label": null, "nb_visits": null, "nb_actions": null, "nb_visits_converted": null, '
        || '"revenue": null, "bounce_count": null, "referrer_type": null, "referer_type": null}'
    ) as further,
    is_others,
    fetched_at as as_of
from read
