-- Orders of a site with ecommerce, and the visits beside them, of every period that is kept.
-- Grain: one period.
select
    orders.period,
    orders.period_start,
    orders.nb_conversions,
    visits.nb_visits,
    orders.nb_visits_converted,
    orders.conversion_rate,
    orders.revenue,
    orders.revenue_per_visit,
    orders.revenue_per_conversion,
    orders.avg_order_revenue,
    orders.items,
    orders.revenue_subtotal,
    orders.revenue_tax,
    orders.revenue_shipping,
    orders.revenue_discount,
    orders.further
from web_ecommerce as orders
join web_visits as visits
    on visits.source = orders.source
    and visits.site_id = orders.site_id
    and visits.period = orders.period
    and visits.period_start = orders.period_start
where orders.source = $source
    and orders.site_id = $site
