-- +goose Up
set local search_path = lectern, pg_temp;

-- The command, thinner again: what it looked up stands in the course's row, and
-- what each insert had to compile is gone.

-- The only function that adds an entry adds it as this rule says; it is the
-- changes that have to be watched. A check, or a generated column, is compiled
-- anew by each statement that inserts. The trigger comes after the update: one
-- before it would lock each row by itself, a WAL record more for each entry that
-- the relay settles.
alter table job_outbox drop constraint job_outbox_check;
-- +goose StatementBegin
create function refuse_entry() returns trigger
language plpgsql
as $$
begin
  raise exception 'an entry is pending, processed or dead, and only a pending one is parked, with a date unless it is blocked'
    using errcode = 'check_violation', table = 'job_outbox', constraint = 'job_outbox_check';
end
$$;
-- +goose StatementEnd
create trigger job_outbox_check after update on job_outbox for each row
  when (num_nonnulls(new.processed_at, new.dead_at, new.parked) > 1
    or new.next_attempt_at is null and new.parked in ('backoff', 'delay'))
  execute function refuse_entry();

-- Nobody reads it. It can be told from the course's id whenever it is needed.
alter table job_outbox drop column partition;

-- What a command would else have to look up: the state before this one, and the
-- number of the course's last event.
alter table courses add column left_status text, add column last_event_no bigint not null default 0;
alter table courses disable trigger guard_course_state; -- nothing happens to the courses, so updated_at stays
update courses c set last_event_no = (select coalesce(max(event_no), 0) from fsm_events where entity_id = c.id);
alter table courses enable trigger guard_course_state;

-- Appends an event to a course whose lock is held.
-- +goose StatementBegin
create or replace function add_event(p_entity uuid, p_type text, p_data jsonb, p_actor text, p_user uuid) returns void
language sql
set search_path = lectern, pg_temp
as $$
  with course as (
    update courses set last_event_no = last_event_no + 1 where id = p_entity returning last_event_no
  )
  insert into fsm_events (entity_id, event_no, event_type, event_data, created_by, user_id)
  select p_entity, last_event_no, p_type, jsonb_strip_nulls(p_data), p_actor, p_user from course
$$;
-- +goose StatementEnd

-- Queues jobs, of the form of the command's p_job_data, for a course whose lock
-- is held. What the relay can't publish before an entry holds it up.
drop function add_entries(uuid, integer, jsonb, text, uuid);
-- +goose StatementBegin
create function add_entries(p_entity uuid, p_run integer, p_jobs jsonb, p_actor text, p_user uuid) returns void
language plpgsql
set search_path = lectern, pg_temp
as $$
declare
  last_no bigint;
begin
  if not are_jobs(p_jobs) then
    raise exception 'each job needs an outbox_id, a queue of 1 to 100 characters and data that is an object'
      using errcode = 'LE006';
  end if;
  update courses set last_event_no = last_event_no + jsonb_array_length(p_jobs)
  where id = p_entity returning last_event_no - jsonb_array_length(p_jobs) into last_no;

  with jobs as materialized (
    select n, j->>'outbox_id' as id, j->>'queue' as queue, j->'data' as data, coalesce(j->'options', '{}') as options, exists (
      select from job_outbox where entity_id = p_entity and processed_at is null and dead_at is null and parked = 'backoff'
    ) as backing_off
    from jsonb_array_elements(p_jobs) with ordinality as t (j, n)
  ), entries as (
    insert into job_outbox (outbox_id, entity_id, run, queue_name, job_data, job_options, next_attempt_at, parked)
    select id::uuid, p_entity, p_run, queue, data, options,
           case when not backing_off then (options->>'not_before')::timestamptz end,
           case when backing_off then 'blocked' when options ? 'not_before' then 'delay' end
    from jobs
  )
  insert into fsm_events (entity_id, event_no, event_type, event_data, created_by, user_id)
  select p_entity, last_no + n, 'JOB_CREATED', jsonb_build_object('outbox_id', id, 'queue', queue, 'run', p_run), p_actor, p_user
  from jobs;
