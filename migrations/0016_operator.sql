-- +goose Up
set local search_path = lectern, pg_temp;

-- What an operator does with the outbox, of the organization that the
-- transaction is bound to: look, redrive and discard.

-- A discarded entry stays dead, and nobody is told of it any more.
-- No rule stands on the column: each insert would have to prepare it.
alter table job_outbox add column discarded_at timestamptz;

-- Dead entries are few, and are looked for among millions of processed ones.
create index job_outbox_dead on job_outbox (outbox_id) where dead_at is not null;

-- held: behind a dead one of its course and run, where relay.on_dead is block.
-- What was stored before keeps the old rules, which are stricter.
alter domain parking drop constraint parking_check;
alter domain parking add constraint parking_check check (value in ('backoff', 'delay', 'blocked', 'held')) not valid;
alter domain event_type drop constraint event_type_check;
alter domain event_type add constraint event_type_check check (value in
  ('FSM_INITIALIZED', 'STATE_TRANSITIONED', 'JOB_CREATED', 'JOB_COMPLETED', 'JOB_FAILED', 'ERROR_OCCURRED',
   'JOB_REDRIVEN', 'JOB_DISCARDED')) not valid;

-- One way leads out of failed beside the state machine's: back to where the
-- course failed, on the same run, when what it failed for is redriven. Whoever
-- takes it says so, by the state that is left.
-- +goose StatementBegin
create or replace function guard_course_state() returns trigger
language plpgsql
as $$
begin
  if new.generation_status = old.generation_status then
    new.status_version := old.status_version;
    new.run := old.run;
    new.left_status := old.left_status;
  elsif lectern.legal_transition(old.generation_status, new.generation_status) then
    new.status_version := old.status_version + 1;
    new.run := old.run + (new.generation_status = 'pending')::integer;
    new.left_status := old.generation_status;
  elsif old.generation_status = 'failed' and new.left_status = 'failed' and new.generation_status = old.left_status then
    new.status_version := old.status_version + 1;
    new.run := old.run;
  else
    raise exception 'a course that is % can''t become %', old.generation_status, new.generation_status
      using errcode = 'LE004';
  end if;
  new.updated_at := now();
  return new;
end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create function bound_organization() returns uuid
language plpgsql stable
set search_path = lectern, pg_temp
as $$
declare
  bound uuid := nullif(current_setting('lectern.organization_id', true), '')::uuid;
begin
  if bound is null then
    raise exception 'this transaction is bound to no organization' using errcode = 'LE009';
  end if;
  return bound;
end
$$;
-- +goose StatementEnd

-- The predicate of a state of entries, as the partial indexes have it: a query
-- that lacks it reads the whole table.
-- +goose StatementBegin
create function entry_predicate(p_state text) returns text
language plpgsql immutable
as $$
begin
  case
    when p_state = 'ready' then return '(o.processed_at is null and o.dead_at is null and o.parked is null)';
    when p_state in ('backoff', 'delay', 'blocked', 'held') then
      return format('(o.processed_at is null and o.dead_at is null and o.parked is not null and o.parked = %L)', p_state);
    when p_state = 'processed' then return '(o.processed_at is not null)';
    when p_state = 'dead' then return '(o.dead_at is not null and o.discarded_at is null)';
    when p_state = 'discarded' then return '(o.dead_at is not null and o.discarded_at is not null)';
    else raise exception '% is not a state of an entry', coalesce(quote_literal(p_state), 'null')
      using errcode = 'LE006', column = 'states';
  end case;
end
$$;
-- +goose StatementEnd

-- Entries, newest first, from behind the entry p_before. Ids are UUIDv7, so
-- their order is that of creation. Null asks for any.
-- +goose StatementBegin
create function list_entries(
  p_entity_id uuid, p_queue text, p_states text[], p_older_than interval, p_younger_than interval, p_before uuid, p_limit integer
) returns setof job_outbox
language plpgsql stable security definer
set search_path = lectern, pg_temp
as $$
declare
  wanted text := 'true';
begin
  if cardinality(p_states) > 0 then
    select string_agg(entry_predicate(s), ' or ') into wanted from unnest(p_states) s;
  end if;
  -- Only what is asked for stands in the query, so that an index can serve it.
  return query execute 'select o.* from job_outbox o'
    || ' where exists (select from courses c where c.id = o.entity_id and c.organization_id = $1)'
    || ' and (' || wanted || ')'
    || case when p_entity_id is not null then ' and o.entity_id = $2' else '' end
    || case when p_queue is not null then ' and o.queue_name = $3' else '' end
    || case when p_older_than is not null then ' and o.created_at <= now() - $4' else '' end
    || case when p_younger_than is not null then ' and o.created_at > now() - $5' else '' end
    || case when p_before is not null then ' and o.outbox_id < $6' else '' end
    || ' order by o.outbox_id desc limit $7'
    using bound_organization(), p_entity_id, p_queue, p_older_than, p_younger_than, p_before, p_limit;
