-- +goose Up
set local search_path = lectern, pg_temp;

-- Our own SQLSTATEs, which adapters/postgres turns into domain errors:
--   LE001 no such course                 LE006 a job or field that breaks a rule
--   LE002 another organization's course  LE007 the course is not pending
--   LE003 not a state                    LE008 the course has begun another run
--   LE004 illegal transition             LE009 bound to another organization
--   LE005 idempotency key reused for another request

-- The second lock on tenants: a transaction that is bound to an organization
-- speaks for no other. An unbound one is trusted to name its own.
-- +goose StatementBegin
create function check_tenant(p_organization uuid) returns void
language plpgsql stable
set search_path = lectern, pg_temp
as $$
declare
  bound text := nullif(current_setting('lectern.organization_id', true), '');
begin
  if p_organization is null then
    raise exception 'organization_id must not be empty' using errcode = 'LE006';
  end if;
  if bound is not null and bound::uuid <> p_organization then
    raise exception 'this transaction is bound to another organization' using errcode = 'LE009';
  end if;
end
$$;
-- +goose StatementEnd

-- Claims a key and returns null, or returns the stored answer of the call that
-- had it first. A second caller waits in the INSERT until the first commits
-- (then it replays) or aborts (then it claims). Reading first would lose that race.
-- +goose StatementBegin
create function claim_key(p_organization uuid, p_key text, p_fingerprint text) returns jsonb
language plpgsql
set search_path = lectern, pg_temp
as $$
declare
  stored idempotency_keys;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'commands run at READ COMMITTED: a fixed snapshot can''t see the answer it waits for'
      using errcode = 'serialization_failure';
  end if;
  if char_length(p_key) not between 8 and 255 then
    raise exception 'idempotency_key must have 8 to 255 characters' using errcode = 'LE006';
  end if;
  loop
    insert into idempotency_keys as k (organization_id, key, fingerprint, expires_at)
    values (p_organization, p_key, p_fingerprint, now() + interval '24 hours')
    on conflict (organization_id, key) do update
      set fingerprint = excluded.fingerprint, result = null, entity_id = null,
          created_at = now(), expires_at = excluded.expires_at
      where k.expires_at <= now();
    if found then
      return null;
    end if;
    select * into stored from idempotency_keys where organization_id = p_organization and key = p_key;
    continue when not found; -- a clean-up took it in between: claim again
    if stored.fingerprint <> p_fingerprint then
      raise exception 'this idempotency key was used for another request' using errcode = 'LE005';
    end if;
    return stored.result;
  end loop;
end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create function store_result(p_organization uuid, p_key text, p_entity uuid, p_result jsonb) returns jsonb
language sql
set search_path = lectern, pg_temp
as $$
  update idempotency_keys set result = p_result, entity_id = p_entity
  where organization_id = p_organization and key = p_key
  returning result
$$;
-- +goose StatementEnd

-- Locks a course. A statement of its own, so that the next one's snapshot
-- sees what the lock's last holder committed. NO KEY UPDATE lets rows that
-- refer to the course be inserted meanwhile.
-- +goose StatementBegin
create function lock_course(p_entity uuid) returns courses
language sql
set search_path = lectern, pg_temp
as $$
  select * from courses where id = p_entity for no key update
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create function lock_own_course(p_entity uuid, p_organization uuid) returns courses
language plpgsql
set search_path = lectern, pg_temp
as $$
declare
  course courses;
begin
  course := lock_course(p_entity);
  if course.id is null then
    raise exception 'there is no course %', p_entity using errcode = 'LE001';
  end if;
  if course.organization_id <> p_organization then
    raise exception 'the course % belongs to another organization', p_entity using errcode = 'LE002';
  end if;
  return course;
end
$$;
-- +goose StatementEnd

-- Appends an event to a course whose lock is held.
-- +goose StatementBegin
create function add_event(p_entity uuid, p_type text, p_data jsonb, p_actor text, p_user uuid) returns void
language sql
set search_path = lectern, pg_temp
as $$
  insert into fsm_events (entity_id, event_no, event_type, event_data, created_by, user_id)
  select p_entity, coalesce(max(event_no), 0) + 1, p_type, jsonb_strip_nulls(p_data), p_actor, p_user
  from fsm_events where entity_id = p_entity
$$;
-- +goose StatementEnd

-- Moves a course whose lock is held and writes the event of it.
-- +goose StatementBegin
create function change_state(p_entity uuid, p_to text, p_type text, p_data jsonb, p_actor text, p_user uuid) returns courses
language plpgsql
set search_path = lectern, pg_temp
as $$
declare
  from_state text;
  course courses;
