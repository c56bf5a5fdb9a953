-- what was queued of each report: rows of the outbox are put away after a while, and no report is sent twice
create table report_deliveries (
    message_key text primary key,
    report text not null,
    period text not null,
    destination text not null,
    queued_at text not null
) strict;
