-- #fail quantiles_are_in_order: no quantile is above a higher one
select window_days, environment, component, architecture
from marts.duration_window
where min_s > p10_s
    or p10_s > p25_s
    or p25_s > median_s
    or median_s > p75_s
    or p75_s > p90_s
    or p90_s > p95_s
    or p95_s > max_s;

-- #fail all_is_the_sum: the events of all architectures are the sum over architectures
select window_days, environment, component
from marts.duration_window
group by window_days, environment, component
having sum(case when architecture = 'all' then events else 0 end)
    <> sum(case when architecture <> 'all' then events else 0 end);