begin
  select generation_status into strict from_state from courses where id = p_entity;
  update courses set generation_status = p_to where id = p_entity returning * into course;
  perform add_event(p_entity, p_type, coalesce(p_data, '{}') || jsonb_build_object(
    'from', from_state, 'to', p_to, 'version', course.status_version, 'run', course.run), p_actor, p_user);
  return course;
end
$$;
-- +goose StatementEnd

-- Inserts jobs, in the array's order, for a course whose lock is held. Each is
-- {outbox_id, queue, data, options}; options.not_before parks it until then.
-- Behind an entry of the course that is backing off, all are parked.
-- +goose StatementBegin
create function add_entries(p_entity uuid, p_run integer, p_jobs jsonb, p_actor text, p_user uuid) returns jsonb
language plpgsql
set search_path = lectern, pg_temp
as $$
declare
  entries jsonb;
  backing_off boolean;
begin
  if jsonb_typeof(p_jobs) <> 'array' then
    raise exception 'jobs must be an array' using errcode = 'LE006';
  end if;
  if exists (
    select from jsonb_array_elements(p_jobs) j
    where char_length(coalesce(j->>'queue', '')) not between 1 and 100
       or coalesce(jsonb_typeof(j->'data'), '') <> 'object'
       or coalesce(jsonb_typeof(j->'options'), 'object') <> 'object'
       or j->>'outbox_id' is null
  ) then
    raise exception 'each job needs an outbox_id, a queue of 1 to 100 characters and data that is an object'
      using errcode = 'LE006';
  end if;

  select exists (
    select from job_outbox
    where entity_id = p_entity and processed_at is null and dead_at is null and parked = 'backoff'
  ) into backing_off;

  with queued as (
    insert into job_outbox (outbox_id, entity_id, run, queue_name, job_data, job_options, next_attempt_at, parked)
    select (j->>'outbox_id')::uuid, p_entity, p_run, j->>'queue', j->'data', coalesce(j->'options', '{}'),
           case when not backing_off then (j->'options'->>'not_before')::timestamptz end,
           case when backing_off then 'blocked' when j->'options'->>'not_before' is not null then 'delay' end
    from jsonb_array_elements(p_jobs) with ordinality as t (j, position)
    order by position
    returning outbox_id, queue_name, seq, created_at
  ), recorded as (
    insert into fsm_events (entity_id, event_no, event_type, event_data, created_by, user_id)
    select p_entity,
           (select coalesce(max(event_no), 0) from fsm_events where entity_id = p_entity)
             + row_number() over (order by seq),
           'JOB_CREATED', jsonb_build_object('outbox_id', outbox_id, 'queue', queue_name, 'run', p_run),
           p_actor, p_user
    from queued
  )
  select coalesce(jsonb_agg(jsonb_build_object(
    'outbox_id', outbox_id, 'queue_name', queue_name, 'created_at', created_at) order by seq), '[]')
  into entries from queued;
  return entries;
end
$$;
-- +goose StatementEnd

-- The command: state, event, jobs and key, all or nothing, in one round trip.
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
  course courses;
  entries jsonb;
begin
  perform check_tenant(p_organization_id);
  answer := claim_key(p_organization_id, p_idempotency_key, p_fingerprint);
  if answer is not null then
    return answer || '{"fromCache": true}';
  end if;
  if not is_state(p_initial_state) then
    raise exception '% is not a state', coalesce(p_initial_state, 'null') using errcode = 'LE003';
  end if;

  course := lock_own_course(p_entity_id, p_organization_id);
  if p_run is not null and p_run <> course.run then
    raise exception 'the course % is on run %, not %', p_entity_id, course.run, p_run using errcode = 'LE008';
  end if;
  course := change_state(p_entity_id, p_initial_state, 'FSM_INITIALIZED',
    jsonb_build_object('metadata', p_metadata), p_initiated_by, p_user_id);
  entries := add_entries(p_entity_id, course.run, coalesce(p_job_data, '[]'), p_initiated_by, p_user_id);

  answer := jsonb_build_object(
    'fsmState', jsonb_build_object('entity_id', course.id, 'state', course.generation_status,
      'version', course.status_version, 'created_by', p_initiated_by, 'created_at', now()),
    'outboxEntries', entries);
  return store_result(p_organization_id, p_idempotency_key, course.id, answer) || '{"fromCache": false}';
