-- +goose Up
set local search_path = lectern, pg_temp;

-- The command, leaner still, and its replay above all. By a profile a fifth of
-- its time goes to expressions that a statement compiles anew each time, whether
-- they are reached or not.

-- Whether an entry that a publish failed for holds up what comes after it.
-- +goose StatementBegin
create function is_backing_off(p_entity uuid) returns boolean
language plpgsql stable
set search_path = lectern, pg_temp
as $$
begin
  return exists (
    select from job_outbox where entity_id = p_entity and processed_at is null and dead_at is null and parked = 'backoff');
end
$$;
-- +goose StatementEnd

-- The command: state, event, jobs and key, all or nothing, in one round trip.
-- Its answer says besides until when the key is kept (keptUntil). p_job_data is
-- the text of a jsonb, which a replay need not read.
drop function initialize_fsm_with_outbox(uuid, uuid, uuid, text, text, text, jsonb, jsonb, text, integer);
-- +goose StatementBegin
create function initialize_fsm_with_outbox(
  p_entity_id uuid, p_user_id uuid, p_organization_id uuid, p_idempotency_key text,
  p_initiated_by text, p_initial_state text, p_job_data text, p_metadata jsonb,
  p_fingerprint text, p_run integer default null
) returns jsonb
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  answer jsonb;
  jobs_given jsonb;
  from_state text;
  course_version bigint;
  course_run integer;
  first_no bigint;
begin
  -- A stored answer of the same fingerprint needs no more checks: it was given to
  -- the same request. Without one, callers of a key take turns by the lock of
  -- their course: whoever waited finds that the course doesn't take the command
  -- any more, looks for the answer again, and replays it. If the first aborted,
  -- the course takes it. Who passed that all the same, because the key is used
  -- for several courses at once or the course was sent back in between, meets the
  -- first at the key's primary key: it waits, and fails there (23505) if the first
  -- commits. Nothing is left behind then, and to ask again brings the answer, or
  -- the refusal.
  if current_setting('lectern.organization_id', true) <> '' then
    perform check_tenant(p_organization_id);
  end if;

  select case when fingerprint = p_fingerprint and expires_at > clock_timestamp() then result end into answer
  from idempotency_keys
  where organization_id = p_organization_id and key = p_idempotency_key;
  if answer is not null then
    return answer;
  elsif found then
    perform drop_expired_key(p_organization_id, p_idempotency_key, p_fingerprint);
  end if;

  jobs_given := coalesce(p_job_data, '[]');
  if (current_setting('transaction_isolation') = 'read committed'
    and char_length(p_idempotency_key) between 8 and 255
    and are_jobs(jobs_given)) is not true
  then
    perform refuse_command(p_organization_id, p_idempotency_key, p_initial_state, jobs_given);
  end if;

  -- A statement of its own, for its lock: the next one's snapshot then sees what
  -- the lock's last holder committed.
  update courses set generation_status = p_initial_state,
    last_event_no = last_event_no + 1 + jsonb_array_length(jobs_given)
  where id = p_entity_id and organization_id = p_organization_id and (p_run is null or run = p_run)
    and legal_transition(generation_status, p_initial_state)
  returning left_status, status_version::bigint, run::integer,
    last_event_no - jsonb_array_length(jobs_given) into from_state, course_version, course_run, first_no;
  if not found then
    return answer_or_refuse(p_entity_id, p_organization_id, p_idempotency_key, p_fingerprint, p_run, p_initial_state);
  end if;

  -- The rest is one statement, whose parts are started once and for all. No
  -- entry came before a course's first event.
  with jobs as materialized (
    select n, j->>'outbox_id' as id, j->>'queue' as queue, j->'data' as data, coalesce(j->'options', '{}') as options,
      first_no > 1 and is_backing_off(p_entity_id) as backing_off
    from jsonb_array_elements(jobs_given) with ordinality as t (j, n)
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
grant execute on function initialize_fsm_with_outbox(uuid, uuid, uuid, text, text, text, text, jsonb, text, integer)
to lectern_app, lectern_worker;

-- +goose Down
-- Functions that kept their signature go with 0014 and 0002.
set local search_path = lectern, pg_temp;
drop function initialize_fsm_with_outbox(uuid, uuid, uuid, text, text, text, text, jsonb, text, integer);
-- +goose StatementBegin
create function initialize_fsm_with_outbox(
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
revoke execute on function initialize_fsm_with_outbox(uuid, uuid, uuid, text, text, text, jsonb, jsonb, text, integer) from public;
grant execute on function initialize_fsm_with_outbox(uuid, uuid, uuid, text, text, text, jsonb, jsonb, text, integer)
to lectern_app, lectern_worker;
drop function is_backing_off(uuid);
