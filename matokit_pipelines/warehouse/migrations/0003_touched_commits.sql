-- The commits whose comparisons a build derives again: filled and emptied within the build's own transaction.
create table ledger.touched_commits (
    commit_sha varchar not null
);
