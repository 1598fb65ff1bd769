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

-- Claims a key and returns null, or returns the stored answer of the call that
-- had it first, and for how long it is still kept. A second caller waits in the
-- INSERT until the first commits (then it replays) or aborts (then it claims);
-- reading first and then inserting would lose that race. An expired row is
-- taken over. When the row vanished in between, or another caller took it over,
-- it goes round again.
-- +goose StatementBegin
create or replace function claim_key(p_organization uuid, p_key text, p_fingerprint text) returns jsonb
language plpgsql
as $$
declare
  answer jsonb;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'commands run at READ COMMITTED: a fixed snapshot can''t see the answer it waits for'
      using errcode = 'serialization_failure';
  end if;
  if p_key is null or char_length(p_key) not between 8 and 255 then
    raise exception 'must have 8 to 255 characters' using errcode = 'LE006', column = 'idempotency_key';
  end if;
  loop
    insert into idempotency_keys (organization_id, key, fingerprint, expires_at)
    values (p_organization, p_key, p_fingerprint, now() + interval '24 hours')
    on conflict (organization_id, key) do nothing;
    if found then
      return null;
    end if;
    answer := stored_answer(p_organization, p_key, p_fingerprint);
    if answer is not null then
      return answer;
    end if;
    update idempotency_keys
    set fingerprint = p_fingerprint, result = null, entity_id = null,
        created_at = now(), expires_at = now() + interval '24 hours'
    where organization_id = p_organization and key = p_key and expires_at <= clock_timestamp();
    if found then
      return null;
    end if;
  end loop;
end
$$;
-- +goose StatementEnd

-- Returns the answer stored for a key, or null, and refuses another request.
-- +goose StatementBegin
create function stored_answer(p_organization uuid, p_key text, p_fingerprint text) returns jsonb
language plpgsql
as $$
declare
  stored record;
begin
  select fingerprint, result, expires_at - clock_timestamp() as kept_for into stored
  from idempotency_keys where organization_id = p_organization and key = p_key and expires_at > clock_timestamp();
  if not found then
    return null;
  end if;
  if stored.fingerprint <> p_fingerprint then
    raise exception 'this idempotency key was used for another request' using errcode = 'LE005';
  end if;
  return stored.result || jsonb_build_object(
    'fromCache', true, 'keptForMs', floor(extract(epoch from stored.kept_for) * 1000));
end
$$;
-- +goose StatementEnd

