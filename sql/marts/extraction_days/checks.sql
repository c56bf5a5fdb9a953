-- #fail every_truncation_has_its_day: of each source, the days hold as many withheld actions as its visits
with known as (
    select source, sum(truncated) as truncated
    from ledger.truncated_visits
    group by source
),

by_day as (
    select source, sum(truncated) as truncated
    from marts.extraction_days
    group by source
)

select coalesce(known.source, by_day.source) as source
from known
full join by_day on by_day.source = known.source
where coalesce(known.truncated, 0) <> coalesce(by_day.truncated, 0);

-- #fail compared_or_not: a day has a verdict, a count and a time of comparison, or none of them
select source, site_date
from marts.extraction_days
where (verdict is null) <> (checked_at is null)
    or (verdict is null) <> (extracted is null);
