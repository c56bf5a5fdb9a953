-- grain: one landed event row; everything but the decision on value 0, which needs evidence from other rows
with cleaned as (
    select
        event.source,
        event.site_id,
        event.event_id,
        event.session_id,
        event.visitor_id,
        event.event_ts,
        event.fold_ambiguous,
        event.category as category_raw,
        event.action as action_raw,
        event.name as name_raw,
        event.value as value_raw,
        event.os_raw,
        event.architecture_raw,
        event.commit_raw,
        event.landed_at,
        event.vanished_at is not null as is_vanished,
        project_date(event.event_ts, parameters.project_zone) as event_date,
        lower(regexp_replace(event.category, '^\s+|\s+$', '', 'g')) as category,
        regexp_replace(lower(regexp_replace(event.name, '^\s+|\s+$', '', 'g')), '\s+', '_', 'g') as event_name,
        coalesce(lower(regexp_replace(event.architecture_raw, '^\s+|\s+$', '', 'g')), '') as architecture_text,
        coalesce(lower(regexp_replace(event.commit_raw, '^\s+|\s+$', '', 'g')), '') as commit_text,
        -- captions of Windows in some languages hold no-break spaces
        regexp_replace(
            regexp_replace(coalesce(event.os_raw, ''), '[\s\x{00A0}]+', ' ', 'g'), '^ | $', '', 'g'
        ) as os_text,
        nullif(regexp_replace(event.sender_event_id_raw, '^\s+|\s+$', '', 'g'), '') as sender_event_id,
        nullif(regexp_replace(event.contract_raw, '^\s+|\s+$', '', 'g'), '') as contract_version,
        nullif(lower(regexp_replace(event.error_type_raw, '^\s+|\s+$', '', 'g')), '') as contract_error_type,
        try_cast(event.duration_raw as double) as contract_duration,
        try_cast(event.exit_code_raw as integer) as exit_code
    from staging.landed_events as event
    cross join seeds.parameters as parameters
    where event.mirror_of is null
),

-- the parts by which a name is looked up; seeds hold the words, so that equality finds the longest one first
named as (
    select
        cleaned.*,
        regexp_extract(event_name, '.(_[^_]+)$', 1) as last_word,
        regexp_extract(event_name, '.(_[^_]+_[^_]+)$', 1) as last_two_words,
        regexp_extract(event_name, '.(_[^_]+_[^_]+_[^_]+)$', 1) as last_three_words,
        regexp_extract(event_name, '^([^_]+_)', 1) as first_word,
        regexp_extract(event_name, '^([^_]+_[^_]+_)', 1) as first_two_words,
        regexp_matches(event_name, '^log(_[0-9]+)?$') as is_code_name,
        case
            when value_raw is null then try_cast(nullif(regexp_extract(event_name, '^log_([0-9]+)$', 1), '') as integer)
            when value_raw between 0 and 999999 and value_raw = floor(value_raw) then cast(value_raw as integer)
        end as code,
        regexp_matches(commit_text, '^[0-9]+\.[0-9]+\.[0-9]+$') as is_version_commit,
        -- not a number sorts above every number, so the bounds refuse it as well as both infinities
        value_raw between 0 and 1.7976931348623157e308 as is_valid_value
    from cleaned
),

looked_up as (
    select
        named.*,
        category_seed.environment as category_environment,
        category_seed.category is not null as is_category_known,
        category_seed.category is not null or left(coalesce(named.category, ''), 9) = 'installer' as is_in_scope,
        coalesce(category_seed.is_code, false) or coalesce(named.is_code_name, false) as is_code,
        code_seed.component as code_component,
        code_seed.outcome as code_outcome,
        coalesce(suffix_three.suffix, suffix_two.suffix, suffix_one.suffix) as error_suffix,
        coalesce(suffix_three.error_type, suffix_two.error_type, suffix_one.error_type) as suffix_error_type,
        coalesce(marker_two.ending, marker_one.ending) as marker_ending,
        coalesce(marker_two.outcome, marker_one.outcome) as marker_outcome,
        first_version.ending as first_version_ending,
        first_version.outcome as first_version_outcome,
        run_start.name is not null as is_run_start_name
    from named
    left join seeds.categories as category_seed on category_seed.category = named.category
    left join seeds.component_codes as code_seed on code_seed.code = named.code
    left join seeds.error_suffixes as suffix_three on suffix_three.suffix = named.last_three_words
    left join seeds.error_suffixes as suffix_two on suffix_two.suffix = named.last_two_words
    left join seeds.error_suffixes as suffix_one on suffix_one.suffix = named.last_word
    left join seeds.marker_endings as marker_two on marker_two.ending = named.last_two_words
    left join seeds.marker_endings as marker_one on marker_one.ending = named.last_word
    left join seeds.first_version_endings as first_version on first_version.ending = named.last_word
    left join seeds.run_starts as run_start on run_start.name = named.event_name
),

