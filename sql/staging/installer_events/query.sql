-- grain: one landed event row, read completely; every raw row is here, counted or with the reason why not
with readings as (
    select *
    from staging.event_readings
    where event_ts >= $start_ts
        and event_ts < $end_ts
),

-- the same event sent again; told within a day, so that a day can be derived alone
repeats as (
    select
        source,
        site_id,
        event_id
    from staging.event_readings
    where event_ts >= $start_ts
        and event_ts < $end_ts
        and sender_event_id is not null
        and is_in_scope
        and not is_vanished
    qualify row_number() over (
        partition by source, site_id, event_date, sender_event_id
        order by event_ts, event_id
    ) > 1
),

-- the nearest evidence on value 0: of the component, else of all components of that environment and commit. None for
-- rows that have vanished: they are not counted, and neither give evidence nor follow it
evidenced as (
    select
        reading.*,
        repeats.event_id is not null as is_repeat,
        case
            when of_component.verdict <> 'none' then of_component.verdict
            else coalesce(of_environment.verdict, 'none')
        end as verdict
    from readings as reading
    left join repeats
        on repeats.source = reading.source
        and repeats.site_id = reading.site_id
        and repeats.event_id = reading.event_id
    left join staging.zero_evidence as of_component
        on of_component.evidence_level = 'component'
        and not reading.is_vanished
        and of_component.component = reading.component
        and of_component.environment = reading.environment
        and coalesce(of_component.commit_sha, '') = coalesce(reading.commit_sha, '')
    left join staging.zero_evidence as of_environment
        on of_environment.evidence_level = 'environment'
        and not reading.is_vanished
        and of_environment.environment = reading.environment
        and coalesce(of_environment.commit_sha, '') = coalesce(reading.commit_sha, '')
),

decided as (
    select
        evidenced.*,
        case
            when evidenced.outcome <> 'zero' then evidenced.outcome
            when verdict = 'enhanced' then 'success'
            when verdict = 'mixed' then parameters.zero_value
            else 'failure'
        end as decided_outcome,
        case
            when evidenced.rule = 8 and verdict = 'enhanced' then 1.0
            when evidenced.rule = 9 and verdict = 'enhanced' then 0.0
            else evidenced.duration_s
        end as decided_duration_s,
        case
            when evidenced.rule = 9 and verdict = 'mixed' then 'ambiguous'
            when evidenced.rule = 9 then 'inferred'
            when evidenced.rule is not null then 'certain'
        end as confidence
    from evidenced
    cross join seeds.parameters as parameters
),

judged as (
    select
        decided.*,
        case
            when is_vanished then 'vanished'
            when not is_in_scope then 'out_of_scope'
            when is_repeat then 'duplicate_sender_id'
            when form = 'test' then 'test'
            when form = 'marker' then 'marker'
            when form = 'invalid' then 'invalid_value'
            when decided_outcome = 'started' then 'started'
            when decided_outcome = 'finished' then 'finished'
            when decided_outcome = 'cancelled' then 'cancelled'
            when decided_outcome in ('success', 'failure') then null
            else 'unknown_outcome'
        end as left_out_reason
    from decided
)

select
    source,
    site_id,
    event_id,
    event_ts,
    event_date,
    environment,
    component,
    decided_outcome as outcome,
    error_type,
    decided_duration_s as duration_s,
    form,
    rule,
    confidence,
    left_out_reason is null as counted,
    left_out_reason,
    os_family,
    os_version,
    os_release,
    architecture,
    commit_sha,
    commit_reason,
    machine_key,
    session_key,
    sender_event_id,
    contract_version,
    exit_code,
    category_raw,
    action_raw,
    name_raw,
    value_raw,
    os_raw,
    architecture_raw,
    commit_raw,
    fold_ambiguous,
    landed_at,
    os_name,
    is_run_start,
    is_in_scope and not is_category_known as is_contract_drift
from judged
