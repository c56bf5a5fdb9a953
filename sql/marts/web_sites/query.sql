-- grain: source, site_id; a site whose web reports are read
with final_days as (
    select
        source,
        site_id,
        max(period_start) as last_complete_day
    from ledger.web_periods
    where period = 'day'
        and state = 'final'
    group by source, site_id
)

select
    site.source,
    site.site_id,
    site.name,
    site.url,
    site.zone,
    coalesce(site.currency, '') as currency,
    site.has_ecommerce,
    site.first_day,
    final_days.last_complete_day,
    site.read_at as as_of
from ledger.web_sites as site
left join final_days
    on final_days.source = site.source
    and final_days.site_id = site.site_id
where site.name is not null