end
$$;
-- +goose StatementEnd

-- The state machine, the same as domain.State.Next. A search in a text costs
-- nothing to begin with, where a list of texts is hashed by each statement.
-- +goose StatementBegin
create or replace function legal_transition(from_state text, to_state text) returns boolean
language sql immutable parallel safe
return strpos(
    '|pending>stage_2_init|pending>stage_4_init|pending>stage_5_init|pending>failed|pending>cancelled'
    '|stage_2_init>stage_2_processing|stage_2_init>stage_2_complete|stage_2_init>failed|stage_2_init>cancelled'
    '|stage_2_processing>stage_2_complete|stage_2_processing>failed|stage_2_processing>cancelled'
    '|stage_2_complete>stage_3_init|stage_2_complete>stage_4_init|stage_2_complete>failed|stage_2_complete>cancelled'
    '|stage_3_init>stage_3_summarizing|stage_3_init>failed|stage_3_init>cancelled'
    '|stage_3_summarizing>stage_3_complete|stage_3_summarizing>failed|stage_3_summarizing>cancelled'
    '|stage_3_complete>stage_4_init|stage_3_complete>failed|stage_3_complete>cancelled'
    '|stage_4_init>stage_4_analyzing|stage_4_init>failed|stage_4_init>cancelled'
    '|stage_4_analyzing>stage_4_complete|stage_4_analyzing>failed|stage_4_analyzing>cancelled'
    '|stage_4_complete>stage_5_init|stage_4_complete>failed|stage_4_complete>cancelled'
    '|stage_5_init>stage_5_generating|stage_5_init>failed|stage_5_init>cancelled'
    '|stage_5_generating>stage_5_complete|stage_5_generating>failed|stage_5_generating>cancelled'
    '|stage_5_complete>finalizing|stage_5_complete>failed|stage_5_complete>cancelled'
    '|finalizing>completed|finalizing>failed|finalizing>cancelled'
    '|completed>pending|failed>pending|cancelled>pending|',
    '|' || from_state || '>' || to_state || '|') > 0;
-- +goose StatementEnd

-- Keeps the state machine, whoever writes, and counts versions and runs.
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
create or replace function guard_new_course() returns trigger
language plpgsql
as $$
begin
  if new.generation_status <> 'pending' then
    raise exception 'a course begins as pending, not as %', new.generation_status using errcode = 'LE004';
  end if;
  new.status_version := 0;
  new.run := 1;
  new.left_status := null;
  return new;
end
$$;
-- +goose StatementEnd

-- The command: state, event, jobs and key, all or nothing, in one round trip.
-- Its answer says besides until when the key is kept (keptUntil).
--
-- A stored answer of the same fingerprint needs no more checks: it was given to
-- the same request. Without one, callers of a key take turns by the lock of
-- their course: whoever waited finds that the course doesn't take the command
-- any more, looks for the answer again, and replays it. If the first aborted,
-- the course takes it. Who passed that all the same, because the key is used
-- for several courses at once or the course was sent back in between, meets the
-- first at the key's primary key: it waits, and fails there (23505) if the first
-- commits. Nothing is left behind then, and to ask again brings the answer, or
-- the refusal.
-- +goose StatementBegin
create or replace function initialize_fsm_with_outbox(
  p_entity_id uuid, p_user_id uuid, p_organization_id uuid, p_idempotency_key text,
  p_initiated_by text, p_initial_state text, p_job_data jsonb, p_metadata jsonb,
  p_fingerprint text, p_run integer default null
) returns jsonb
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  answer jsonb;
  from_state text;
  course_version bigint;
  course_run integer;
  first_no bigint;
