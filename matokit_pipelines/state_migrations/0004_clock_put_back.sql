-- by the clock that its wait or its lease was written with: one that lies ahead was written before the clock was put back
alter table outbox add column waits_from text;

-- the clock was put back since the first call whose outcome is not known: it is looked for further back
alter table outbox add column is_put_back integer not null default 0;

alter table holds add column since text;

alter table tracking_queue add column waits_from text;

create index tracking_waits on tracking_queue (waits_from) where due_at is not null;

alter table tracking_holds add column since text;
