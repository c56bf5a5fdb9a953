-- The first labels of a report over several periods, each of which keeps its own first rows only, and one row more.
-- A label may be missing from a period whose rows were cut; there it has as much as the last row that was kept, at
-- most. `is_exact`: it is in each of them. The row more, without a label: what any label behind the first ones may
-- have at most, and whether Matomo itself put no rows together.
-- Grain: one label (and kind: one name can be a website and a campaign).
-- web_report, main_figure, kind_of_row, mark_of_others and which_rows stand for names of ours, which the code puts in.
with kept as (
    select
        period_start,
        label,
        kind_of_row as kind,
        mark_of_others as is_others,
        coalesce(main_figure, 0) as figure
    from web_report
    where source = $source
        and site_id = $site
        and period = $period
        and period_start between $first and $last
        and which_rows
),

periods as (
    select
        period_start,
        count(*) >= $kept as is_cut,
        min(figure) filter (not is_others) as least
    from kept
    group by period_start
),

cut as (
    select
        count(*) as periods,
        coalesce(sum(least), 0) as least
    from periods
    where is_cut
),

labels as (
    select
        kept.label,
        kept.kind,
        sum(kept.figure) as total,
        count(*) filter (periods.is_cut) as cut_periods,
        coalesce(sum(periods.least) filter (periods.is_cut), 0) as least_there
    from kept
    join periods using (period_start)
    where not kept.is_others
    group by
        kept.label,
        kept.kind
),

ranked as (
    select
        labels.label,
        labels.kind,
        labels.total,
        labels.cut_periods = cut.periods as is_exact,
        labels.total + cut.least - labels.least_there as at_most,
        row_number() over (order by labels.total desc, labels.label, labels.kind) as rank
    from labels
    cross join cut
),

behind as (
    select
        max(at_most) as at_most
    from ranked
    where rank > $limit
),

others as (
    select
        coalesce(bool_or(is_others), false) as are_there
    from kept
)

select
    label,
    kind,
    total,
    is_exact,
    rank
from ranked
where rank <= $limit
union all
select
    null as label,
    null as kind,
    greatest(cut.least, coalesce(behind.at_most, 0)) as total,
    not others.are_there as is_exact,
    $limit + 1 as rank
from cut
cross join behind
cross join others
order by rank
