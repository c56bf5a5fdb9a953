-- The second kind of source, sources that mirror another one, and what each pass asked of its server.

-- grain: one custom event, key (source, site_id, event_id); of copies of one event (a session that is being rebuilt)
-- the one with the greatest (session_id, event_index). Ids are text: they exceed 63 bits.
create table raw.piwik_pro_events (
    source                varchar     not null,
    site_id               varchar     not null,
    event_id              varchar     not null,
    session_id            varchar     not null,  -- as first landed; rebuilding a session changes it and nothing else
    event_index           integer,
    visitor_id            varchar,
    site_time             varchar     not null,  -- as received: the wall clock of the site, without an offset
    event_ts              timestamptz not null,
    fold_ambiguous        boolean     not null,  -- the repeated hour of autumn, and nothing decides which one
    category              varchar,               -- texts: '' = not sent or sent empty, the source does not say which
    action                varchar,
    name                  varchar,
    value                 double,                -- null when not sent; 0 is a value
    os_raw                varchar,
    architecture_raw      varchar,
    commit_raw            varchar,
    duration_raw          varchar,
    error_type_raw        varchar,
    exit_code_raw         varchar,
    run_id_raw            varchar,
    sender_event_id_raw   varchar,
    contract_raw          varchar,
    landed_at             timestamptz not null,
    changed_at            timestamptz not null,
    vanished_at           timestamptz            -- gone at the source when read again; never counted
);

-- grain: one custom event of the last hours as real-time data know it: incomplete, never counted, never in a mart; goes
-- as soon as the watermark has passed it. Its ids need not be those of raw.piwik_pro_events.
create table raw.piwik_pro_provisional (
    source                varchar     not null,
    site_id               varchar     not null,
    event_id              varchar     not null,
    visitor_id            varchar,
    site_time             varchar     not null,
    event_ts              timestamptz not null,
    fold_ambiguous        boolean     not null,
    category              varchar,
    action                varchar,
    name                  varchar,
    value                 double,
    os_raw                varchar,
    architecture_raw      varchar,
    commit_raw            varchar,
    duration_raw          varchar,
    error_type_raw        varchar,
    exit_code_raw         varchar,
    run_id_raw            varchar,
    sender_event_id_raw   varchar,
    contract_raw          varchar,
    seen_at               timestamptz not null
);

-- grain: one pass over one source, of the last week
create table ledger.passes (
    source         varchar     not null,
    site_id        varchar     not null,
    started_at     timestamptz not null,
    finished_at    timestamptz not null,
    requests       bigint      not null,
    bytes_received bigint      not null
);

-- which dimension carried what is known of each reading, so that one that was interrupted need not begin again
alter table ledger.windows add column dimensions varchar;
update ledger.windows set dimensions = sources.dimensions from ledger.sources where sources.source = windows.source;
alter table ledger.sources drop column dimensions;

alter table ledger.sources add column mirror_of varchar;         -- the source whose events this one holds again
alter table ledger.sources add column read_since timestamptz;    -- where reading began, when no start_date says it
alter table ledger.sources add column probed_at timestamptz;     -- when the older counts of the look-back were asked
alter table ledger.sources add column looked_back_at timestamptz; -- when the whole look-back was last read to its end
alter table ledger.sources add column real_time_note varchar;    -- why there are no real-time data, if there are none

-- one row: up to where the product may speak. A source that is more than six hours behind the others is left out, or
-- one that stopped would silence all; pages and `status` name it. A mirror is never counted, so it holds nothing back.
create or replace view ledger.product_watermark as
select min(watermark) as watermark
from ledger.sources
where mirror_of is null
  and watermark >= (select max(watermark) from ledger.sources where mirror_of is null) - interval 6 hours;