end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create function get_entry(p_outbox_id uuid) returns setof job_outbox
language plpgsql stable security definer
set search_path = lectern, pg_temp
as $$
begin
  return query select o.* from job_outbox o join courses c on c.id = o.entity_id
    where o.outbox_id = p_outbox_id and c.organization_id = bound_organization();
end
$$;
-- +goose StatementEnd

-- Counts what waits and what is dead, by queue and state. Each part is one
-- that an index holds: what is processed is not read.
-- +goose StatementBegin
create function count_entries() returns table (queue_name text, state text, entries bigint, oldest timestamptz)
language plpgsql stable security definer
set search_path = lectern, pg_temp
as $$
begin
  return query
    with waiting as (
      select o.entity_id, o.queue_name, 'ready' as state, o.created_at from job_outbox o
      where o.processed_at is null and o.dead_at is null and o.parked is null
      union all
      select o.entity_id, o.queue_name, o.parked, o.created_at from job_outbox o
      where o.processed_at is null and o.dead_at is null and o.parked is not null
      union all
      select o.entity_id, o.queue_name, 'dead', o.created_at from job_outbox o
      where o.dead_at is not null and o.discarded_at is null
    )
    select w.queue_name::text, w.state::text, count(*), min(w.created_at)::timestamptz
    from waiting w join courses c on c.id = w.entity_id
    where c.organization_id = bound_organization()
    group by 1, 2 order by 1, 2;
end
$$;
-- +goose StatementEnd

-- Why an entry is none that an operator can decide on: null if it is one: dead,
-- and not given up yet.
-- +goose StatementBegin
create function undead_refusal(e job_outbox) returns text[]
language sql stable
set search_path = lectern, pg_temp
as $$
  select case
    when e.processed_at is not null then array['ENTRY_NOT_DEAD', 'it is processed: it has reached the broker']
    when e.dead_at is null then array['ENTRY_NOT_DEAD', 'it is ' || coalesce(e.parked, 'ready') || ', and the relay will send it']
    when e.discarded_at is not null then array['ENTRY_DISCARDED', 'it was discarded: restart its course']
  end
$$;
-- +goose StatementEnd

-- Why an entry of a course whose lock is held can't be redriven together with
-- p_ids: null if it can. A course that failed for its dead entries goes on
-- when none of them is left behind; without one of them it would wait for ever.
-- +goose StatementBegin
create function redrive_refusal(e job_outbox, course courses, p_ids uuid[]) returns text[]
language plpgsql stable
set search_path = lectern, pg_temp
as $$
declare
  others text;
begin
  if undead_refusal(e) is not null then
    return undead_refusal(e);
  elsif e.run <> course.run then
    return array['STALE_RUN', format('it is of run %s, and its course is on run %s: restart the course if it is to be made again, and discard this',
      e.run, course.run)];
  elsif course.generation_status in ('completed', 'cancelled') then
    return array['COURSE_ENDED', format('its course is %s: restart the course if it is to be made again, and discard this', course.generation_status)];
  elsif course.generation_status <> 'failed' then
    return null;
  elsif course.left_status is null or 'QUEUE' is distinct from (
    select created_by from fsm_events where entity_id = course.id and event_type = 'STATE_TRANSITIONED' order by event_no desc limit 1)
  then
    return array['COURSE_ENDED', 'its course has failed for another reason than a dead entry: restart the course, and discard this'];
  end if;
  if exists (select from job_outbox o where o.entity_id = e.entity_id and o.run = e.run and o.discarded_at is not null) then
    return array['COURSE_ENDED', 'its course lacks a job that was discarded, and can''t go on without: restart the course, and discard this'];
  end if;
  select string_agg(o.outbox_id::text, ' ' order by o.seq) into others from job_outbox o
  where o.entity_id = e.entity_id and o.run = e.run and o.dead_at is not null and o.outbox_id <> all (p_ids);
  if others is not null then
    return array['COURSE_HAS_OTHER_DEAD', 'its course can''t go on without its other dead entries, redrive them together: ' || others];
  end if;
  return null;
end
$$;
-- +goose StatementEnd

