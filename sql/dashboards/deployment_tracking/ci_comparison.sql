-- 4.3 CI vs Production Performance: a table by component, and over all of them in the last row ("all"), of the success
-- rate of each side with its 95 % Wilson interval, the gap in percentage points (CI minus production, null where a side
-- has no events), and the verdict on production over units, mix adjusted in the last row. Marked is what is green in CI
-- (more than 95 % of its events there succeeded) and worse in production by more than chance. Top error types of each
-- side are in ci_comparison.errors.sql. Default: 30 days.
select
    component,
    production_events,
    production_successes,
    production_success_rate,
    production_success_rate_low,
    production_success_rate_high,
    ci_events,
    ci_successes,
    ci_success_rate,
    ci_success_rate_low,
    ci_success_rate_high,
    gap_points,
    chance_worse,
    verdict,
    verdict = 'worse' and 100 * ci_successes > 95 * ci_events as is_marked
from marts.ci_vs_production
where window_days = cast($days as integer)
order by case when component = 'all' then 1 else 0 end, component
