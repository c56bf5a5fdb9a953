-- grain: source, site_id, period, period_start; the orders of one period
with read as (
    select
        report.source,
        report.site_id,
        report.period,
        report.period_start,
        report.body,
        report.fetched_at,
        json_transform(
            report.body,
            '{"nb_conversions": "varchar", "nb_visits": "varchar", "nb_visits_converted": "varchar", '
            || '"revenue": "varchar", "revenue_per_visit": "varchar", "revenue_per_conversion": "varchar", '
            || '"avg_order_revenue": "varchar", "items": "varchar", "revenue_subtotal": "varchar", '
            || '"revenue_tax": "varchar", "revenue_shipping": "varchar", "revenue_discount": "varchar", '
            || '"conversion_rate": "varchar"}'
        ) as field
    from raw.web_reports as report
    where report.report = 'ecommerce'
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
    source,
    site_id,
    period,
    period_start,
    web_number(field.nb_conversions) as nb_conversions,
    web_number(field.nb_visits) as nb_visits,
    web_number(field.nb_visits_converted) as nb_visits_converted,
    web_number(field.revenue) as revenue,
    web_number(field.revenue_per_visit) as revenue_per_visit,
    web_number(field.revenue_per_conversion) as revenue_per_conversion,
    web_number(field.avg_order_revenue) as avg_order_revenue,
    web_number(field.items) as items,
    web_number(field.revenue_subtotal) as revenue_subtotal,
    web_number(field.revenue_tax) as revenue_tax,
    web_number(field.revenue_shipping) as revenue_shipping,
    web_number(field.revenue_discount) as revenue_discount,
    web_percent(field.conversion_rate) as conversion_rate,
    web_further(
        body,
        '{"nb_conversions": null, "nb_visits": null, "nb_visits_converted": null, "revenue": null, '
        || '"revenue_per_visit": null, "revenue_per_conversion": null, "avg_order_revenue": null, '
        || '"items": null, "revenue_subtotal": null, "revenue_tax": null, "revenue_shipping": null, '
        || '"revenue_discount": null, "conversion_rate": null}'
    ) as further,
    fetched_at as as_of
from read
