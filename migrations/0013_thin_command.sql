-- +goose Up
set local search_path = lectern, pg_temp;

-- The command once more, thinner. By a profile its time went to the start of
-- each statement, to the checks of each foreign key, and to expressions that
-- are compiled anew in each transaction, whether they are needed or not.

-- Events and keys lose their foreign keys, whose checks were a tenth of the
-- command, and prove nothing there: only functions of ours write these tables,
-- and they hold the course's lock. What goes with a course is told here. Rows
-- that were committed before the deletion got its lock are seen: a trigger's
-- statement has a snapshot of its own.
alter table fsm_events drop constraint fsm_events_entity_id_fkey;
alter table idempotency_keys drop constraint idempotency_keys_entity_id_fkey;

-- +goose StatementBegin
create function delete_with_course() returns trigger
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
begin
  delete from fsm_events where entity_id in (select id from gone);
  delete from idempotency_keys where entity_id in (select id from gone);
  return null;
end
$$;
-- +goose StatementEnd

create trigger delete_with_course after delete on courses
  referencing old table as gone for each statement execute function delete_with_course();

-- An event is found by its course and number, and nobody looks for its id.
alter table fsm_events drop constraint fsm_events_pkey;
drop index fsm_events_of_course;
alter table fsm_events add primary key (entity_id, event_no);

-- Most entries have no options, and what they may be takes long to prepare: a
-- function's body, unlike a check's expression, costs nothing until it is called.
-- +goose StatementBegin
create function are_options(value jsonb) returns boolean
language plpgsql immutable parallel safe
as $$
begin
  return jsonb_typeof(value) = 'object'
    and coalesce(jsonb_typeof(value->'max_attempts') = 'number'
      and value->>'max_attempts' ~ '^(\d|[1-9]\d|100)$', not value ? 'max_attempts')
    and coalesce(jsonb_typeof(value->'attempt') = 'number'
      and value->>'attempt' ~ '^(\d|[1-9]\d|100)$', not value ? 'attempt')
    and case
      when not value ? 'not_before' then true
      when jsonb_typeof(value->'not_before') <> 'string' then false
      when value->>'not_before' !~ '^(19[7-9]\d|[2-9]\d{3})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3])(:[0-5]\d){2}(\.\d{1,9})?(Z|[+-](0\d|1[0-4]):[0-5]\d)$' then false
      else make_date(substr(value->>'not_before', 1, 4)::integer,
        substr(value->>'not_before', 6, 2)::integer, substr(value->>'not_before', 9, 2)::integer) is not null
    end;
end
$$;
-- +goose StatementEnd
alter domain job_options drop constraint job_options_check;
alter domain job_options drop constraint if exists job_options_check1;
alter domain job_options drop constraint if exists job_options_check2;
alter domain job_options add constraint job_options_check check (value = '{}' or lectern.are_options(value));

-- The same rule as before, in fewer words.
alter table job_outbox drop constraint job_outbox_check;
alter table job_outbox add constraint job_outbox_check check (
  -- An entry is pending, processed or dead, and only a pending one is parked.
  num_nonnulls(processed_at, dead_at, parked) <= 1
  -- What waits for a date has one.
  and (next_attempt_at is not null or coalesce(parked, 'blocked') = 'blocked'));

-- The state machine, the same as domain.State.Next. A search in a text costs
-- nothing to begin with, where a list of texts is hashed by each statement.
-- +goose StatementBegin
create or replace function legal_transition(from_state text, to_state text) returns boolean
language sql immutable parallel safe
return case
  when from_state in ('completed', 'failed', 'cancelled') then to_state = 'pending'
  when to_state in ('failed', 'cancelled') then lectern.is_state(from_state)
  else strpos(
    '|pending>stage_2_init|pending>stage_4_init|pending>stage_5_init'
    '|stage_2_init>stage_2_processing|stage_2_init>stage_2_complete'
    '|stage_2_processing>stage_2_complete'
    '|stage_2_complete>stage_3_init|stage_2_complete>stage_4_init'
    '|stage_3_init>stage_3_summarizing'
    '|stage_3_summarizing>stage_3_complete'
    '|stage_3_complete>stage_4_init'
    '|stage_4_init>stage_4_analyzing'
    '|stage_4_analyzing>stage_4_complete'
    '|stage_4_complete>stage_5_init'
    '|stage_5_init>stage_5_generating'
    '|stage_5_generating>stage_5_complete'
    '|stage_5_complete>finalizing'
    '|finalizing>completed|',
    '|' || from_state || '>' || to_state || '|') > 0
