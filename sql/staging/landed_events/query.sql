-- grain: source, site_id, event_id; every landed event of every kind of source in one shape
select
    event.source,
    event.site_id,
    event.event_id,
    mirror.mirror_of,
    event.session_id,
    event.visitor_id,
    event.event_ts,
    event.fold_ambiguous,
    event.category,
    event.action,
    event.name,
    event.value,
    event.os_raw,
    event.architecture_raw,
    event.commit_raw,
    event.duration_raw,
    event.error_type_raw,
    event.exit_code_raw,
    event.run_id_raw,
    event.sender_event_id_raw,
    event.contract_raw,
    event.landed_at,
    event.vanished_at
from (
    select
        source,
        site_id,
        event_id,
        cast(visit_id as varchar) as session_id,
        visitor_id,
        event_ts,
        fold_ambiguous,
        category,
        action,
        name,
        value,
        os_raw,
        architecture_raw,
        commit_raw,
        duration_raw,
        error_type_raw,
        exit_code_raw,
        run_id_raw,
        sender_event_id_raw,
        contract_raw,
        landed_at,
        vanished_at
    from raw.matomo_events

    union all

    -- Piwik PRO has no way to say that a text was not sent
    select
        source,
        site_id,
        event_id,
        session_id,
        nullif(visitor_id, '') as visitor_id,
        event_ts,
        fold_ambiguous,
        nullif(category, '') as category,
        nullif(action, '') as action,
        nullif(name, '') as name,
        value,
        nullif(os_raw, '') as os_raw,
        nullif(architecture_raw, '') as architecture_raw,
        nullif(commit_raw, '') as commit_raw,
        nullif(duration_raw, '') as duration_raw,
        nullif(error_type_raw, '') as error_type_raw,
        nullif(exit_code_raw, '') as exit_code_raw,
        nullif(run_id_raw, '') as run_id_raw,
        nullif(sender_event_id_raw, '') as sender_event_id_raw,
        nullif(contract_raw, '') as contract_raw,
        landed_at,
        vanished_at
    from raw.piwik_pro_events
) as event
left join seeds.mirrors as mirror on mirror.source = event.source