-- Makes entries of a course whose lock is held ready, each with a new seq, in
-- the old order; what an entry before them backs off for waits behind that one.
-- +goose StatementBegin
create function make_ready(p_entity uuid, p_ids uuid[]) returns void
language sql
set search_path = lectern, pg_temp
as $$
  with released as (
    select o.outbox_id, o.seq, (o.job_options->>'not_before')::timestamptz as not_before, exists (
      select from job_outbox b where b.entity_id = p_entity and b.processed_at is null and b.dead_at is null
        and b.parked = 'backoff' and b.seq < o.seq and b.outbox_id <> all (p_ids)) as blocked
    from job_outbox o where o.entity_id = p_entity and o.outbox_id = any (p_ids)
  ), numbered as (
    select outbox_id, not_before, blocked, case when blocked then seq else nextval('job_outbox_seq') end as new_seq
    from (select * from released order by seq) t
  )
  update job_outbox o set
    seq = new_seq, processed_at = null, dead_at = null, attempts = 0,
    parked = case when blocked then 'blocked' when not_before > now() then 'delay' end,
    next_attempt_at = case when not blocked and not_before > now() then not_before end
  from numbered n where o.outbox_id = n.outbox_id
$$;
-- +goose StatementEnd

-- What waits for no dead entry of its course and run any more.
-- +goose StatementBegin
create function released_by(p_entity uuid, p_ids uuid[]) returns uuid[]
language sql stable
set search_path = lectern, pg_temp
as $$
  select coalesce(array_agg(o.outbox_id), '{}') from job_outbox o
  where o.entity_id = p_entity and o.processed_at is null and o.dead_at is null and o.parked = 'held' and not exists (
    select from job_outbox d where d.entity_id = p_entity and d.run = o.run and d.dead_at is not null and d.discarded_at is null
      and d.seq < o.seq and d.outbox_id <> all (p_ids))
$$;
-- +goose StatementEnd

-- Tries entries that are dead again, p_ids, as if they were new: their ids
-- stay, and so does what the inbox knows of them. Their course goes on where it
-- failed, and so do the jobs of the run that workers skipped meanwhile, because
-- it had. Says of each why not; a dry run changes nothing.
-- +goose StatementBegin
create function redrive_entries(p_ids uuid[], p_user_id uuid, p_dry_run boolean)
returns table (outbox_id uuid, entity_id uuid, refusal text, message text)
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  bound uuid := bound_organization();
  course courses;
  e job_outbox;
  why text[];
  accepted uuid[];
  skipped uuid[];
begin
  for course in
    select c.* from courses c where c.organization_id = bound and c.id in (select o.entity_id from job_outbox o where o.outbox_id = any (p_ids))
    order by c.id -- one order for all: no deadlock
  loop
    course := lock_course(course.id);
    continue when course.id is null;
    accepted := '{}';
    for e in select * from job_outbox o where o.entity_id = course.id and o.outbox_id = any (p_ids) order by o.seq loop
      why := redrive_refusal(e, course, p_ids);
      if why is null then
        accepted := accepted || e.outbox_id;
      end if;
      return query select e.outbox_id::uuid, e.entity_id::uuid, why[1], why[2];
    end loop;
    continue when p_dry_run or accepted = '{}';

    perform add_event(course.id, 'JOB_REDRIVEN', jsonb_build_object(
      'outbox_id', o.outbox_id, 'queue', o.queue_name, 'run', o.run, 'reason', o.last_error), 'ADMIN', p_user_id)
    from (select * from job_outbox d where d.outbox_id = any (accepted) order by d.seq) o;
    if course.generation_status = 'failed' then
      update courses c set generation_status = c.left_status, left_status = 'failed', generation_metadata = c.generation_metadata - 'failure'
      where c.id = course.id;
      perform add_event(course.id, 'STATE_TRANSITIONED', jsonb_build_object(
        'from', 'failed', 'to', c.generation_status, 'version', c.status_version, 'run', c.run,
        'reason', 'dead entries were redriven'), 'ADMIN', p_user_id)
      from courses c where c.id = course.id;
      with gone as (
        delete from processed_jobs p using job_outbox o
        where p.entity_id = course.id and p.outcome = 'skipped' and o.outbox_id = p.outbox_id and o.run = course.run
          and o.processed_at is not null
        returning p.outbox_id
      )
      select array_agg(distinct g.outbox_id) into skipped from gone g;
    end if;
    perform make_ready(course.id, accepted || coalesce(skipped, '{}') || released_by(course.id, accepted));
    skipped := null;
  end loop;
  return query select i.id, null::uuid, 'ENTRY_NOT_FOUND', 'there is no such entry' from unnest(p_ids) i (id)
    where not exists (select from job_outbox o join courses c on c.id = o.entity_id
      where o.outbox_id = i.id and c.organization_id = bound);
end
$$;
-- +goose StatementEnd

