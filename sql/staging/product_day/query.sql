-- grain: one row; the newest day of the project that every source has completed
select
    project_date(product.watermark, parameters.project_zone) - 1 as last_complete_day,
    product.watermark is not null as has_watermark
from ledger.product_watermark as product
cross join seeds.parameters as parameters