begin
  if (p_organization_id = coalesce(nullif(current_setting('lectern.organization_id', true), '')::uuid, p_organization_id)) is not true then
    perform check_tenant(p_organization_id);
  end if;

  select case when fingerprint = p_fingerprint and expires_at > clock_timestamp() then result end into answer
  from idempotency_keys
  where organization_id = p_organization_id and key = p_idempotency_key;
  if found then
    if answer is not null then
      return answer;
    end if;
    perform drop_expired_key(p_organization_id, p_idempotency_key, p_fingerprint);
  end if;

  if (current_setting('transaction_isolation') = 'read committed'
    and char_length(p_idempotency_key) between 8 and 255
    and are_jobs(coalesce(p_job_data, '[]'))) is not true
  then
    perform refuse_command(p_organization_id, p_idempotency_key, p_initial_state, p_job_data);
  end if;

  -- A statement of its own, for its lock: the next one's snapshot then sees what
  -- the lock's last holder committed.
  update courses set generation_status = p_initial_state,
    last_event_no = last_event_no + 1 + coalesce(jsonb_array_length(p_job_data), 0)
  where id = p_entity_id and organization_id = p_organization_id and coalesce(run = p_run, true)
    and legal_transition(generation_status, p_initial_state)
  returning left_status, status_version::bigint, run::integer,
    last_event_no - coalesce(jsonb_array_length(p_job_data), 0) into from_state, course_version, course_run, first_no;
  if not found then
    return answer_or_refuse(p_entity_id, p_organization_id, p_idempotency_key, p_fingerprint, p_run, p_initial_state);
  end if;

  -- The rest is one statement, whose parts are started once and for all.
  with jobs as materialized (
    select n, j->>'outbox_id' as id, j->>'queue' as queue, j->'data' as data, coalesce(j->'options', '{}') as options, exists (
      select from job_outbox where entity_id = p_entity_id and processed_at is null and dead_at is null and parked = 'backoff'
    ) as backing_off
    from jsonb_array_elements(p_job_data) with ordinality as t (j, n)
  ), entries as (
    insert into job_outbox (outbox_id, entity_id, run, queue_name, job_data, job_options, next_attempt_at, parked)
    select id::uuid, p_entity_id, course_run, queue, data, options,
           case when not backing_off then (options->>'not_before')::timestamptz end,
           case when backing_off then 'blocked' when options ? 'not_before' then 'delay' end
    from jobs
  ), events as (
    insert into fsm_events (entity_id, event_no, event_type, event_data, created_by, user_id)
    select p_entity_id, first_no + position, type, data, p_initiated_by, p_user_id
    from (
      select 0, 'FSM_INITIALIZED', case when p_metadata is null then '{}' else jsonb_build_object('metadata', p_metadata) end
        || jsonb_build_object('from', from_state, 'to', p_initial_state, 'version', course_version, 'run', course_run)
      union all
      select n, 'JOB_CREATED', jsonb_build_object('outbox_id', id, 'queue', queue, 'run', course_run)
      from jobs
    ) as history (position, type, data)
  )
  insert into idempotency_keys (organization_id, key, fingerprint, entity_id, expires_at, result)
  values (p_organization_id, p_idempotency_key, p_fingerprint, p_entity_id, now() + interval '24 hours', jsonb_build_object(
    'fsmState', jsonb_build_object('entity_id', p_entity_id, 'state', p_initial_state,
      'version', course_version, 'created_by', p_initiated_by, 'created_at', now()),
    'outboxEntries', to_jsonb(array(
      select jsonb_build_object('outbox_id', id, 'queue_name', queue, 'created_at', now()) from jobs)),
    'fromCache', true, 'keptUntil', now() + interval '24 hours'))
  returning result || '{"fromCache": false}' into answer;
  return answer;
end
$$;
-- +goose StatementEnd

revoke execute on all functions in schema lectern from public;

-- +goose Down
-- Functions that kept their signature go with 0004 and 0002.
set local search_path = lectern, pg_temp;
alter table courses drop column left_status, drop column last_event_no;
alter table job_outbox add column partition smallint not null generated always as (get_byte(uuid_send(entity_id), 15) & 63) stored;
drop trigger job_outbox_check on job_outbox;
drop function refuse_entry();
alter table job_outbox add constraint job_outbox_check check (
  num_nonnulls(processed_at, dead_at, parked) <= 1
  and (next_attempt_at is not null or coalesce(parked, 'blocked') = 'blocked'));
