-- What is landed and what is known about its completeness. Tables of staging and marts are made from model.yaml.

create schema raw;
create schema ledger;
create schema staging;
create schema marts;

-- grain: one event row of a Matomo visit, key (source, site_id, event_id); the key is held by landing, not by an
-- index: an index doubles the file and its upkeep costs more than the diff.
create table raw.matomo_events (
    source                varchar     not null,
    site_id               varchar     not null,
    event_id              varchar     not null,  -- pageId as text
    visit_id              bigint      not null,
    visitor_id            varchar,
    event_ts              timestamptz not null,
    fold_ambiguous        boolean     not null,  -- the repeated hour of autumn, and nothing decides which one
    category              varchar,
    action                varchar,
    name                  varchar,               -- null when not sent
    value                 double,                -- null when not sent; 0 is a value
    os_raw                varchar,               -- dimensions: null = not sent, '' = sent empty
    architecture_raw      varchar,
    commit_raw            varchar,
    duration_raw          varchar,
    error_type_raw        varchar,
    exit_code_raw         varchar,
    run_id_raw            varchar,
    sender_event_id_raw   varchar,
    contract_raw          varchar,
    visit_first_ts        timestamptz not null,
    visit_last_ts         timestamptz not null,
    landed_at             timestamptz not null,
    changed_at            timestamptz not null,
    vanished_at           timestamptz            -- gone at the source when read again; never counted
);

-- grain: one distinct thing that could not become a raw row
create table raw.quarantine (
    source      varchar     not null,
    site_id     varchar     not null,
    fingerprint varchar     not null,
    reason      varchar     not null,
    payload     varchar     not null,
    seen_at     timestamptz not null
);

-- grain: one reading of one window of one source
create sequence ledger.window_ids;
create table ledger.windows (
    window_id    bigint      not null default nextval('ledger.window_ids'),
    source       varchar     not null,
    site_id      varchar     not null,
    tier         varchar     not null,  -- recent | history | look_back | reconcile | asked
    window_start timestamptz not null,
    window_end   timestamptz not null,
    zone         varchar     not null,
    expected     bigint,                -- what a report or count announced; null when nothing did
    received     bigint      not null,  -- = duplicates + quarantined + landed
    duplicates   bigint      not null,
    quarantined  bigint      not null,
    landed       bigint      not null,
    inserted     bigint      not null,
    changed      bigint      not null,
    vanished     bigint      not null,
    truncated    bigint      not null,
    proof        varchar     not null,  -- count | drained | report | none
    status       varchar     not null,  -- complete | complete_with_loss | incomplete
    detail       varchar,
    started_at   timestamptz not null,
    finished_at  timestamptz not null
);

-- grain: one source; what is known of it between passes
create table ledger.sources (
    source              varchar     not null,
    kind                varchar     not null,
    site_id             varchar     not null,
    zone                varchar     not null,
    url                 varchar     not null,
    dimensions          varchar,       -- which dimension carried what in all that was read; null before the first pass
    proven_from         timestamptz,
    proven_to           timestamptz,   -- end of the gap-free proven range
    watermark           timestamptz,   -- min(proven_to, start of the last read - lag)
    final_before        timestamptz,   -- nothing before this will be read again
    last_read_at        timestamptz,
    last_error          varchar,
    last_error_at       timestamptz,
    refused_credentials varchar,       -- fingerprint of credentials that were refused, so that they are not tried again
    refused_at          timestamptz
);

-- one row: up to where the product may speak. A source that is more than six hours behind the others is left out, or
-- one that stopped would silence all; pages and `status` name it.
create view ledger.product_watermark as
select min(watermark) as watermark
from ledger.sources
where watermark >= (select max(watermark) from ledger.sources) - interval 6 hours;

-- grain: one visit of which the server gives only the first actions
create table ledger.truncated_visits (
    source       varchar     not null,
    site_id      varchar     not null,
    visit_id     bigint      not null,
    site_date    date        not null,  -- of its last action, in the site's zone
    truncated    bigint      not null,  -- actions that cannot be had
    seen_at      timestamptz not null
);

-- grain: one closed day of a source's site; extracted events against the source's own report
create table ledger.reconciliation (
    source       varchar     not null,
    site_id      varchar     not null,
    site_date    date        not null,
    reported     bigint,
    extracted    bigint      not null,
    truncated    bigint      not null,
    verdict      varchar     not null,  -- equal | truncated | not_archived | report_behind | differs
    reads        integer     not null,  -- how often the day was read again because it differed
    checked_at   timestamptz not null
);

-- grain: one day in the project's zone that a landing touched and no build has derived yet
create table ledger.touched_days (
    event_date date        not null,
    touched_at timestamptz not null
);

-- one row: the zone that days are cut in; fixed for the life of a home
create table ledger.project (
    zone varchar not null
);

-- grain: one model of sql/ as it was last built
create table ledger.model_state (
    model      varchar     not null,
    state_hash varchar     not null,
    built_at   timestamptz not null
);
