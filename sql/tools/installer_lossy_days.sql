-- grain: source, site_date; days of which something is known to be missing
select
    source,
    site_date,
    truncated,
    coalesce(verdict = 'differs', false) as differs
from extraction_days
where truncated > 0
    or verdict = 'differs'
order by
    source,
    site_date
