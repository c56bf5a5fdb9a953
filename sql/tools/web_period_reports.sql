-- The reports that were read of each period of a site.
-- Grain: one report of one period; of goals, one goal.
select
    period,
    period_start,
    report,
    subject
from web_period_reports
where source = $source
    and site_id = $site