end
$$;
-- +goose StatementEnd

-- Cancels a course, or sends it back to pending for its next run.
-- +goose StatementBegin
create function change_course_state(
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
  return store_result(p_organization_id, p_idempotency_key, course.id, jsonb_build_object(
    'entity_id', course.id, 'state', course.generation_status, 'version', course.status_version,
    'created_by', p_initiated_by, 'created_at', now()));
end
$$;
-- +goose StatementEnd

-- Takes a run's results off a course, for the next run to make its own.
-- +goose StatementBegin
create function clear_course(p_entity uuid) returns void
language sql
set search_path = lectern, pg_temp
as $$
  update courses set analysis_result = null, course_structure = null, generation_metadata = '{}' where id = p_entity;
  update documents set status = 'uploaded', error = null, content = null, summary = null where entity_id = p_entity;
  delete from document_chunks where entity_id = p_entity
$$;
-- +goose StatementEnd

-- Makes a course, once per key if there is one, and returns its id.
-- +goose StatementBegin
create function create_course(
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
    perform store_result(p_organization_id, p_idempotency_key, p_id, jsonb_build_object('course_id', p_id));
  end if;
  return p_id;
end
$$;
-- +goose StatementEnd

-- Adds a document to a pending course and returns its id, or the id of the
-- same file if the course has it already.
-- +goose StatementBegin
create function add_document(
  p_document_id uuid, p_entity_id uuid, p_organization_id uuid, p_name text, p_format text,
  p_size_bytes bigint, p_sha256 text, p_blob_key text
) returns uuid
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  course courses;
  known uuid;
begin
  perform check_tenant(p_organization_id);
  course := lock_own_course(p_entity_id, p_organization_id);
  select document_id into known from documents where entity_id = p_entity_id and name = p_name and sha256 = p_sha256;
  if found then
    return known;
  end if;
  if course.generation_status <> 'pending' then
    raise exception 'the course is %: documents are taken while it is pending', course.generation_status
      using errcode = 'LE007';
  end if;
  insert into documents (document_id, entity_id, organization_id, name, format, size_bytes, sha256, blob_key)
  values (p_document_id, p_entity_id, p_organization_id, p_name, p_format, p_size_bytes, p_sha256, p_blob_key);
  return p_document_id;
end
$$;
-- +goose StatementEnd

-- What the application may read of the system's tables: a course's history and
-- its jobs, of the organization that the transaction is bound to.
-- +goose StatementBegin
create function course_events(p_entity_id uuid, p_after bigint, p_limit integer default 1000) returns setof fsm_events
language plpgsql stable security definer
set search_path = lectern, pg_temp
as $$
begin
  perform check_reader(p_entity_id);
  return query select * from fsm_events where entity_id = p_entity_id and event_no > p_after
    order by event_no limit p_limit;
end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create function outbox_entries(p_entity_id uuid) returns setof job_outbox
language plpgsql stable security definer
set search_path = lectern, pg_temp
as $$
begin
  perform check_reader(p_entity_id);
  return query select * from job_outbox where entity_id = p_entity_id order by seq;
end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create function check_reader(p_entity_id uuid) returns void
language plpgsql stable
set search_path = lectern, pg_temp
as $$
begin
  if not exists (
    select from courses where id = p_entity_id
      and organization_id = nullif(current_setting('lectern.organization_id', true), '')::uuid
  ) then
    raise exception 'there is no course %', p_entity_id using errcode = 'LE001';
  end if;
end
$$;
-- +goose StatementEnd

-- +goose Down
set local search_path = lectern, pg_temp;
drop function check_reader(uuid);
drop function outbox_entries(uuid);
drop function course_events(uuid, bigint, integer);
drop function add_document(uuid, uuid, uuid, text, text, bigint, text, text);
drop function create_course(uuid, uuid, uuid, text, text, text, text, jsonb, text, text);
drop function clear_course(uuid);
drop function change_course_state(uuid, uuid, uuid, text, text, text, text, text);
drop function initialize_fsm_with_outbox(uuid, uuid, uuid, text, text, text, jsonb, jsonb, text, integer);
drop function add_entries(uuid, integer, jsonb, text, uuid);
drop function change_state(uuid, text, text, jsonb, text, uuid);
drop function add_event(uuid, text, jsonb, text, uuid);
drop function lock_own_course(uuid, uuid);
drop function lock_course(uuid);
drop function store_result(uuid, text, uuid, jsonb);
drop function claim_key(uuid, text, text);
drop function check_tenant(uuid);
