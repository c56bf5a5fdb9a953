-- grain: source; up to when each source that gives installer events is complete, its last error, and what it withheld
-- on the given days
with cut_off as (
    select
        source,
        sum(truncated) as withheld
    from ledger.truncated_visits
    where site_date between $first_day and $last_day
    group by source
)

select
    sources.source,
    sources.watermark,
    sources.last_error,
    coalesce(cut_off.withheld, 0) as withheld
from ledger.sources as sources
left join cut_off
    on cut_off.source = sources.source
where sources.mirror_of is null
order by sources.source
