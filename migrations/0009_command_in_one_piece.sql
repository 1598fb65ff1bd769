-- +goose Up
set local search_path = lectern, pg_temp;

-- The command is what every caller waits for, so it is one flat function of few
-- statements, whose plans a session keeps. Its first form, in 0004, called a
-- function for each step and took twice the processor's time.

-- Bodies of the SQL standard's form are bound to their operators here and now,
-- so they need no search_path of their own, and without one they are inlined.
-- +goose StatementBegin
create or replace function is_state(state text) returns boolean
language sql immutable parallel safe
return coalesce(state in (
  'pending',
  'stage_2_init', 'stage_2_processing', 'stage_2_complete',
  'stage_3_init', 'stage_3_summarizing', 'stage_3_complete',
  'stage_4_init', 'stage_4_analyzing', 'stage_4_complete',
  'stage_5_init', 'stage_5_generating', 'stage_5_complete',
  'finalizing', 'completed', 'failed', 'cancelled'
), false);
-- +goose StatementEnd

-- The state machine, the same as domain.State.Next.
-- +goose StatementBegin
create or replace function legal_transition(from_state text, to_state text) returns boolean
language sql immutable parallel safe
return case
  when from_state in ('completed', 'failed', 'cancelled') then to_state = 'pending'
  when to_state in ('failed', 'cancelled') then lectern.is_state(from_state)
  else (from_state || '>' || to_state) in (
    'pending>stage_2_init', 'pending>stage_4_init', 'pending>stage_5_init',
    'stage_2_init>stage_2_processing', 'stage_2_init>stage_2_complete',
    'stage_2_processing>stage_2_complete',
    'stage_2_complete>stage_3_init', 'stage_2_complete>stage_4_init',
    'stage_3_init>stage_3_summarizing',
    'stage_3_summarizing>stage_3_complete',
    'stage_3_complete>stage_4_init',
    'stage_4_init>stage_4_analyzing',
    'stage_4_analyzing>stage_4_complete',
    'stage_4_complete>stage_5_init',
    'stage_5_init>stage_5_generating',
    'stage_5_generating>stage_5_complete',
    'stage_5_complete>finalizing',
    'finalizing>completed'
  )
end;
-- +goose StatementEnd

-- Returns the answer stored for a key, or null: then the key is the caller's
-- until its transaction ends, and the answer is to be stored by store_answer. A
-- second caller waits at the lock until the first commits (then it replays) or
-- aborts (then the key is its own); what it reads after the lock, it reads with
-- a snapshot taken after it. An expired row counts as none. The lock is the
-- transaction's, so it holds behind a connection pooler too; keys whose hashes
-- meet wait for each other, and no more.
--
-- To claim by inserting a row, and to update it with the answer, wrote and
-- indexed each key twice.
-- +goose StatementBegin
create or replace function claim_key(p_organization uuid, p_key text, p_fingerprint text) returns jsonb
language plpgsql
as $$
declare
  lock bigint := hashtextextended(p_organization::text || p_key, 0);
  stored record;
begin
  perform check_key(p_key);
  -- Nearly always free; an expression, which is cheaper than a statement.
  if not pg_try_advisory_xact_lock(lock) then
    perform pg_advisory_xact_lock(lock);
  end if;

  select fingerprint, result into stored
  from idempotency_keys where organization_id = p_organization and key = p_key and expires_at > clock_timestamp();
  if not found then
    return null;
  end if;
  if stored.fingerprint <> p_fingerprint then
    raise exception 'this idempotency key was used for another request' using errcode = 'LE005';
  end if;
  return stored.result;
end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create function check_key(p_key text) returns void
language plpgsql
as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'commands run at READ COMMITTED: a fixed snapshot can''t see the answer it waits for'
      using errcode = 'serialization_failure';
  end if;
  if p_key is null or char_length(p_key) not between 8 and 255 then
    raise exception 'must have 8 to 255 characters' using errcode = 'LE006', column = 'idempotency_key';
  end if;
end
$$;
-- +goose StatementEnd

