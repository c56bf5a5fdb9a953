-- grain: source, site_date; closed days that were compared, and days of visits that are cut off
with cut_off as (
    select
        source,
        site_id,
        site_date,
        sum(truncated) as truncated
    from ledger.truncated_visits
    group by source, site_id, site_date
)

-- what is cut off is known before and after a comparison, so the visits say it and not the comparison
select
    coalesce(compared.source, cut_off.source) as source,
    coalesce(compared.site_date, cut_off.site_date) as site_date,
    compared.reported,
    compared.extracted,
    coalesce(cut_off.truncated, 0) as truncated,
    compared.verdict,
    compared.checked_at
from ledger.reconciliation as compared
full join cut_off
    on cut_off.source = compared.source
    and cut_off.site_id = compared.site_id
    and cut_off.site_date = compared.site_date
