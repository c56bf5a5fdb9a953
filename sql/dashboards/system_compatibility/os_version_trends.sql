-- 2.4 OS Version Trends: events by day for the six releases with most events in the window (ties by family and release)
-- and one line "other" for all the rest where there is any. A day without events is 0, a day before reading began is
-- null, the running day is left out. `place` is the order of the lines. Default: 30 days.
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
        daily.os_family,
        daily.os_release,
        daily.events
    from marts.os_daily as daily
    inner join period on daily.event_date between period.first_day and period.last_day
    where daily.environment = $environment
        and daily.events > 0
),

ranked as (
    select
        os_family,
        os_release,
        row_number() over (order by sum(events) desc, os_family, os_release) as place
    from daily_events
    group by os_family, os_release
),

placed as (
    select
        case when place <= 6 then os_family else 'other' end as line_family,
        case when place <= 6 then os_release else 'other' end as line_release,
        least(place, 7) as line_place,
        os_family,
        os_release
    from ranked
),

lines as (
    select
        line_family,
        line_release,
        line_place
    from placed
    group by line_family, line_release, line_place
),

line_events as (
    select
        daily_events.event_date,
        placed.line_place,
        cast(sum(daily_events.events) as bigint) as events
    from daily_events
    inner join placed
        on placed.os_family = daily_events.os_family
        and placed.os_release = daily_events.os_release
    group by daily_events.event_date, placed.line_place
)

select
    days.event_date,
    lines.line_place as place,
    lines.line_family as os_family,
    lines.line_release as os_release,
    coalesce(line_events.events, case when days.event_date >= days.first_known_day then 0 end) as events
from days
cross join lines
left join line_events
    on line_events.event_date = days.event_date
    and line_events.line_place = lines.line_place
order by days.event_date, lines.line_place