end;
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
  elsif lectern.legal_transition(old.generation_status, new.generation_status) then
    new.status_version := old.status_version + 1;
    new.run := old.run + (new.generation_status = 'pending')::integer;
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
create function guard_new_course() returns trigger
language plpgsql
as $$
begin
  if new.generation_status <> 'pending' then
    raise exception 'a course begins as pending, not as %', new.generation_status using errcode = 'LE004';
  end if;
  new.status_version := 0;
  new.run := 1;
  return new;
end
$$;
-- +goose StatementEnd

drop trigger guard_course_state on courses;
create trigger guard_course_state before update on courses for each row execute function guard_course_state();
create trigger guard_new_course before insert on courses for each row execute function guard_new_course();

-- Makes room for a key whose time is over; one whose time isn't may have been
-- used for another request.
-- +goose StatementBegin
create function drop_expired_key(p_organization uuid, p_key text, p_fingerprint text) returns void
language plpgsql
as $$
begin
  delete from idempotency_keys where organization_id = p_organization and key = p_key and expires_at <= clock_timestamp();
  if not found and exists (select from idempotency_keys
    where organization_id = p_organization and key = p_key and fingerprint is distinct from p_fingerprint)
  then
    raise exception 'this idempotency key was used for another request' using errcode = 'LE005';
  end if;
end
$$;
-- +goose StatementEnd

-- Says why a course doesn't take a command, unless it is because the first
-- caller of the key has given it meanwhile: then it returns that one's answer.
-- +goose StatementBegin
create function answer_or_refuse(
  p_entity uuid, p_organization uuid, p_key text, p_fingerprint text, p_run integer, p_state text
) returns jsonb
language plpgsql
as $$
declare
  stored record;
begin
  perform check_tenant(p_organization);
  if not is_state(p_state) then
    raise exception '% is not a state', coalesce(quote_literal(p_state), 'null') using errcode = 'LE003', column = 'state';
  end if;
  select result, fingerprint into stored
  from idempotency_keys where organization_id = p_organization and key = p_key and expires_at > clock_timestamp();
  if stored.fingerprint = p_fingerprint then
    return stored.result;
  elsif stored.fingerprint is not null then
    raise exception 'this idempotency key was used for another request' using errcode = 'LE005';
  end if;
  perform refuse_course(p_entity, p_organization, p_run, p_state);
end
$$;
-- +goose StatementEnd

-- Stores the answer for a key that claim_key gave to this transaction.
-- +goose StatementBegin
create or replace function store_answer(p_organization uuid, p_key text, p_fingerprint text, p_entity uuid, p_answer jsonb) returns jsonb
language plpgsql
as $$
begin
  perform drop_expired_key(p_organization, p_key, p_fingerprint);
  insert into idempotency_keys (organization_id, key, fingerprint, entity_id, result, expires_at)
  values (p_organization, p_key, p_fingerprint, p_entity, p_answer, now() + interval '24 hours');
  return p_answer;
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
  course_run integer;
