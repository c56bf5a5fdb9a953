-- 3.3 Component Installation Trends: success rate by day of the five components with most events in the window, ties by
-- name. Where a day has no events the rate is null and its line has a gap; events are 0 then, or null before reading
-- began. The running day is left out. `place` is the order of the lines. Default: 30 days.
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

ranked as (
    select
        daily.component,
        row_number() over (order by sum(daily.events) desc, daily.component) as place
    from marts.component_daily as daily
    inner join period on daily.event_date between period.first_day and period.last_day
    where daily.environment = $environment
    group by daily.component
)

select
    days.event_date,
    ranked.place,
    ranked.component,
    coalesce(daily.events, case when days.event_date >= days.first_known_day then 0 end) as events,
    coalesce(daily.successes, case when days.event_date >= days.first_known_day then 0 end) as successes,
    daily.success_rate
from days
cross join ranked
left join marts.component_daily as daily
    on daily.event_date = days.event_date
    and daily.environment = $environment
    and daily.component = ranked.component
where ranked.place <= 5
order by days.event_date, ranked.place
