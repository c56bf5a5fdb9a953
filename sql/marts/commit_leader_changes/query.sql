-- grain: event_date; days on which another commit leads production than on the last day that had one
with ranked as (
    select
        event_date,
        commit_sha,
        events,
        row_number() over (partition by event_date order by events desc, commit_sha) as place
    from marts.commit_daily
    where environment = 'production'
),

leaders as (
    select
        event_date,
        commit_sha,
        events,
        lag(cast(commit_sha as varchar)) over (order by event_date, commit_sha) as former_sha
    from ranked
    where place = 1
)

select
    leaders.event_date,
    leaders.former_sha as from_commit,
    leaders.commit_sha as to_commit,
    coalesce(former_day.events, 0) as from_events,
    leaders.events as to_events,
    former_life.first_seen as from_first_seen,
    life.first_seen as to_first_seen,
    life.first_seen < former_life.first_seen as is_rollback
from leaders
inner join marts.commit_performance as life on life.commit_sha = leaders.commit_sha
inner join marts.commit_performance as former_life on former_life.commit_sha = leaders.former_sha
left join marts.commit_daily as former_day
    on former_day.event_date = leaders.event_date
    and former_day.environment = 'production'
    and former_day.commit_sha = leaders.former_sha
where leaders.former_sha <> leaders.commit_sha
