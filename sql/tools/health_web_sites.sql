-- grain: site with web reports; when everything that was due had been read
select
    source,
    site_id,
    as_of
from web_sites
order by source, site_id