-- first match wins; 11 is the contract of our own sender, asked after the names and before the values
ruled as (
    select
        looked_up.*,
        case
            when not is_in_scope then null
            when coalesce(test_name.name, test_word.name, test_words.name) is not null then 1
            when is_code then 2
            when is_version_commit then 3
            when error_suffix is not null then 4
            when marker_ending is not null then 5
            when contract_version is not null then 11
            when value_raw is null then 6
            when not is_valid_value then 10
            when value_raw >= 2 or value_raw <> floor(value_raw) then 7
            when value_raw = 1 then 8
            else 9
        end as rule
    from looked_up
    -- a test that failed carries an error suffix too
    left join seeds.test_names as test_name
        on not test_name.is_prefix
        and test_name.name = left(looked_up.event_name, length(looked_up.event_name) - coalesce(length(looked_up.error_suffix), 0))
    left join seeds.test_names as test_word on test_word.is_prefix and test_word.name = looked_up.first_word
    left join seeds.test_names as test_words on test_words.is_prefix and test_words.name = looked_up.first_two_words
),

read as (
    select
        ruled.*,
        case when is_in_scope then coalesce(category_environment, 'unknown') else 'unknown' end as environment,
        case
            when rule = 1 then 'test'
            when rule = 2 then 'code'
            when rule = 3 then 'first_version'
            when rule in (4, 7) then 'enhanced'
            when rule = 5 then 'marker'
            when rule = 6 then 'basic'
            when rule in (8, 9) then 'ambiguous'
            when rule = 10 then 'invalid'
            when rule = 11 then 'contract'
        end as form,
        case
            when rule = 2 then coalesce(code_outcome, 'unknown')
            when rule = 3 then coalesce(first_version_outcome, 'unknown')
            when rule = 4 then 'failure'
            when rule = 5 then marker_outcome
            when rule in (7, 8) then 'success'
            when rule = 9 then 'zero'
            when rule = 11 and value_raw = 1 then 'success'
            when rule = 11 and value_raw = 0 then 'failure'
            else 'unknown'
        end as outcome,
        left(
            coalesce(event_name, ''),
            length(coalesce(event_name, '')) - coalesce(
                length(case when rule = 3 then first_version_ending end), length(error_suffix), length(marker_ending), 0
            )
        ) as component_name
    from ruled
),

-- the operating system's text, told apart by its first word
systems as (
    select
        read.*,
        lower(os_text) as os_lower,
        case
            when regexp_matches(lower(os_text), '^(darwin|macos|mac os x|mac os)([^a-z]|$)') then 'macOS'
            when regexp_matches(lower(os_text), '^linux([^a-z]|$)') then 'Linux'
            when regexp_matches(lower(os_text), '^(microsoft )?windows([^a-z]|$)') then 'Windows'
            else 'unknown'
        end as os_family
    from read
),

system_parts as (
    select
        systems.*,
        nullif(regexp_extract(os_lower, '^(?:darwin|macos|mac os x|mac os) ?([0-9]+(?:\.[0-9]+){0,2})', 1), '') as macos_number,
        -- what follows "Linux", without the code name in brackets
        regexp_replace(regexp_replace(os_text, '^[A-Za-z]+ ?', ''), ' ?\(.*$', '') as linux_text,
        nullif(regexp_extract(os_lower, '([0-9]+\.[0-9]+\.[0-9]+)', 1), '') as windows_number,
        nullif(regexp_extract(os_lower, 'windows server ([0-9]{4}( r2)?)', 1), '') as windows_server,
        nullif(regexp_extract(os_lower, 'windows ([0-9]+(?:\.[0-9]+)?)(?:[^0-9.]|$)', 1), '') as windows_caption
    from systems
),

system_numbers as (
    select
        system_parts.*,
        case
            when regexp_matches(macos_number, '^10\.16') then '11+'
            else macos_number
        end as macos_version,
        case
            when regexp_matches(linux_text, '^[0-9]') then 'Linux'
            when regexp_matches(linux_text, '. [0-9]+(\.[0-9]+)*([^0-9].*)?$')
                then regexp_extract(linux_text, '^(.+?) [0-9]+(?:\.[0-9]+)*(?:[^0-9].*)?$', 1)
            when lower(linux_text) in ('', 'unknown') then 'Linux'
            else linux_text
        end as linux_name,
        case
            when regexp_matches(linux_text, '^[0-9]') then regexp_extract(linux_text, '^([0-9]+(?:\.[0-9]+){0,2})', 1)
            else nullif(regexp_extract(linux_text, '^.+? ([0-9]+(?:\.[0-9]+)*)(?:[^0-9].*)?$', 1), '')
        end as linux_version,
        case
            when windows_server is not null then 'Windows Server ' || upper(windows_server)
            when regexp_matches(windows_number, '^10\.0\.')
                then case
                    when try_cast(regexp_extract(windows_number, '([0-9]+)$', 1) as integer) >= 22000 then 'Windows 11'
                    else 'Windows 10'
                end
            when regexp_matches(windows_number, '^6\.3\.') then 'Windows 8.1'
            when regexp_matches(windows_number, '^6\.2\.') then 'Windows 8'
            when regexp_matches(windows_number, '^6\.1\.') then 'Windows 7'
            when windows_caption = '10.0' then 'Windows 10'
            when windows_caption is not null then 'Windows ' || windows_caption
            else 'Windows'
        end as windows_release
    from system_parts
),

