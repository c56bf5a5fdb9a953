-- grain: source; what has been read of it and how far it is proven
with readings as (
    select
        source,
        site_id,
        count(*) filter (where status = 'complete') as windows_complete,
        count(*) filter (where status = 'complete_with_loss') as windows_with_loss,
        count(*) filter (where status not in ('complete', 'complete_with_loss')) as windows_incomplete,
        sum(received) as received,
        sum(duplicates) as duplicates,
        sum(quarantined) as quarantined,
        sum(landed) as landed
    from ledger.windows
    group by source, site_id
),

-- by visit, since every reading of a window that holds the visit counts it again
cut_off as (
    select
        source,
        site_id,
        sum(truncated) as truncated
    from ledger.truncated_visits
    group by source, site_id
),

differences as (
    select
        source,
        site_id,
        count(*) filter (where verdict = 'differs') as open_differences
    from ledger.reconciliation
    group by source, site_id
)

select
    sources.source,
    sources.kind,
    sources.mirror_of,
    sources.site_id,
    sources.zone,
    sources.watermark,
    sources.proven_from,
    sources.proven_to,
    sources.final_before,
    sources.last_read_at,
    coalesce(readings.windows_complete, 0) as windows_complete,
    coalesce(readings.windows_with_loss, 0) as windows_with_loss,
    coalesce(readings.windows_incomplete, 0) as windows_incomplete,
    coalesce(readings.received, 0) as received,
    coalesce(readings.duplicates, 0) as duplicates,
    coalesce(readings.quarantined, 0) as quarantined,
    coalesce(readings.landed, 0) as landed,
    coalesce(cut_off.truncated, 0) as truncated,
    coalesce(differences.open_differences, 0) as open_differences,
    sources.last_error,
    sources.last_error_at
from ledger.sources as sources
left join readings on readings.source = sources.source and readings.site_id = sources.site_id
left join cut_off on cut_off.source = sources.source and cut_off.site_id = sources.site_id
left join differences on differences.source = sources.source and differences.site_id = sources.site_id
