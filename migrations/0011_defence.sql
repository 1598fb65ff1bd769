-- +goose Up
set local search_path = lectern, pg_temp;

-- begin_job for a job that layer 3 has not looked at: when nothing but the
-- course's state is against it, the answer is unfit, and the inbox is left
-- alone until layer 3 has tried to mend that.
-- +goose StatementBegin
create function begin_fit_job(
  p_outbox_id uuid, p_consumer text, p_entity_id uuid, p_run integer, p_working text
) returns text
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  course courses;
begin
  course := lock_course(p_entity_id);
  if course.id is not null
     and p_run in (0, course.run)
     and course.generation_status <> p_working
     and not legal_transition(course.generation_status, p_working)
     and not exists (select from processed_jobs where outbox_id = p_outbox_id and consumer = p_consumer)
  then
    return 'unfit';
  end if;
  return begin_job(p_outbox_id, p_consumer, p_entity_id, p_run, p_working);
end
$$;
-- +goose StatementEnd

-- After the work, as in 0005, but a result counts only while the course is in
-- the state that the work was begun in. Of two jobs for the same step, of which
-- one came past the API, the second would else lead the course on once more, or
-- fail it for that.
-- p_step: {queue, working, attempt, documents, analysis, structure, metadata,
--          retry: {job, reason}, fail, on_last: {states, jobs}}
-- +goose StatementBegin
create or replace function advance_course(
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
  elsif course.generation_status is distinct from p_step->>'working' then
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

-- Explicit, for defaults of one schema can't take away what PUBLIC has by the
-- server's own.
revoke execute on function begin_fit_job(uuid, text, uuid, integer, text) from public;

-- Layers 2 and 3 give the command as the workers' role, in no tenant's name
-- but that of the course's row.
grant execute on function
  begin_fit_job(uuid, text, uuid, integer, text),
  initialize_fsm_with_outbox(uuid, uuid, uuid, text, text, text, jsonb, jsonb, text, integer)
to lectern_worker;

-- +goose Down
set local search_path = lectern, pg_temp;
revoke execute on function
  initialize_fsm_with_outbox(uuid, uuid, uuid, text, text, text, jsonb, jsonb, text, integer)
from lectern_worker;
drop function begin_fit_job(uuid, text, uuid, integer, text);
