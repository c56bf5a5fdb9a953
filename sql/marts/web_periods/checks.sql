-- #fail unknown_without_reports: a period has reports exactly when it is not unknown
select source, site_id, period, period_start
from marts.web_periods
where (state = 'unknown') <> (reports = 0);

-- #fail visits_of_each_known_period: a period that is not unknown has its visits, and no other has
select source, site_id, period, period_start
from marts.web_periods
full join marts.web_visits using (source, site_id, period, period_start)
where coalesce(web_periods.state, 'unknown') is distinct from coalesce(web_visits.state, 'unknown');