-- Stores the answer for a key that claim_key gave to this transaction.
-- +goose StatementBegin
create function store_answer(p_organization uuid, p_key text, p_fingerprint text, p_entity uuid, p_answer jsonb) returns jsonb
language plpgsql
as $$
begin
  insert into idempotency_keys (organization_id, key, fingerprint, entity_id, result, expires_at)
  values (p_organization, p_key, p_fingerprint, p_entity, p_answer, now() + interval '24 hours')
  on conflict (organization_id, key) do update set -- an expired one: claim_key has looked
    fingerprint = excluded.fingerprint, entity_id = excluded.entity_id, result = excluded.result,
    created_at = excluded.created_at, expires_at = excluded.expires_at;
  return p_answer;
end
$$;
-- +goose StatementEnd

-- Whether jobs is an array of {outbox_id, queue, data, options} as the outbox
-- takes them. A path is an expression, where a query would be a statement; it
-- says nothing of lengths and the id's form, which the columns' types do.
-- +goose StatementBegin
create function are_jobs(jobs jsonb) returns boolean
language sql immutable parallel safe
return jsonb_typeof(jobs) = 'array' and not jsonb_path_exists(jobs, '$[*] ? (
  !(@.type() == "object")
  || !(@.outbox_id.type() == "string")
  || !(@.queue.type() == "string" && @.queue != "")
  || !(@.data.type() == "object")
  || exists(@.options) && !(@.options.type() == "object"))');
-- +goose StatementEnd

-- Says what is wrong with a command that can't be tried.
-- +goose StatementBegin
create function refuse_command(p_organization uuid, p_key text, p_state text, p_jobs jsonb) returns void
language plpgsql
as $$
declare
  field text := 'jobs';
begin
  perform check_tenant(p_organization);
  perform check_key(p_key);
  if not is_state(p_state) then
    raise exception '% is not a state', coalesce(quote_literal(p_state), 'null') using errcode = 'LE003', column = 'state';
  end if;
  if jsonb_typeof(p_jobs) = 'array' then
    select format('jobs[%s]', position - 1) into field
    from jsonb_array_elements(p_jobs) with ordinality as t (j, position)
    where not are_jobs(jsonb_build_array(j)) order by position limit 1;
  end if;
  raise exception 'a job needs an outbox_id, a queue and data that is an object' using errcode = 'LE006', column = field;
end
$$;
-- +goose StatementEnd

-- Says why a course doesn't take a command.
-- +goose StatementBegin
create function refuse_course(p_entity uuid, p_organization uuid, p_run integer, p_state text) returns void
language plpgsql
as $$
declare
  course courses := lock_own_course(p_entity, p_organization);
begin
  if p_run <> course.run then
    raise exception 'the course % is on run %, not %', p_entity, course.run, p_run using errcode = 'LE008';
  end if;
  raise exception 'a course that is % can''t become %', course.generation_status, p_state using errcode = 'LE004';
end
$$;
-- +goose StatementEnd

-- Keeps the state machine, whoever writes, and counts versions and runs. As in
-- 0002, but for the path that it pinned: to put that up and take it down was 3 %
-- of the command's time. It names its one function with the schema instead.
-- +goose StatementBegin
create or replace function guard_course_state() returns trigger
language plpgsql
as $$
begin
  if tg_op = 'INSERT' then
    if new.generation_status <> 'pending' then
      raise exception 'a course begins as pending, not as %', new.generation_status using errcode = 'LE004';
    end if;
    new.status_version := 0;
    new.run := 1;
    return new;
  end if;

  new.updated_at := now();
  new.status_version := old.status_version;
  new.run := old.run;
  if new.generation_status is distinct from old.generation_status then
    if not lectern.legal_transition(old.generation_status, new.generation_status) then
      raise exception 'a course that is % can''t become %', old.generation_status, new.generation_status
        using errcode = 'LE004';
    end if;
    new.status_version := old.status_version + 1;
    if new.generation_status = 'pending' then
      new.run := old.run + 1;
    end if;
  end if;
  return new;
end
$$;
-- +goose StatementEnd

-- Moves a course whose lock is held and writes the event of it.
-- +goose StatementBegin
create or replace function change_state(p_entity uuid, p_to text, p_type text, p_data jsonb, p_actor text, p_user uuid) returns courses
language plpgsql
as $$
declare
  from_state text;
  course courses;
