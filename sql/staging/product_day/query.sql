-- grain: one row; the newest day of the project that every source has completed
select
    project_date(min(source.watermark), max(parameters.project_zone)) - 1 as last_complete_day,
    min(source.watermark) is not null as has_watermark
from ledger.sources as source
cross join seeds.parameters as parameters
