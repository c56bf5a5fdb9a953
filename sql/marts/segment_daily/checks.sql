-- #fail segments_add_up_to_releases: events and installations of a release and day are the sums over its architectures
with by_segment as (
    select event_date, environment, os_family, os_release, sum(events) as events, sum(installations) as installations
    from marts.segment_daily
    where event_date between $first_day and $last_day
    group by event_date, environment, os_family, os_release
),

by_release as (
    select event_date, environment, os_family, os_release, events, installations
    from marts.os_daily
    where event_date between $first_day and $last_day
)

select coalesce(by_segment.event_date, by_release.event_date) as event_date
from by_segment
full join by_release
    on by_release.event_date = by_segment.event_date
    and by_release.environment = by_segment.environment
    and by_release.os_family = by_segment.os_family
    and by_release.os_release = by_segment.os_release
where by_segment.events is distinct from by_release.events
    or by_segment.installations is distinct from by_release.installations;
