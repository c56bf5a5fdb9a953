-- grain: source, site_id, period, period_start, position; one category of one period
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
    where report.report = 'event_categories'
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
            '{"label": "varchar", "nb_events": "varchar", "nb_visits": "varchar", '
            || '"nb_actions": "varchar", "sum_event_value": "varchar", "nb_events_with_value": "varchar", '
            || '"min_event_value": "varchar", "max_event_value": "varchar", "avg_event_value": "varchar", '
            || '"bounce_count": "varchar", "segment": "varchar"}'
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
    web_number(field.nb_events) as nb_events,
    web_number(field.nb_visits) as nb_visits,
    web_number(field.nb_actions) as nb_actions,
    web_number(field.sum_event_value) as sum_event_value,
    web_number(field.nb_events_with_value) as nb_events_with_value,
    web_number(field.min_event_value) as min_event_value,
    web_number(field.max_event_value) as max_event_value,
    web_number(field.avg_event_value) as avg_event_value,
    web_number(field.bounce_count) as bounce_count,
    web_further(
        entry,
        '{"label": null, "nb_events": null, "nb_visits": null, "nb_actions": null, '
        || '"sum_event_value": null, "nb_events_with_value": null, "min_event_value": null, '
        || '"max_event_value": null, "avg_event_value": null, "bounce_count": null}'
    ) as further,
    is_others,
    fetched_at as as_of
from read
