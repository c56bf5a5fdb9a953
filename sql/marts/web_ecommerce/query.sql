-- grain: source, site_id, period, period_start; the orders of one period
with read as (
    select
        *,
        web_taken(body, [
            'nb_conversions', 'nb_visits', 'nb_visits_converted', 'revenue', 'revenue_per_visit',
            'revenue_per_conversion', 'avg_order_revenue', 'items', 'revenue_subtotal', 'revenue_tax',
            'revenue_shipping', 'revenue_discount', 'conversion_rate'
        ]) as sent
    from staging.touched_web_reports
    where report = 'ecommerce'
        and period_start between $first_day and $last_day
)

select
    source,
    site_id,
    period,
    period_start,
    web_number(sent.field.nb_conversions) as nb_conversions,
    web_number(sent.field.nb_visits) as nb_visits,
    web_number(sent.field.nb_visits_converted) as nb_visits_converted,
    web_number(sent.field.revenue) as revenue,
    web_number(sent.field.revenue_per_visit) as revenue_per_visit,
    web_number(sent.field.revenue_per_conversion) as revenue_per_conversion,
    web_number(sent.field.avg_order_revenue) as avg_order_revenue,
    web_number(sent.field.items) as items,
    web_number(sent.field.revenue_subtotal) as revenue_subtotal,
    web_number(sent.field.revenue_tax) as revenue_tax,
    web_number(sent.field.revenue_shipping) as revenue_shipping,
    web_number(sent.field.revenue_discount) as revenue_discount,
    web_percent(sent.field.conversion_rate) as conversion_rate,
    sent.further,
    as_of
from read
