-- grain: commit_sha, is_now; counts of two spans that follow each other, events that name a commit only
select
    commit_sha as part,
    event_date >= $first as is_now,
    sum(events) as events,
    sum(failures) as failures
from commit_system_daily
where event_date between $before_first and $last
    and ($environment = 'all' or environment = $environment)
    and ($architecture is null or architecture = $architecture)
    and ($family is null or os_family = $family)
    and ($release is null or os_release = $release)
group by
    part,
    is_now
