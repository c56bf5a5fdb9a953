-- the first counted event of an environment ever
select min(first_ts) as first_ts
from staging.events_daily
where counted
    and environment = $environment
