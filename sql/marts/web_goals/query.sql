-- grain: source, site_id, period, period_start, goal_id; one goal of one period, also without a conversion
with read as (
    select
        report.source,
        report.site_id,
        report.period,
        report.period_start,
        case report.report
            when 'ecommerce' then 'ecommerceOrder'
            when 'abandoned_carts' then 'ecommerceAbandonedCart'
            else report.subject
        end as goal_id,
        report.report,
        report.body,
        report.fetched_at,
        json_transform(report.body, '{"nb_conversions": "varchar", "nb_visits_converted": "varchar", "revenue": "varchar"}') as field
    from raw.web_reports as report
    where report.report in ('goals', 'ecommerce', 'abandoned_carts')
        and report.period_start between $first_day and $last_day
        and exists (
            select 1
            from ledger.touched_web as touched
            where touched.source = report.source
                and touched.site_id = report.site_id
                and touched.period = report.period
                and touched.period_start = report.period_start
        )
)

select
    read.source,
    read.site_id,
    read.period,
    read.period_start,
    read.goal_id,
    case read.report
        when 'ecommerce' then 'Ecommerce Order'
        when 'abandoned_carts' then 'Abandoned Cart'
        else coalesce(goal.name, read.goal_id)
    end as label,
    case
        when read.report <> 'goals' then 'ecommerce'
        else coalesce(goal.match_attribute, '')
    end as type,
    web_number(read.field.nb_conversions) as nb_conversions,
    web_number(read.field.nb_visits_converted) as nb_visits_converted,
    web_number(read.field.revenue) as revenue,
    web_further(read.body, '{"nb_conversions": null, "nb_visits_converted": null, "revenue": null}') as further,
    read.fetched_at as as_of
from read
left join ledger.web_goals as goal
    on goal.source = read.source
    and goal.site_id = read.site_id
    and goal.goal_id = read.goal_id
