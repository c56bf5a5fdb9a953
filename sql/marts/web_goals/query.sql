-- grain: source, site_id, period, period_start, goal_id; one goal of one period, also without a conversion
with read as (
    select
        *,
        case report
            when 'ecommerce' then 'ecommerceOrder'
            when 'abandoned_carts' then 'ecommerceAbandonedCart'
            else subject
        end as goal_id,
        web_taken(body, ['nb_conversions', 'nb_visits_converted', 'revenue']) as sent
    from staging.touched_web_reports
    where report in ('goals', 'ecommerce', 'abandoned_carts')
        and period_start between $first_day and $last_day
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
    web_number(read.sent.field.nb_conversions) as nb_conversions,
    web_number(read.sent.field.nb_visits_converted) as nb_visits_converted,
    web_number(read.sent.field.revenue) as revenue,
    read.sent.further,
    read.as_of
from read
left join ledger.web_goals as goal
    on goal.source = read.source
    and goal.site_id = read.site_id
    and goal.goal_id = read.goal_id
