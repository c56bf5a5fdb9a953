-- grain: source, site_id, period, period_start, pair, position; one pair of parts of the events of one period
with placed as (
    select
        report.source,
        report.site_id,
        report.period,
        report.period_start,
        case report.report
            when 'events_action_name' then 'action_name'
            when 'events_category_action' then 'category_action'
            else 'category_name'
        end as pair,
        report.fetched_at,
        unnest(web_rows(report.body)) as place
    from raw.web_reports as report
    where report.report in ('events_action_name', 'events_category_action', 'events_category_name')
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
        placed.pair,
        placed.fetched_at,
        placed.place.position as position,
        placed.place.entry as entry,
        json_transform(
            placed.place.entry,
            '{"label": "varchar", "nb_events": "varchar", "nb_visits": "varchar", '
            || '"nb_actions": "varchar", "sum_event_value": "varchar", "nb_events_with_value": "varchar", '
            || '"min_event_value": "varchar", "max_event_value": "varchar", "avg_event_value": "varchar", '
            || '"Events_EventCategory": "varchar", "Events_EventAction": "varchar", '
            || '"Events_EventName": "varchar"}'
        ) as field
    from placed
)

select
    source,
    site_id,
    period,
    period_start,
    pair,
    position,
    coalesce(field.label, '') as label,
    field.Events_EventCategory as category,
    field.Events_EventAction as action,
    field.Events_EventName as name,
    web_number(field.nb_events) as nb_events,
    web_number(field.nb_visits) as nb_visits,
    web_number(field.nb_actions) as nb_actions,
    web_number(field.sum_event_value) as sum_event_value,
    web_number(field.nb_events_with_value) as nb_events_with_value,
    web_number(field.min_event_value) as min_event_value,
    web_number(field.max_event_value) as max_event_value,
    web_number(field.avg_event_value) as avg_event_value,
    web_further(
        entry,
        '{"label": null, "nb_events": null, "nb_visits": null, "nb_actions": null, '
        || '"sum_event_value": null, "nb_events_with_value": null, "min_event_value": null, '
        || '"max_event_value": null, "avg_event_value": null, "Events_EventCategory": null, '
        || '"Events_EventAction": null, "Events_EventName": null}'
    ) as further,
    fetched_at as as_of
from read