-- Whether jobs is an array of {outbox_id, queue, data, options} as the outbox
-- takes them. A path is an expression, where a query would be a statement.
-- +goose StatementBegin
create function are_jobs(jobs jsonb) returns boolean
language sql immutable parallel safe
return jsonb_typeof(jobs) = 'array' and not jsonb_path_exists(jobs, '$[*] ? (
  !(@.type() == "object")
  || !(@.outbox_id like_regex "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
  || !(@.queue like_regex "^.{1,100}$" flag "s")
  || !(@.data.type() == "object")
  || exists(@.options) && !(@.options.type() == "object"))');
-- +goose StatementEnd

-- Says which of the jobs is none.
-- +goose StatementBegin
create function refuse_jobs(p_jobs jsonb) returns void
language plpgsql
as $$
declare
  field text := 'jobs';
begin
  if jsonb_typeof(p_jobs) = 'array' then
    select format('jobs[%s]', position - 1) into field
    from jsonb_array_elements(p_jobs) with ordinality as t (j, position)
    where not are_jobs(jsonb_build_array(j)) order by position limit 1;
  end if;
  raise exception 'a job needs an outbox_id that is a UUID, a queue of 1 to 100 characters and data that is an object'
    using errcode = 'LE006', column = field;
end
$$;
-- +goose StatementEnd

-- Keeps the state machine, whoever writes, and counts versions and runs.
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
  bound text := nullif(current_setting('lectern.organization_id', true), '');
  jobs jsonb := coalesce(p_job_data, '[]');
  answer jsonb;
  owner uuid;
  from_state text;
  course_run integer;
begin
  if p_organization_id is null then
    raise exception 'must not be empty' using errcode = 'LE006', column = 'organization_id';
  end if;
  if bound is not null and bound::uuid <> p_organization_id then
    raise exception 'this transaction is bound to another organization' using errcode = 'LE009';
  end if;

  -- Most repeats come late: they find the answer, and write nothing.
  answer := coalesce(stored_answer(p_organization_id, p_idempotency_key, p_fingerprint),
                     claim_key(p_organization_id, p_idempotency_key, p_fingerprint));
  if answer is not null then
    return answer;
  end if;

  if not is_state(p_initial_state) then
    raise exception '% is not a state', coalesce(quote_literal(p_initial_state), 'null') using errcode = 'LE003', column = 'state';
  end if;
  if not are_jobs(jobs) then
    perform refuse_jobs(jobs);
  end if;

  -- A statement of its own: the next one's snapshot then sees what the lock's
  -- last holder committed. NO KEY UPDATE lets rows that refer to the course be
  -- inserted meanwhile.
  select organization_id, generation_status, run into owner, from_state, course_run
  from courses where id = p_entity_id for no key update;
  if not found then
    raise exception 'there is no course %', p_entity_id using errcode = 'LE001';
  end if;
  if owner <> p_organization_id then
    raise exception 'the course % belongs to another organization', p_entity_id using errcode = 'LE002';
  end if;
  if p_run <> course_run then
    raise exception 'the course % is on run %, not %', p_entity_id, course_run, p_run using errcode = 'LE008';
  end if;

  -- The trigger looks at changes alone; to begin a state again is none.
  if not legal_transition(from_state, p_initial_state) then
    raise exception 'a course that is % can''t become %', from_state, p_initial_state using errcode = 'LE004';
  end if;

  with moved as (
    update courses set generation_status = p_initial_state where id = p_entity_id
    returning status_version
  ), queued as (
    insert into job_outbox (outbox_id, entity_id, run, queue_name, job_data, job_options, next_attempt_at, parked)
    select (j->>'outbox_id')::uuid, p_entity_id, course_run, j->>'queue', j->'data', coalesce(j->'options', '{}'),
           case when not backing_off then (j->'options'->>'not_before')::timestamptz end,
           case when backing_off then 'blocked' when j->'options' ? 'not_before' then 'delay' end
    from jsonb_array_elements(jobs) as j, (select exists (
      select from job_outbox
      where entity_id = p_entity_id and processed_at is null and dead_at is null and parked = 'backoff')) as b (backing_off)
  ), last as (
    select coalesce(max(event_no), 0) as no from fsm_events where entity_id = p_entity_id
  ), recorded as (
    insert into fsm_events (entity_id, event_no, event_type, event_data, created_by, user_id)
    select p_entity_id, no + 1, 'FSM_INITIALIZED', jsonb_strip_nulls(jsonb_build_object('metadata', p_metadata,
      'from', from_state, 'to', p_initial_state, 'version', status_version, 'run', course_run)), p_initiated_by, p_user_id
    from last, moved
    union all
    select p_entity_id, no + 1 + position, 'JOB_CREATED', jsonb_build_object(
      'outbox_id', j->'outbox_id', 'queue', j->'queue', 'run', course_run), p_initiated_by, p_user_id
    from last, jsonb_array_elements(jobs) with ordinality as t (j, position)
  )
  update idempotency_keys set entity_id = p_entity_id, result = jsonb_build_object(
    'fsmState', jsonb_build_object('entity_id', p_entity_id, 'state', p_initial_state,
      'version', (select status_version from moved), 'created_by', p_initiated_by, 'created_at', now()),
    'outboxEntries', coalesce((select jsonb_agg(jsonb_build_object(
      'outbox_id', j->'outbox_id', 'queue_name', j->'queue', 'created_at', now())) from jsonb_array_elements(jobs) as j), '[]'))
  where organization_id = p_organization_id and key = p_idempotency_key
  returning result into answer;
  return answer || '{"fromCache": false, "keptForMs": 86400000}';
end
$$;
-- +goose StatementEnd

revoke execute on all functions in schema lectern from public;

-- +goose Down
-- Functions that kept their signature go with 0004 and 0002.
set local search_path = lectern, pg_temp;
drop function refuse_jobs(jsonb);
drop function are_jobs(jsonb);
drop function stored_answer(uuid, text, text);
