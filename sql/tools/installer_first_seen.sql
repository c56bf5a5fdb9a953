-- grain: environment, os_family, os_release; when each release was seen first, by counted events; the first on top
select
    environment,
    os_family,
    os_release,
    first_seen,
    first_date
from os_first_seen
order by
    first_seen,
    environment,
    os_family,
    os_release
