-- What is known of a site whose web reports are kept.
-- Grain: one row, or none.
select
    zone,
    currency,
    has_ecommerce
from web_sites
where source = $source
    and site_id = $site
