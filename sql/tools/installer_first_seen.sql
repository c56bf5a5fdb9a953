-- grain: os_release; when each release was seen first in the environment, by counted events
select
    os_release,
    min(os_family) as os_family,
    min(first_seen) as first_seen,
    min(first_date) as first_date
from os_first_seen
where $environment = 'all' or environment = $environment
group by os_release
