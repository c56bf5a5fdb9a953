-- grain: source, event_date; the events of a mirror beside those of the source it mirrors
with keyed as (
    select
        coalesce(mirror.source, mirrored.source) as mirror,
        event.mirror_of is not null as is_mirror,
        project_date(event.event_ts, parameters.project_zone) as event_date,
        date_trunc('second', event.event_ts) as event_second,
        -- one kind of source trims texts and the other does not
        coalesce(trim(event.category), '') as category,
        coalesce(trim(event.name), '') as event_name,
        coalesce(trim(event.commit_raw), '') as commit_text
    from staging.landed_events as event
    cross join seeds.parameters as parameters
    left join seeds.mirrors as mirror on mirror.source = event.source
    left join seeds.mirrors as mirrored on mirrored.mirror_of = event.source
    where event.vanished_at is null
        and event.source in (select source from seeds.mirrors union all select mirror_of from seeds.mirrors)
),

grouped as (
    select
        mirror,
        event_date,
        event_second,
        category,
        event_name,
        commit_text,
        count(*) filter (where not is_mirror) as events,
        count(*) filter (where is_mirror) as mirrored
    from keyed
    group by mirror, event_date, event_second, category, event_name, commit_text
),

by_day as (
    select
        mirror,
        event_date,
        cast(sum(events) as bigint) as events,
        cast(sum(mirrored) as bigint) as mirrored_events,
        cast(sum(least(events, mirrored)) as bigint) as in_both
    from grouped
    group by mirror, event_date
),

-- up to where both are known complete, and from where on
compared as (
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
from by_day
inner join compared on compared.source = by_day.mirror
cross join seeds.parameters as parameters