-- Gives entries that are dead up, p_ids, for a reason: they stay, and are
-- counted no more, and what was held behind them goes on.
-- +goose StatementBegin
create function discard_entries(p_ids uuid[], p_user_id uuid, p_reason text, p_dry_run boolean)
returns table (outbox_id uuid, entity_id uuid, refusal text, message text)
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  bound uuid := bound_organization();
  course courses;
  e job_outbox;
  why text[];
  accepted uuid[];
begin
  if (char_length(btrim(p_reason)) > 0) is not true then
    raise exception 'must say why the entries are discarded' using errcode = 'LE006', column = 'reason';
  end if;
  for course in
    select c.* from courses c where c.organization_id = bound and c.id in (select o.entity_id from job_outbox o where o.outbox_id = any (p_ids))
    order by c.id -- one order for all: no deadlock
  loop
    course := lock_course(course.id);
    continue when course.id is null;
    accepted := '{}';
    for e in select * from job_outbox o where o.entity_id = course.id and o.outbox_id = any (p_ids) order by o.seq loop
      why := undead_refusal(e);
      return query select e.outbox_id::uuid, e.entity_id::uuid, why[1], why[2];
      continue when p_dry_run or why is not null;
      accepted := accepted || e.outbox_id;
      update job_outbox o set discarded_at = now() where o.outbox_id = e.outbox_id;
      perform add_event(course.id, 'JOB_DISCARDED', jsonb_build_object(
        'outbox_id', e.outbox_id, 'queue', e.queue_name, 'run', e.run, 'reason', p_reason), 'ADMIN', p_user_id);
    end loop;
    if accepted <> '{}' then
      perform make_ready(course.id, released_by(course.id, accepted));
    end if;
  end loop;
  return query select i.id, null::uuid, 'ENTRY_NOT_FOUND', 'there is no such entry' from unnest(p_ids) i (id)
    where not exists (select from job_outbox o join courses c on c.id = o.entity_id
      where o.outbox_id = i.id and c.organization_id = bound);
end
$$;
-- +goose StatementEnd

-- Holds what comes after entries that bury_entries has just buried, p_dead, in
-- their course and run, until they are redriven or discarded. Nothing of the
-- run is added meanwhile: the course has failed.
-- +goose StatementBegin
create function hold_behind_dead(p_dead jsonb) returns void
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  f record;
begin
  for f in
    select o.entity_id, o.run, min(o.seq) as seq
    from jsonb_array_elements(p_dead) as t (j)
    join job_outbox o on o.outbox_id = (t.j->>'outbox_id')::uuid
    where o.dead_at is not null and o.discarded_at is null
    group by o.entity_id, o.run order by o.entity_id, o.run
  loop
    perform lock_course(f.entity_id);
    update job_outbox set parked = 'held', next_attempt_at = null
    where entity_id = f.entity_id and run = f.run and processed_at is null and dead_at is null and seq > f.seq;
  end loop;
end
$$;
-- +goose StatementEnd

-- Explicit, for defaults of one schema can't take away what PUBLIC has by the
-- server's own.
revoke execute on all functions in schema lectern from public;
grant execute on function
  list_entries(uuid, text, text[], interval, interval, uuid, integer), get_entry(uuid), count_entries(),
  redrive_entries(uuid[], uuid, boolean), discard_entries(uuid[], uuid, text, boolean)
to lectern_app;
grant execute on function hold_behind_dead(jsonb) to lectern_relay;

-- +goose Down
-- guard_course_state goes with 0002.
set local search_path = lectern, pg_temp;
drop function hold_behind_dead(jsonb);
drop function discard_entries(uuid[], uuid, text, boolean);
drop function redrive_entries(uuid[], uuid, boolean);
drop function released_by(uuid, uuid[]);
drop function make_ready(uuid, uuid[]);
drop function redrive_refusal(job_outbox, courses, uuid[]);
drop function undead_refusal(job_outbox);
drop function count_entries();
drop function get_entry(uuid);
drop function list_entries(uuid, text, text[], interval, interval, uuid, integer);
drop function entry_predicate(text);
drop function bound_organization();
update job_outbox set parked = 'blocked' where parked = 'held';
update fsm_events set event_type = 'ERROR_OCCURRED' where event_type in ('JOB_REDRIVEN', 'JOB_DISCARDED');
alter domain event_type drop constraint event_type_check;
alter domain event_type add constraint event_type_check check (value in
  ('FSM_INITIALIZED', 'STATE_TRANSITIONED', 'JOB_CREATED', 'JOB_COMPLETED', 'JOB_FAILED', 'ERROR_OCCURRED'));
alter domain parking drop constraint parking_check;
alter domain parking add constraint parking_check check (value in ('backoff', 'delay', 'blocked'));
drop index job_outbox_dead;
alter table job_outbox drop column discarded_at;