system_read as (
    select
        system_numbers.*,
        case os_family
            when 'macOS' then macos_version
            when 'Linux' then linux_version
            when 'Windows' then coalesce(windows_number, lower(windows_server), windows_caption)
        end as os_version,
        case os_family
            when 'macOS' then 'macOS' || coalesce(' ' || regexp_extract(macos_version, '^([0-9]+(?:\.[0-9]+|\+)?)', 1), '')
            when 'Linux' then left(linux_name, 40) || coalesce(' ' || regexp_extract(linux_version, '^([0-9]+(?:\.[0-9]+)?)', 1), '')
            when 'Windows' then windows_release
            -- an unknown system keeps its own words, so that it shows up as a new one
            else coalesce(nullif(left(regexp_replace(os_text, ' ?\(.*$', ''), 60), ''), 'unknown')
        end as os_release,
        coalesce(
            nullif(regexp_extract(macos_version, '^(10\.[0-9]+)', 1), ''),
            regexp_extract(macos_version, '^([0-9]+)(?:\.|$)', 1)
        ) as macos_release_text,
        case
            when architecture_text in ('arm64', 'aarch64') then 'arm64'
            when architecture_text in ('x86_64', 'amd64', 'x64') then 'x86_64'
            when architecture_text in ('x86', 'i386', 'i686') then 'x86'
            else 'unknown'
        end as architecture,
        case
            when regexp_matches(commit_text, '^([0-9a-f]{7}|[0-9a-f]{40})$') then left(commit_text, 7)
        end as commit_sha,
        case
            when regexp_matches(commit_text, '^([0-9a-f]{7}|[0-9a-f]{40})$') then null
            when commit_text = '' then 'empty'
            when commit_text = 'unknown' then 'unknown'
            when commit_text = 'test001' then 'test001'
            when is_version_commit then 'version'
            else 'garbage'
        end as commit_reason
    from system_numbers
)

select
    reading.source,
    reading.site_id,
    reading.event_id,
    reading.event_ts,
    reading.event_date,
    reading.is_in_scope,
    reading.is_vanished,
    reading.is_category_known,
    reading.environment,
    case
        when not reading.is_in_scope then null
        when reading.rule = 2 then reading.code_component
        when reading.component_name = '' then 'unnamed'
        -- marts say "all" for the sum of all components
        when reading.component_name = 'all' then 'component_all'
        else reading.component_name
    end as component,
    reading.outcome,
    case
        when reading.rule = 4 then reading.suffix_error_type
        when reading.rule = 11 and reading.outcome = 'failure' then reading.contract_error_type
    end as error_type,
    case
        when reading.rule = 7 then reading.value_raw
        when reading.rule = 11 and reading.contract_duration between 0 and 1.7976931348623157e308
            then reading.contract_duration
    end as duration_s,
    reading.form,
    reading.rule,
    reading.os_family,
    reading.os_version,
    reading.os_release,
    case reading.os_family
        when 'macOS' then macos_name.name
        when 'Linux' then left(reading.linux_name, 40)
        when 'Windows' then reading.windows_release
    end as os_name,
    reading.architecture,
    reading.commit_sha,
    reading.commit_reason,
    case
        when reading.visitor_id <> '' then left(
            md5(
                reading.source || '|' || reading.site_id || '|' || reading.visitor_id || '|' || reading.os_family || '|'
                || coalesce(reading.os_version, '') || '|' || reading.architecture
            ),
            16
        )
    end as machine_key,
    reading.source || '|' || reading.site_id || '|' || reading.session_id as session_key,
    reading.sender_event_id,
    reading.contract_version,
    reading.exit_code,
    coalesce(reading.rule = 2 and reading.code = 1 or reading.rule = 5 and reading.is_run_start_name, false) as is_run_start,
    reading.category_raw,
    reading.action_raw,
    reading.name_raw,
    reading.value_raw,
    reading.os_raw,
    reading.architecture_raw,
    reading.commit_raw,
    reading.fold_ambiguous,
    reading.landed_at
from system_read as reading
left join seeds.macos_names as macos_name on macos_name.release = reading.macos_release_text
