-- hits that the tool server accepted, on their way to a Matomo
create table tracking_queue (
    -- the order in which they were accepted
    id integer primary key autoincrement,
    site text not null,
    site_name text not null,
    -- the address it goes to, as of its acceptance: holds are by address
    tracker text not null,
    -- hits of one lane are sent one after the other: a visitor of a site, or a hit that names none
    lane text not null,
    kind text not null check (kind in ('pageview', 'event', 'goal')),
    -- fields of the form as JSON, never a token; emptied when it is done
    payload text not null,
    page_view text,
    -- what the caller knows it by, until the key ends; `digest` tells another hit under the same key
    idempotency_key text unique,
    key_until text,
    digest text not null,
    -- it came with a key: it is not sent again once an attempt may have delivered it
    is_once integer not null check (is_once in (0, 1)),
    state text not null check (state in ('pending', 'sending', 'done', 'dead')),
    accepted_at text not null,
    revived_at text,
    attempts integer not null default 0,
    -- when it may next be attempted, or when the lease of its sender ends; null behind another hit of its lane
    due_at text,
    lease_owner text,
    finished_at text,
    -- what the Matomo answered last
    status integer,
    is_unknown integer not null default 0 check (is_unknown in (0, 1)),
    error text,
    check (due_at is null or state in ('pending', 'sending')),
    check ((state = 'sending') = (lease_owner is not null))
) strict;

-- one hit of a lane at a time
create unique index tracking_heads on tracking_queue (lane) where due_at is not null;

create index tracking_due on tracking_queue (due_at, id) where due_at is not null;

create index tracking_lanes on tracking_queue (lane, id) where state in ('pending', 'sending');

create index tracking_states on tracking_queue (state, finished_at);

-- until when a tracker is not to be called, because it asked for that or cannot be reached
create table tracking_holds (
    tracker text primary key,
    until text not null
) strict;
