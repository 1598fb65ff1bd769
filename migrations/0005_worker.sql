-- +goose Up
set local search_path = lectern, pg_temp;

-- Before the work: inbox, run, state, in that order. Moves the course to the
-- working state when it is the first of its jobs to begin.
-- +goose StatementBegin
create function begin_job(
  p_outbox_id uuid, p_consumer text, p_entity_id uuid, p_run integer, p_working text
) returns text
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  course courses;
  verdict text;
begin
  course := lock_course(p_entity_id);
  if course.id is null then
    return 'skipped';
  end if;
  if exists (select from processed_jobs where outbox_id = p_outbox_id and consumer = p_consumer) then
    return 'duplicate';
  end if;

  -- A job published by hand names no run (0): it counts as the current one's.
  verdict := case
    when p_run not in (0, course.run) then 'stale'
    when course.generation_status = p_working then 'work'
    when legal_transition(course.generation_status, p_working) then 'work'
    else 'skipped'
  end;
  if verdict <> 'work' then
    insert into processed_jobs (outbox_id, consumer, entity_id, outcome)
    values (p_outbox_id, p_consumer, p_entity_id, verdict);
  elsif course.generation_status <> p_working then
    perform change_state(p_entity_id, p_working, 'STATE_TRANSITIONED', null, 'WORKER', null);
  end if;
  return verdict;
end
$$;
-- +goose StatementEnd

-- After the work: the whole effect of one job, and its inbox row, or nothing.
-- p_step: {queue, attempt, documents, analysis, structure, metadata,
--          retry: {job, reason}, fail, on_last: {states, jobs}}
-- +goose StatementBegin
create function advance_course(
  p_outbox_id uuid, p_consumer text, p_entity_id uuid, p_run integer, p_step jsonb
) returns text
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  course courses;
  outcome text := case when p_step ? 'fail' then 'failed' when p_step ? 'retry' then 'retried' else 'completed' end;
  event jsonb := jsonb_build_object('outbox_id', p_outbox_id, 'queue', p_step->'queue',
    'document_id', p_step->'document_id', 'attempt', p_step->'attempt', 'run', p_run);
begin
  course := lock_course(p_entity_id);
  if course.id is null then
    return 'skipped';
  end if;
  if p_run not in (0, course.run) then
    outcome := 'stale';
  elsif course.generation_status in ('pending', 'completed', 'failed', 'cancelled') then
    outcome := 'skipped';
  end if;
  insert into processed_jobs (outbox_id, consumer, entity_id, outcome)
  values (p_outbox_id, p_consumer, p_entity_id, outcome)
  on conflict do nothing;
  if not found then
    return 'duplicate';
  end if;
  if outcome in ('stale', 'skipped') then
    return outcome;
  end if;

  perform store_documents(p_entity_id, coalesce(p_step->'documents', '[]'));
  update courses set
    analysis_result = coalesce(p_step->'analysis', analysis_result),
    course_structure = coalesce(p_step->'structure', course_structure),
    generation_metadata = generation_metadata || coalesce(p_step->'metadata', '{}')
  where id = p_entity_id;

  if outcome = 'retried' then
    perform add_event(p_entity_id, 'JOB_FAILED', event || jsonb_build_object('reason', p_step->'retry'->'reason'), 'WORKER', null);
    perform add_entries(p_entity_id, course.run, jsonb_build_array(p_step->'retry'->'job'), 'WORKER', null);
  elsif outcome = 'failed' then
    perform add_event(p_entity_id, 'JOB_FAILED', event || jsonb_build_object('reason', p_step->'fail'), 'WORKER', null);
    perform fail_course(p_entity_id, p_step->>'fail', 'WORKER');
  else
    perform add_event(p_entity_id, 'JOB_COMPLETED', event, 'WORKER', null);
    perform go_on(p_entity_id, course.run, p_step->>'queue', p_consumer, p_step->'on_last');
  end if;
  return 'work';
end
$$;
-- +goose StatementEnd

-- Ends a run whose lock is held: the course becomes failed, for a reason.
-- +goose StatementBegin
create function fail_course(p_entity uuid, p_reason text, p_actor text) returns void
language plpgsql
set search_path = lectern, pg_temp
as $$
begin
  perform add_event(p_entity, 'ERROR_OCCURRED', jsonb_build_object('reason', p_reason), p_actor, null);
  update courses set generation_metadata = generation_metadata || jsonb_build_object('failure', p_reason) where id = p_entity;
  perform change_state(p_entity, 'failed', 'STATE_TRANSITIONED', jsonb_build_object('reason', p_reason), p_actor, null);
end
$$;
-- +goose StatementEnd

-- Writes what a stage learned of documents; one that can't be read is recorded
-- by name.
-- +goose StatementBegin
create function store_documents(p_entity uuid, p_documents jsonb) returns void
language plpgsql
set search_path = lectern, pg_temp
as $$
declare
  d jsonb;
  document_name text;
begin
  for d in select * from jsonb_array_elements(p_documents) loop
    update documents set
      status = d->>'status',
      error = d->>'error',
      content = coalesce(d->'content', content),
      summary = coalesce(d->'summary', summary)
    where document_id = (d->>'document_id')::uuid and entity_id = p_entity
    returning name into document_name;
    continue when not found;

    if d ? 'chunks' then
      delete from document_chunks where document_id = (d->>'document_id')::uuid;
      insert into document_chunks (document_id, entity_id, chunk_no, content)
      select (d->>'document_id')::uuid, p_entity, (c->>'chunk_no')::integer, c->>'text'
      from jsonb_array_elements(d->'chunks') c;
    end if;
    if d->>'status' = 'failed' then
      perform add_event(p_entity, 'ERROR_OCCURRED', jsonb_build_object(
        'document_id', d->'document_id', 'document', document_name, 'reason', d->'error'), 'WORKER', null);
    end if;
  end loop;
end
$$;
-- +goose StatementEnd

-- The barrier: when this was the last job of its queue and run, the course
-- passes through the states and the last state's jobs are queued. The count is
-- a statement of its own after the lock: two jobs that end at once take the
-- lock in turn, so the second sees the first's inbox row.
-- +goose StatementBegin
create function go_on(p_entity uuid, p_run integer, p_queue text, p_consumer text, p_on_last jsonb) returns void
language plpgsql
set search_path = lectern, pg_temp
as $$
declare
  state text;
begin
  if p_on_last is null or exists (
    select from job_outbox o
    where o.entity_id = p_entity and o.run = p_run and o.queue_name = p_queue
      and not exists (select from processed_jobs p where p.outbox_id = o.outbox_id and p.consumer = p_consumer)
  ) then
    return;
  end if;
  for state in select * from jsonb_array_elements_text(coalesce(p_on_last->'states', '[]')) loop
    perform change_state(p_entity, state, 'STATE_TRANSITIONED', null, 'WORKER', null);
  end loop;
  perform add_entries(p_entity, p_run, coalesce(p_on_last->'jobs', '[]'), 'WORKER', null);
end
$$;
-- +goose StatementEnd

-- +goose Down
set local search_path = lectern, pg_temp;
drop function go_on(uuid, integer, text, text, jsonb);
drop function store_documents(uuid, jsonb);
drop function fail_course(uuid, text, text);
drop function advance_course(uuid, text, uuid, integer, jsonb);
drop function begin_job(uuid, text, uuid, integer, text);