begin
  select generation_status into strict from_state from courses where id = p_entity;
  -- The trigger looks at changes alone; to begin a state again is none.
  if not legal_transition(from_state, p_to) then
    raise exception 'a course that is % can''t become %', from_state, p_to using errcode = 'LE004';
  end if;
  update courses set generation_status = p_to where id = p_entity returning * into course;
  perform add_event(p_entity, p_type, coalesce(p_data, '{}') || jsonb_build_object(
    'from', from_state, 'to', p_to, 'version', course.status_version, 'run', course.run), p_actor, p_user);
  return course;
end
$$;
-- +goose StatementEnd

-- The command: state, event, jobs and key, all or nothing, in one round trip.
-- Its answer says besides for how long the key is kept (keptForMs).
--
-- A session keeps a statement's plan, but prepares a function's expressions
-- anew with each transaction: hence the two long conditions, which only say
-- that something is wrong, and what claim_key and store_answer do written out.
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
  course record;
  next_version bigint;
begin
  if (current_setting('transaction_isolation') = 'read committed'
    and p_organization_id = coalesce(nullif(current_setting('lectern.organization_id', true), '')::uuid, p_organization_id)
    and char_length(p_idempotency_key) between 8 and 255
    and is_state(p_initial_state)
    and are_jobs(coalesce(p_job_data, '[]'))) is not true
  then
    perform refuse_command(p_organization_id, p_idempotency_key, p_initial_state, p_job_data);
  end if;

  if not pg_try_advisory_xact_lock(hashtextextended(p_organization_id::text || p_idempotency_key, 0)) then
    perform pg_advisory_xact_lock(hashtextextended(p_organization_id::text || p_idempotency_key, 0));
  end if;
  select case when fingerprint = p_fingerprint then result || jsonb_build_object(
    'fromCache', true, 'keptForMs', floor(extract(epoch from expires_at - clock_timestamp()) * 1000)) end into answer
  from idempotency_keys
  where organization_id = p_organization_id and key = p_idempotency_key and expires_at > clock_timestamp();
  if found then
    if answer is null then
      raise exception 'this idempotency key was used for another request' using errcode = 'LE005';
    end if;
    return answer;
  end if;

  -- A statement of its own: the next one's snapshot then sees what the lock's
  -- last holder committed. NO KEY UPDATE lets rows that refer to the course be
  -- inserted meanwhile.
  select generation_status as state, run,
         organization_id = p_organization_id and coalesce(p_run = run, true)
           -- The trigger looks at changes alone; to begin a state again is none.
           and legal_transition(generation_status, p_initial_state) as takes_it
  into course
  from courses where id = p_entity_id for no key update;
  if course.takes_it is not true then
    perform refuse_course(p_entity_id, p_organization_id, p_run, p_initial_state);
  end if;

  update courses set generation_status = p_initial_state where id = p_entity_id returning status_version into next_version;

  insert into job_outbox (outbox_id, entity_id, run, queue_name, job_data, job_options, next_attempt_at, parked)
  select (j->>'outbox_id')::uuid, p_entity_id, course.run, j->>'queue', j->'data', coalesce(j->'options', '{}'),
         case when not backing_off then (j->'options'->>'not_before')::timestamptz end,
         case when backing_off then 'blocked' when j->'options' ? 'not_before' then 'delay' end
  from jsonb_array_elements(p_job_data) as j, (select exists (
    select from job_outbox
    where entity_id = p_entity_id and processed_at is null and dead_at is null and parked = 'backoff')) as b (backing_off);

  insert into fsm_events (entity_id, event_no, event_type, event_data, created_by, user_id)
  select p_entity_id, (select coalesce(max(event_no), 0) from fsm_events where entity_id = p_entity_id) + position,
         type, data, p_initiated_by, p_user_id
  from (
    select 1, 'FSM_INITIALIZED', case when p_metadata is null then '{}' else jsonb_build_object('metadata', p_metadata) end
      || jsonb_build_object('from', course.state, 'to', p_initial_state, 'version', next_version, 'run', course.run)
    union all
    select 1 + n, 'JOB_CREATED', jsonb_build_object('outbox_id', j->'outbox_id', 'queue', j->'queue', 'run', course.run)
    from jsonb_array_elements(p_job_data) with ordinality as t (j, n)
  ) as history (position, type, data);

  insert into idempotency_keys (organization_id, key, fingerprint, entity_id, expires_at, result)
  values (p_organization_id, p_idempotency_key, p_fingerprint, p_entity_id, now() + interval '24 hours', jsonb_build_object(
    'fsmState', jsonb_build_object('entity_id', p_entity_id, 'state', p_initial_state,
      'version', next_version, 'created_by', p_initiated_by, 'created_at', now()),
    'outboxEntries', (select coalesce(jsonb_agg(jsonb_build_object(
      'outbox_id', j->'outbox_id', 'queue_name', j->'queue', 'created_at', now())), '[]') from jsonb_array_elements(p_job_data) as j)))
  on conflict (organization_id, key) do update set -- an expired one
    fingerprint = excluded.fingerprint, entity_id = excluded.entity_id, result = excluded.result,
    created_at = excluded.created_at, expires_at = excluded.expires_at
  returning result || '{"fromCache": false, "keptForMs": 86400000}' into answer;
  return answer;
