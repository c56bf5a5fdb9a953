-- grain: event_date, source, kind, reason, finding; what the events of a day say that the contract does not know.
-- First one grouped pass over the day, then everything else on its few different texts.
with texts as (
    select
        event_date,
        source,
        category_raw,
        action_raw,
        name_raw,
        rule,
        left_out_reason is null and confidence = 'ambiguous' as is_ambiguous,
        case when rule in (2, 10) then value_raw end as judged_value,
        rule = 2 and outcome = 'unknown' as is_unknown_code,
        case when os_family = 'unknown' then os_raw end as unknown_os_raw,
        -- what follows from the texts above; a source has one site, so an id tells its events apart
        min(form) as form,
        bool_or(is_contract_drift) as is_contract_drift,
        min(case when os_family = 'unknown' then os_release end) as unknown_os_release,
        count(*) as events,
        min(event_ts) as first_ts,
        max(event_ts) as last_ts,
        min(event_id) as event_id,
        min(value_raw) as value_raw,
        min(os_raw) as os_raw
    from staging.installer_events
    where event_date between $first_day and $last_day
        and (left_out_reason is null or left_out_reason not in ('vanished', 'out_of_scope', 'duplicate_sender_id'))
    group by
        event_date, source, category_raw, action_raw, name_raw, rule, is_ambiguous, judged_value, is_unknown_code,
        unknown_os_raw
),

-- names of tests and of codes have rules of their own
cleaned as (
    select
        texts.*,
        coalesce(regexp_replace(name_raw, '^\s+|\s+$', '', 'g'), '') as name_text,
        lower(coalesce(regexp_replace(name_raw, '^\s+|\s+$', '', 'g'), '')) as lower_name,
        rule not in (1, 2) as is_name_judged
    from texts
),

-- how many letters a name is away from the nearest name of a test
distances as (
    select
        names.lower_name,
        min(levenshtein(names.lower_name, test_name.name)) as distance
    from (select distinct lower_name from cleaned where is_name_judged and length(lower_name) <= 60) as names
    cross join seeds.test_names as test_name
    where not test_name.is_prefix
    group by names.lower_name
),

judged as (
    select
        cleaned.*,
        case
            -- after a version an ending may follow: python_install_3.11_network_error
            when rule in (4, 5) then regexp_matches(name_text, '^[a-z][a-z0-9_]*(\.[0-9]+)*(_[a-z_]+)?$')
            else regexp_matches(name_text, '^[a-z][a-z0-9_]*(\.[0-9]+)*$')
        end as is_snake_case,
        -- as the first scripts wrote: "Visual Studio Code installation", "LaTeX_Installation_Cancelled"
        regexp_matches(name_text, '^[A-Za-z][A-Za-z0-9]*([ _.-]+[A-Za-z0-9]+)*$') and regexp_matches(name_text, '[A-Z ]')
            as is_readable,
        regexp_matches(cleaned.lower_name, '[^_ -][_ -]+(error|failed|exception|missing[_ -][a-z]+|already[_ -][a-z]+)$')
            and rule not in (3, 4, 5) as looks_like_error,
        regexp_matches(cleaned.lower_name, '(^|[^a-z])(tests?|testing|examples?)([^a-z]|$)')
            or coalesce(distances.distance between 1 and 2, false) as looks_like_test
    from cleaned
    left join distances on distances.lower_name = cleaned.lower_name
),

found as (
    select judged.*, 'form' as kind, 'seen' as reason, form as finding
    from judged

    union all

    select judged.*, 'ambiguous' as kind, 'seen' as reason, left(lower_name, 80) as finding
    from judged
    where is_ambiguous

    union all

    select
        judged.*,
        'unknown_category' as kind,
        'not_listed' as reason,
        left(lower(regexp_replace(category_raw, '^\s+|\s+$', '', 'g')), 80) as finding
    from judged
    where is_contract_drift

    union all

    select judged.*, 'unknown_os' as kind, 'not_recognised' as reason, unknown_os_release as finding
    from judged
    where regexp_matches(unknown_os_raw, '[^\s\x{00A0}]')

    union all

    select
        judged.*,
        'unknown_code' as kind,
        'not_listed' as reason,
        case
            when judged_value between 0 and 999999 and judged_value = floor(judged_value)
                then cast(cast(judged_value as integer) as varchar)
            when judged_value is not null then cast(judged_value as varchar)
            else coalesce(nullif(regexp_extract(lower_name, '^log_([0-9]{1,9})$', 1), ''), 'no value')
        end as finding
    from judged
    where is_unknown_code

    union all

    select judged.*, 'invalid_value' as kind, 'negative_or_not_finite' as reason, cast(judged_value as varchar) as finding
    from judged
    where rule = 10

    union all

    select judged.*, 'broken_name' as kind, 'missing' as reason, '(no name)' as finding
    from judged
    where is_name_judged and name_text = ''

    union all

    select judged.*, 'broken_name' as kind, 'not_snake_case' as reason, left(name_text, 80) as finding
    from judged
    where is_name_judged and name_text <> '' and not is_snake_case and not is_readable

    union all

    select judged.*, 'broken_name' as kind, 'unknown_error_suffix' as reason, left(name_text, 80) as finding
    from judged
    where is_name_judged and looks_like_error

    union all

    select judged.*, 'broken_name' as kind, 'near_test_name' as reason, left(name_text, 80) as finding
    from judged
    where is_name_judged and looks_like_test

    union all

    select judged.*, 'broken_name' as kind, 'too_long' as reason, left(name_text, 80) as finding
    from judged
    where is_name_judged and length(name_text) > 60

    union all

    select judged.*, 'old_name' as kind, 'readable' as reason, left(name_text, 80) as finding
    from judged
    where is_name_judged and is_readable and not is_snake_case
),

-- the example of a finding is its most frequent way of being sent
ordered as (
    select
        found.*,
        row_number() over (
            partition by event_date, source, kind, reason, finding
            order by events desc, event_id
        ) as place
    from found
)

select
    event_date,
    source,
    kind,
    reason,
    finding,
    sum(events) as events,
    min(first_ts) as first_ts,
    max(last_ts) as last_ts,
    max(case when place = 1 then left(category_raw, 80) end) as category_raw,
    max(case when place = 1 then left(action_raw, 80) end) as action_raw,
    max(case when place = 1 then left(name_raw, 80) end) as name_raw,
    max(case when place = 1 then value_raw end) as value_raw,
    max(case when place = 1 then left(os_raw, 80) end) as os_raw,
    max(case when place = 1 then event_id end) as event_id
from ordered
group by event_date, source, kind, reason, finding