begin
  select case when fingerprint = p_fingerprint and expires_at > clock_timestamp() then result end into answer
  from idempotency_keys
  where organization_id = p_organization_id and key = p_idempotency_key
    and p_organization_id = coalesce(nullif(current_setting('lectern.organization_id', true), '')::uuid, p_organization_id);
  if found then
    if answer is not null then
      return answer;
    end if;
    perform drop_expired_key(p_organization_id, p_idempotency_key, p_fingerprint);
  end if;

  if (current_setting('transaction_isolation') = 'read committed'
    and p_organization_id = coalesce(nullif(current_setting('lectern.organization_id', true), '')::uuid, p_organization_id)
    and char_length(p_idempotency_key) between 8 and 255
    and are_jobs(coalesce(p_job_data, '[]'))) is not true
  then
    perform refuse_command(p_organization_id, p_idempotency_key, p_initial_state, p_job_data);
  end if;

  -- A statement of its own: the next one's snapshot then sees what the lock's
  -- last holder committed. NO KEY UPDATE lets rows that refer to the course be
  -- inserted meanwhile.
  select generation_status::text, run::integer into from_state, course_run
  from courses
  where id = p_entity_id and organization_id = p_organization_id and coalesce(run = p_run, true)
    and legal_transition(generation_status, p_initial_state)
  for no key update;
  if not found then
    return answer_or_refuse(p_entity_id, p_organization_id, p_idempotency_key, p_fingerprint, p_run, p_initial_state);
  end if;

  -- The rest is one statement, whose parts are started once and for all.
  with moved as (
    update courses set generation_status = p_initial_state where id = p_entity_id returning status_version as version
  ), jobs as materialized (
    select n, j->>'outbox_id' as id, j->>'queue' as queue, j->'data' as data, coalesce(j->'options', '{}') as options
    from jsonb_array_elements(p_job_data) with ordinality as t (j, n)
  ), entries as (
    insert into job_outbox (outbox_id, entity_id, run, queue_name, job_data, job_options, next_attempt_at, parked)
    select id::uuid, p_entity_id, course_run, queue, data, options,
           case when not backing_off then (options->>'not_before')::timestamptz end,
           case when backing_off then 'blocked' when options ? 'not_before' then 'delay' end
    from jobs, (select exists (
      select from job_outbox
      where entity_id = p_entity_id and processed_at is null and dead_at is null and parked = 'backoff')) as b (backing_off)
  ), events as (
    insert into fsm_events (entity_id, event_no, event_type, event_data, created_by, user_id)
    select p_entity_id, (select coalesce(max(event_no), 0) from fsm_events where entity_id = p_entity_id) + position,
           type, data, p_initiated_by, p_user_id
    from (
      select 1, 'FSM_INITIALIZED', case when p_metadata is null then '{}' else jsonb_build_object('metadata', p_metadata) end
        || jsonb_build_object('from', from_state, 'to', p_initial_state, 'version', version, 'run', course_run)
      from moved
      union all
      select 1 + n, 'JOB_CREATED', jsonb_build_object('outbox_id', id, 'queue', queue, 'run', course_run)
      from jobs
    ) as history (position, type, data)
  )
  insert into idempotency_keys (organization_id, key, fingerprint, entity_id, expires_at, result)
  select p_organization_id, p_idempotency_key, p_fingerprint, p_entity_id, now() + interval '24 hours', jsonb_build_object(
    'fsmState', jsonb_build_object('entity_id', p_entity_id, 'state', p_initial_state,
      'version', version, 'created_by', p_initiated_by, 'created_at', now()),
    'outboxEntries', (select coalesce(jsonb_agg(jsonb_build_object(
      'outbox_id', id, 'queue_name', queue, 'created_at', now())), '[]') from jobs),
    'fromCache', true, 'keptUntil', now() + interval '24 hours')
  from moved
  returning result || '{"fromCache": false}' into answer;
  return answer;
end
$$;
-- +goose StatementEnd

update idempotency_keys set result = result || jsonb_build_object('fromCache', true, 'keptUntil', expires_at)
where result ? 'fsmState';

revoke execute on all functions in schema lectern from public;

-- +goose Down
-- Functions that kept their signature go with 0004 and 0002.
set local search_path = lectern, pg_temp;
update idempotency_keys set result = result - 'fromCache' - 'keptUntil' where result ? 'fsmState';
drop function answer_or_refuse(uuid, uuid, text, text, integer, text);
drop function drop_expired_key(uuid, text, text);
drop trigger guard_new_course on courses;
drop function guard_new_course();
alter table job_outbox drop constraint job_outbox_check;
alter table job_outbox add constraint job_outbox_check check (
  (processed_at is null or dead_at is null)
  and (parked is null or processed_at is null and dead_at is null and (parked = 'blocked' or next_attempt_at is not null)));
alter domain job_options drop constraint job_options_check;
alter domain job_options add constraint job_options_check check (jsonb_typeof(value) = 'object');
drop function are_options(jsonb);
alter table fsm_events drop constraint fsm_events_pkey;
alter table fsm_events add primary key (event_id);
create unique index fsm_events_of_course on fsm_events (entity_id, event_no);
drop trigger delete_with_course on courses;
drop function delete_with_course();
alter table fsm_events add foreign key (entity_id) references courses on delete cascade;
alter table idempotency_keys add foreign key (entity_id) references courses on delete cascade;