end
$$;
-- +goose StatementEnd

-- Cancels a course, or sends it back to pending for its next run.
-- +goose StatementBegin
create or replace function change_course_state(
  p_entity_id uuid, p_user_id uuid, p_organization_id uuid, p_idempotency_key text,
  p_initiated_by text, p_state text, p_reason text, p_fingerprint text
) returns jsonb
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  answer jsonb;
  course courses;
begin
  perform check_tenant(p_organization_id);
  answer := claim_key(p_organization_id, p_idempotency_key, p_fingerprint);
  if answer is not null then
    return answer;
  end if;
  if p_state not in ('cancelled', 'pending') then
    raise exception 'a caller may only cancel or restart a course' using errcode = 'LE003';
  end if;
  course := lock_own_course(p_entity_id, p_organization_id);
  course := change_state(p_entity_id, p_state, 'STATE_TRANSITIONED',
    jsonb_build_object('reason', p_reason), p_initiated_by, p_user_id);
  if p_state = 'pending' then
    perform clear_course(p_entity_id);
  end if;
  return store_answer(p_organization_id, p_idempotency_key, p_fingerprint, course.id, jsonb_build_object(
    'entity_id', course.id, 'state', course.generation_status, 'version', course.status_version,
    'created_by', p_initiated_by, 'created_at', now()));
end
$$;
-- +goose StatementEnd

-- Makes a course, once per key if there is one, and returns its id.
-- +goose StatementBegin
create or replace function create_course(
  p_id uuid, p_user_id uuid, p_organization_id uuid, p_title text, p_slug text, p_language text, p_style text,
  p_settings jsonb, p_idempotency_key text, p_fingerprint text
) returns uuid
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  answer jsonb;
begin
  perform check_tenant(p_organization_id);
  if p_idempotency_key is not null then
    answer := claim_key(p_organization_id, p_idempotency_key, p_fingerprint);
    if answer is not null then
      return (answer->>'course_id')::uuid;
    end if;
  end if;
  insert into courses (id, organization_id, user_id, title, slug, language, style, settings)
  values (p_id, p_organization_id, p_user_id, p_title, p_slug, p_language, p_style, p_settings);
  if p_idempotency_key is not null then
    perform store_answer(p_organization_id, p_idempotency_key, p_fingerprint, p_id, jsonb_build_object('course_id', p_id));
  end if;
  return p_id;
end
$$;
-- +goose StatementEnd

drop function store_result(uuid, text, uuid, jsonb);

-- Courses are updated at every step: in the room left, within their page.
alter table courses set (fillfactor = 70);

revoke execute on all functions in schema lectern from public;

-- +goose Down
-- Functions that kept their signature go with 0004 and 0002.
set local search_path = lectern, pg_temp;
drop function refuse_command(uuid, text, text, jsonb);
drop function refuse_course(uuid, uuid, integer, text);
drop function check_key(text);
drop function are_jobs(jsonb);
drop function store_answer(uuid, text, text, uuid, jsonb);
alter table courses reset (fillfactor);
-- +goose StatementBegin
create function store_result(p_organization uuid, p_key text, p_entity uuid, p_result jsonb) returns jsonb
language sql
as $$
  update idempotency_keys set result = p_result, entity_id = p_entity
  where organization_id = p_organization and key = p_key
  returning result
$$;
-- +goose StatementEnd
