-- where the evaluation stands
create table progress (
    name text primary key,
    value text not null
) strict;

-- one instance a rule, subject and environment: its state in the life cycle, as JSON of alerts/lifecycle.py
create table instances (
    fingerprint text not null,
    -- on events that are not complete yet
    is_provisional integer not null,
    rule text not null,
    subject text not null,
    environment text not null,
    state text not null,
    body text not null,
    updated_at text not null,
    primary key (fingerprint, is_provisional)
) strict;

-- firing periods, also those that nobody was told of
create table episodes (
    fingerprint text not null,
    number integer not null,
    rule text not null,
    subject text not null,
    environment text not null,
    severity text not null,
    started_at text not null,
    detected_at text not null,
    ended_at text,
    end_reason text,
    is_late integer not null,
    is_provisional integer not null,
    told_at text,
    -- what it waits for: `warnings` or `health`, and when that is due
    digest text,
    digest_due_at text,
    -- nothing more will be told of it
    is_done integer not null,
    body text not null,
    primary key (fingerprint, number)
) strict;

create index episodes_by_start on episodes (started_at);

create index episodes_not_done on episodes (is_done) where is_done = 0;

-- every verdict, as runs: an unchanged one extends a row
create table evaluations (
    id integer primary key,
    rule text not null,
    subject text not null,
    environment text not null,
    first_tick text not null,
    last_tick text not null,
    ticks integer not null,
    evaluated_at text not null,
    state text not null,
    is_raw integer not null,
    is_guarded integer not null,
    is_provisional integer not null,
    rule_version text not null,
    -- the numbers of the first evaluation of the run, and of the newest
    first_inputs text not null,
    inputs text not null
) strict;

create index evaluations_by_subject on evaluations (rule, subject, environment, last_tick);

create index evaluations_by_end on evaluations (last_tick);

create table silences (
    id integer primary key,
    matchers text not null,
    begins_at text not null,
    ends_at text not null,
    author text not null,
    reason text not null,
    created_at text not null,
    ended_at text
) strict;

create table outbox (
    id integer primary key,
    message_key text not null unique,
    conversation text not null,
    destination text not null,
    severity text not null,
    payload text not null,
    state text not null check (state in ('pending', 'sending', 'sent', 'dead')),
    attempts integer not null default 0,
    -- those attempts that the service answered; one that cannot be reached uses up no tries
    answered integer not null default 0,
    -- the content was refused once: what is sent now is the plain text alone
    is_plain integer not null default 0,
    created_at text not null,
    -- when somebody asked for it again: its age counts from then on
    revived_at text,
    next_at text not null,
    lease_until text,
    lease_owner text,
    -- when the first call began whose outcome is not known: from then on is looked for it before it is sent again
    started_at text,
    sent_at text,
    provider_ref text,
    error text
) strict;

create index outbox_due on outbox (state, next_at);

create index outbox_conversations on outbox (conversation, id);

-- until when a service asked not to be called, by method
create table holds (
    service text not null,
    method text not null,
    until text not null,
    primary key (service, method)
) strict;

create index outbox_sent on outbox (destination, sent_at);
