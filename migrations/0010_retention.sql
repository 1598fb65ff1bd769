-- +goose Up
set local search_path = lectern, pg_temp;

-- What each clean-up has done. The schedule stands here and not in a process:
-- a service that restarts every day still has its weekly run, and ten replicas
-- have one between them.
create table retention_runs (
  task text primary key check (task in ('keys', 'entries', 'inbox')),
  started_at timestamptz, -- of the last run; null before the first
  finished_at timestamptz, -- null while a run is unfinished
  deleted bigint not null default 0 check (deleted >= 0), -- by the last run
  deleted_total bigint not null default 0 check (deleted_total >= deleted),
  runs bigint not null default 0 check (runs >= 0) -- those that were finished
);

insert into retention_runs (task) values ('keys'), ('entries'), ('inbox');

alter table retention_runs enable row level security;
create policy refuse_all on retention_runs to lectern_app, lectern_worker, lectern_relay using (false) with check (false);
revoke all on retention_runs from public, lectern_app, lectern_worker, lectern_relay;

-- Deletes one batch for a task if it is due by the database's clock, and
-- returns its size: call again until it is less than the limit. Null means that
-- there is nothing to do here: the task is not due, or another process is at it.
--
-- A batch and its record are one transaction, so a process that dies between
-- batches leaves a run unfinished, and whoever looks next goes on with it. The
-- advisory lock lasts for the transaction, which works behind a connection
-- pooler too.
-- +goose StatementBegin
create function run_retention(p_task text, p_every interval, p_older_than interval, p_limit integer) returns bigint
language plpgsql security definer
set search_path = lectern, pg_temp
set plan_cache_mode = force_custom_plan -- for the functions it calls, see below
set jit = off
as $$
declare
  run retention_runs;
  resumed boolean;
  n bigint;
begin
  if p_every is null or p_older_than is null or coalesce(p_limit, 0) < 1 then
    raise exception 'a clean-up needs an interval, an age and a limit of 1 or more' using errcode = 'invalid_parameter_value';
  end if;
  if not pg_try_advisory_xact_lock(hashtext('lectern.retention'), hashtext(p_task)) then
    return null;
  end if;
  -- A statement after the lock, so that it sees what the last holder committed.
  select * into run from retention_runs where task = p_task;
  if not found then
    raise exception 'there is no clean-up %', coalesce(p_task, 'null') using errcode = 'invalid_parameter_value';
  end if;
  resumed := run.started_at is not null and run.finished_at is null;
  if not resumed and run.started_at > now() - p_every then
    return null;
  end if;

  n := case p_task
    when 'keys' then delete_expired_keys(p_limit)
    when 'entries' then delete_processed_entries(p_older_than, p_limit)
    when 'inbox' then delete_inbox_rows(p_older_than, p_limit)
  end;
  update retention_runs set
    started_at = case when resumed then started_at else now() end,
    finished_at = case when n < p_limit then now() end,
    deleted = n + case when resumed then deleted else 0 end,
    deleted_total = deleted_total + n,
    runs = runs + case when n < p_limit then 1 else 0 end
  where task = p_task;
  return n;
end
$$;
-- +goose StatementEnd

-- What one batch deletes. From here on run_retention alone calls these, with
-- the lock. Rows that somebody holds are left for the next run: a clean-up
-- waits for nobody. What is chosen is locked, so its ctid holds.
--
-- A batch must cost the same on a table of any size, so each walks its index
-- from the oldest row on. A plan that does not know the limit might not: hence
-- plans for each call. An EXISTS might be answered from a hash of a whole table:
-- hence scalar queries.

-- +goose StatementBegin
create or replace function delete_expired_keys(p_limit integer) returns bigint
language plpgsql
set search_path = lectern, pg_temp
as $$
declare
  n bigint;
begin
  delete from idempotency_keys where ctid = any (array(
    select ctid from idempotency_keys where expires_at <= now()
    order by expires_at limit p_limit for update skip locked));
  get diagnostics n = row_count;
  return n;
end
$$;
-- +goose StatementEnd

-- Of what was published long ago, only what nothing counts any more. go_on
-- holds a course back while an entry of its run and queue has no inbox row: to
-- delete such an entry would let the course pass a job that was never done. So
-- an entry stays until its job has had its effect, or its course has ended or
-- begun another run, however old it is. Dead and pending entries have no
-- processed_at and always stay.
-- +goose StatementBegin
create or replace function delete_processed_entries(p_older_than interval, p_limit integer) returns bigint
language plpgsql
set search_path = lectern, pg_temp
as $$
declare
  n bigint;
begin
  delete from job_outbox where ctid = any (array(
    select o.ctid from job_outbox o
    where o.processed_at <= now() - p_older_than and (
      (select c.run <> o.run or c.generation_status in ('completed', 'failed', 'cancelled') from courses c where c.id = o.entity_id)
      or (select p.outbox_id from processed_jobs p where p.outbox_id = o.outbox_id and p.consumer = 'workers') is not null)
    order by o.processed_at limit p_limit for update skip locked));
  get diagnostics n = row_count;
  return n;
end
$$;
-- +goose StatementEnd

-- An inbox row outlives its entry: without it the barrier would take a job that
-- was done for one that is left, and a course whose manual stages are weeks
-- apart would wait for ever. It must outlive the broker's copies too, which no
-- table knows: hence its greater age.
-- +goose StatementBegin
create or replace function delete_inbox_rows(p_older_than interval, p_limit integer) returns bigint
language plpgsql
set search_path = lectern, pg_temp
as $$
declare
  n bigint;
begin
  delete from processed_jobs where ctid = any (array(
    select p.ctid from processed_jobs p
    where p.processed_at <= now() - p_older_than
      and (select o.outbox_id from job_outbox o where o.outbox_id = p.outbox_id) is null
    order by p.processed_at limit p_limit for update skip locked));
  get diagnostics n = row_count;
  return n;
end
$$;
-- +goose StatementEnd

revoke execute on function
  run_retention(text, interval, interval, integer),
  delete_expired_keys(integer), delete_processed_entries(interval, integer), delete_inbox_rows(interval, integer)
from public, lectern_relay;
grant execute on function run_retention(text, interval, interval, integer) to lectern_relay;

-- +goose Down
set local search_path = lectern, pg_temp;
-- The three functions that delete keep their new bodies: nobody called the old
-- ones, and 0007 drops them.
drop function run_retention(text, interval, interval, integer);
drop table retention_runs;
