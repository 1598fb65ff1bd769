-- +goose Up
set local search_path = lectern, pg_temp;

-- Why a course will not go on by itself: null if it may. Nothing has happened
-- to it for p_after, and nothing that it could wait for is on its way:
--   - no entry of its run waits for the relay, for its time or for an operator;
--   - a job that the broker has is overdue: it was sent before that time too, and
--     of its queue the workers have done none in that time that was sent no later.
--     While they do, it is this one's turn that has not come yet.
-- A course whose caller is to give the next command waits for that one.
-- +goose StatementBegin
create function stalled_because(p_course courses, p_after interval, p_consumer text) returns text
language plpgsql stable
set search_path = lectern, pg_temp
as $$
declare
  job job_outbox;
begin
  if p_course.updated_at > now() - p_after
    or p_course.generation_status in ('pending', 'completed', 'failed', 'cancelled')
    or p_course.settings->>'pipeline' = 'manual' and p_course.generation_status in ('stage_2_complete', 'stage_3_complete', 'stage_4_complete')
    or exists (select from job_outbox o
      where o.entity_id = p_course.id and o.run = p_course.run and o.processed_at is null and o.dead_at is null)
  then
    return null;
  end if;
  for job in
    select o.* from job_outbox o
    where o.entity_id = p_course.id and o.run = p_course.run and o.processed_at is not null
      and not exists (select from processed_jobs p where p.outbox_id = o.outbox_id and p.consumer = p_consumer)
    order by o.seq
  loop
    if job.processed_at > now() - p_after or exists (
      select from processed_jobs p join job_outbox o on o.outbox_id = p.outbox_id
      where p.processed_at > now() - p_after and p.consumer = p_consumer
        and o.queue_name = job.queue_name and o.processed_at <= job.processed_at)
    then
      return null;
    end if;
  end loop;
  -- The last one will do for a person to begin with.
  return format('nothing has happened since %s: ', to_char(p_course.updated_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'))
    || case when job.outbox_id is null then 'no job is on its way that would lead on from ' || p_course.generation_status
       else format('the broker was given the job for %s (%s), and no worker has done it; it may be lost, or among the dead letters',
         job.queue_name, job.outbox_id) end
    || '; restart the course';
end
$$;
-- +goose StatementEnd

-- Fails up to p_limit courses that will not go on by themselves, for the reason,
-- and returns them: call again while it is as many. Whoever comes while another
-- process is at it leaves it to that one.
--
-- No index serves it: one over the state would make each change of state write to
-- every index of the table. A course whose lock is held is being worked on; the
-- others are looked at again under their lock, so that a job that is done in
-- between counts, whichever commits first.
-- +goose StatementBegin
create function fail_stalled_courses(p_after interval, p_consumer text, p_limit integer) returns setof uuid
language plpgsql security definer
set search_path = lectern, pg_temp
set jit = off
as $$
declare
  stalled uuid;
  course courses;
  reason text;
begin
  if (p_after > interval '0' and p_limit > 0) is not true then
    raise exception 'stalled courses need a time and a limit' using errcode = 'invalid_parameter_value';
  end if;
  if not pg_try_advisory_xact_lock(hashtext('lectern.stalls'), 0) then
    return;
  end if;
  for stalled in
    select c.id from courses c
    where c.generation_status not in ('pending', 'completed', 'failed', 'cancelled') and c.updated_at <= now() - p_after
      and stalled_because(c, p_after, p_consumer) is not null
    order by c.id limit p_limit -- one order for all: no deadlock
  loop
    select * into course from courses where id = stalled for no key update skip locked;
    continue when not found;
    reason := stalled_because(course, p_after, p_consumer); -- a statement after the lock: it sees what was committed before
    continue when reason is null;
    perform fail_course(stalled, reason, 'WORKER');
    return next stalled;
  end loop;
end
$$;
-- +goose StatementEnd

-- Explicit, for defaults of one schema can't take away what PUBLIC has by the
-- server's own.
revoke execute on function stalled_because(courses, interval, text), fail_stalled_courses(interval, text, integer) from public;
grant execute on function fail_stalled_courses(interval, text, integer) to lectern_worker;

-- +goose Down
set local search_path = lectern, pg_temp;
drop function fail_stalled_courses(interval, text, integer);
drop function stalled_because(courses, interval, text);
