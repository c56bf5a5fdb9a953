-- grain: one row; the days of the project that every series and window ends and may begin with
with beginning as (
    select min(proven_from) as known_from
    from ledger.sources
    where mirror_of is null
)

select
    product_day.last_complete_day,
    project_date(beginning.known_from, parameters.project_zone) as first_known_day
from staging.product_day as product_day
cross join beginning
cross join seeds.parameters as parameters
