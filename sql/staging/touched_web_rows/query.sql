-- grain: source, site_id, period, period_start, report, position; one row of a report that is a list
with lists as (
    -- what is asked of the whole list is asked once, here, and not beside each of its rows
    select
        source,
        site_id,
        period,
        period_start,
        report,
        as_of,
        web_last_place(body) as last_place,
        web_rows(body) as places
    from staging.touched_web_reports
    where report not in ('visits', 'actions', 'goals', 'ecommerce', 'abandoned_carts')  -- objects of figures
),

placed as (
    select
        source,
        site_id,
        period,
        period_start,
        report,
        as_of,
        last_place,
        unnest(places) as place
    from lists
)

select
    placed.source,
    placed.site_id,
    placed.period,
    placed.period_start,
    placed.report,
    placed.place.position as position,
    cast(placed.place.entry as varchar) as entry,
    web_is_others(placed.place.entry, placed.place.position, placed.last_place) as is_others,
    placed.as_of
from placed
