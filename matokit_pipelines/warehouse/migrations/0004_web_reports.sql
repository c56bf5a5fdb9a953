-- Matomo's web reports: what was landed, and what is known of each period. None of it moves the product's watermark.

-- grain: one report of one period of one site; key (source, site_id, report, subject, period, period_start). A period
-- that is unknown has no row here.
create table raw.web_reports (
    source       varchar     not null,
    site_id      varchar     not null,
    report       varchar     not null,
    subject      varchar     not null,  -- the number of a goal; '' for every other report
    period       varchar     not null,  -- day | week | month
    period_start date        not null,  -- days in the site's zone
    period_end   date        not null,
    body         varchar     not null using compression uncompressed,  -- JSON as received: an object of figures or a list of rows
    rows         bigint      not null,  -- rows kept; 1 for an object
    fetched_at   timestamptz not null,  -- when it was asked for
    state        varchar     not null   -- final | provisional
);

-- grain: one source; its site as Matomo describes it, and how the last pass ended
create table ledger.web_sites (
    source              varchar not null,
    site_id             varchar not null,
    zone                varchar not null,
    url                 varchar not null,
    name                varchar,
    currency            varchar,
    has_ecommerce       boolean not null,
    first_day           date,              -- no report begins before it, in the site's zone
    read_at             timestamptz,       -- when a pass last read what was due; null before the first
    last_error          varchar,
    last_error_at       timestamptz,
    refused_credentials varchar,           -- fingerprint of credentials that were refused
    refused_at          timestamptz
);

-- grain: one period of one site; key (source, site_id, period, period_start)
create table ledger.web_periods (
    source       varchar     not null,
    site_id      varchar     not null,
    period       varchar     not null,  -- day | week | month
    period_start date        not null,
    period_end   date        not null,
    state        varchar     not null,  -- final | provisional | unknown
    visits       bigint,                -- null while unknown
    is_proven    boolean     not null,  -- for 0 visits: that nobody came, not that Matomo has not counted yet
    reports      bigint      not null,  -- reports landed
    fetched_at   timestamptz,           -- when the least fresh of them was asked for; null without one
    asked_at     timestamptz not null
);

-- grain: one goal of one site, also when it is no longer there
create table ledger.web_goals (
    source          varchar not null,
    site_id         varchar not null,
    goal_id         varchar not null,
    name            varchar not null,
    match_attribute varchar not null
);

-- grain: one report that the site's Matomo does not give
create table ledger.web_refusals (
    source   varchar     not null,
    site_id  varchar     not null,
    report   varchar     not null,
    said     varchar     not null,
    noted_at timestamptz not null
);

-- grain: one period that was landed or put away and that no build has derived yet
create table ledger.touched_web (
    source       varchar not null,
    site_id      varchar not null,
    period       varchar not null,
    period_start date    not null
);
