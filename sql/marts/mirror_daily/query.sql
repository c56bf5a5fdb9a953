-- grain: source, event_date; the events of a mirror beside those of the source it mirrors
-- up to where both are known complete, and from where on
with compared as (
    select
        mirrors.source,
        mirrors.mirror_of,
        least(copy_state.watermark, original.watermark) as compared_until,
        greatest(copy_state.proven_from, original.proven_from) as compared_from
    from seeds.mirrors as mirrors
    left join ledger.sources as copy_state on copy_state.source = mirrors.source
    left join ledger.sources as original on original.source = mirrors.mirror_of
)

select
    compared.source,
    by_day.event_date,
    compared.mirror_of,
    by_day.events,
    by_day.mirrored_events,
    by_day.in_both,
    case
        when compared.compared_until is null
            or by_day.event_date >= project_date(compared.compared_until, parameters.project_zone)
            or by_day.event_date < project_date(compared.compared_from, parameters.project_zone)
            then 'open'
        when by_day.events = by_day.in_both and by_day.mirrored_events = by_day.in_both then 'equal'
        else 'differs'
    end as verdict
from staging.mirror_days as by_day
inner join compared on compared.source = by_day.source
cross join seeds.parameters as parameters
