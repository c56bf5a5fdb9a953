-- 4.2 Version Rollback Detection: production events by day for the eight commits with most of them in the window (ties by
-- name) and one line "other" for all the rest where there is any; events that name no commit are in none. A day without
-- events is 0, a day before reading began is null, the running day is left out. `place` is the order of the lines. The
-- dashed marks are in version_rollback.changes.sql. Default: 30 days.
with period as (
    select
        last_complete_day - cast($days as integer) + 1 as first_day,
        last_complete_day as last_day,
        first_known_day
    from marts.project_day
),

days as (
    select
        cast(unnest(generate_series(first_day, last_day, interval 1 day)) as date) as event_date,
        first_known_day
    from period
),

daily_events as (
    select
        daily.event_date,
        daily.commit_sha,
        daily.events
    from marts.commit_daily as daily
    inner join period on daily.event_date between period.first_day and period.last_day
    where daily.environment = 'production'
),

ranked as (
    select
        commit_sha,
        row_number() over (order by sum(events) desc, commit_sha) as place
    from daily_events
    group by commit_sha
),

placed as (
    select
        commit_sha,
        case when place <= 8 then commit_sha else 'other' end as line_commit,
        least(place, 9) as line_place
    from ranked
),

lines as (
    select
        line_commit,
        line_place
    from placed
    group by line_commit, line_place
),

line_events as (
    select
        daily_events.event_date,
        placed.line_place,
        cast(sum(daily_events.events) as bigint) as events
    from daily_events
    inner join placed on placed.commit_sha = daily_events.commit_sha
    group by daily_events.event_date, placed.line_place
)

select
    days.event_date,
    lines.line_place as place,
    lines.line_commit as commit_sha,
    coalesce(line_events.events, case when days.event_date >= days.first_known_day then 0 end) as events
from days
cross join lines
left join line_events
    on line_events.event_date = days.event_date
    and line_events.line_place = lines.line_place
order by days.event_date, lines.line_place
