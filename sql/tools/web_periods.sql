-- The periods of a site whose web reports are kept, and how certain each is.
-- Grain: one period.
select
    period,
    period_start,
    state,
    as_of
from web_periods
where source = $source
    and site_id = $site
