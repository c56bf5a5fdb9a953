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
    where event.event_ts >= $start_ts
        and event.event_ts < $end_ts
        and event.vanished_at is null
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
)

select
    mirror as source,
    event_date,
    cast(sum(events) as bigint) as events,
    cast(sum(mirrored) as bigint) as mirrored_events,
    cast(sum(least(events, mirrored)) as bigint) as in_both
from grouped
group by mirror, event_date
