-- The events of one category, action and name that a site's visitors sent, in the case they were sent in.
-- Grain: one category, action and name.
select
    category,
    action,
    name,
    sum(events) as nb_events,
    sum(events_with_value) as nb_events_with_value,
    sum(sum_value) as sum_event_value,
    min(min_value) as min_event_value,
    max(max_value) as max_event_value
from sent_events_daily
where source = $source
    and site_id = $site
    and event_date between $first and $last
    and lower(category) = lower($category)
    and lower(action) = lower($action)
    and lower(name) = lower($name)
group by
    category,
    action,
    name
order by
    nb_events desc,
    category,
    action,
    name
