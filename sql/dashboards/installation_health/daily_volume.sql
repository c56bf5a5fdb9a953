-- 1.2 Daily Installation Volume: one line an environment, for every environment that ever counted an event. What is
-- drawn is events; installations (estimate) stand beside them. A day without events is 0, a day before reading began is
-- null, and the running day is left out. Default: 30 days.
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

environments as (
    select environment
    from marts.success_rate_daily
    where events > 0
    group by environment
)

-- a day on which nothing counted has a row as well
select
    days.event_date,
    environments.environment,
    coalesce(nullif(daily.events, 0), case when days.event_date >= days.first_known_day then 0 end) as events,
    coalesce(nullif(daily.installations, 0), case when days.event_date >= days.first_known_day then 0 end) as installations
from days
cross join environments
left join marts.success_rate_daily as daily
    on daily.event_date = days.event_date
    and daily.environment = environments.environment
order by days.event_date, environments.environment
