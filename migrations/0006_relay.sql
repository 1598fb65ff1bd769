-- +goose Up
set local search_path = lectern, pg_temp;

-- Makes ready what is due: a delayed entry alone; an entry that backs off
-- together with all that waits behind it. Each draws a new seq under the
-- course's lock, in the old order, so that the claim's cursor never has to
-- look back. Returns how many became ready.
-- +goose StatementBegin
create function unpark_due(p_limit integer) returns bigint
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  due_course uuid;
  changed bigint;
  total bigint := 0;
begin
  for due_course in
    select entity_id from (
      select entity_id, min(next_attempt_at) as due from job_outbox
      where processed_at is null and dead_at is null and parked is not null and next_attempt_at <= now()
      group by entity_id order by due limit p_limit
    ) t order by entity_id -- one order for all: no deadlock
  loop
    perform lock_course(due_course);
    with due as (
      select outbox_id, seq from job_outbox o
      where entity_id = due_course and processed_at is null and dead_at is null and (
        (parked in ('delay', 'backoff') and next_attempt_at <= now())
        or (parked = 'blocked' and not exists (
          select from job_outbox b
          where b.entity_id = due_course and b.processed_at is null and b.dead_at is null
            and b.parked = 'backoff' and b.next_attempt_at > now() and b.seq < o.seq)))
    ), numbered as (
      select outbox_id, nextval('job_outbox_seq') as new_seq from (select outbox_id from due order by seq) t
    )
    update job_outbox o set
      seq = new_seq,
      -- What was blocked may have a date of its own that is still to come.
      parked = case when o.parked = 'blocked' and (o.job_options->>'not_before')::timestamptz > now() then 'delay' end,
      next_attempt_at = case when o.parked = 'blocked' then (o.job_options->>'not_before')::timestamptz end
    from numbered n where o.outbox_id = n.outbox_id;
    get diagnostics changed = row_count;
    total := total + changed;
  end loop;
  return total;
end
$$;
-- +goose StatementEnd

-- Parks entries whose publish failed, p_failed: [{outbox_id, reason, delay_ms}],
-- and whatever of their courses waits behind them.
-- +goose StatementBegin
create function park_failed(p_failed jsonb) returns void
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  f record;
begin
  for f in
    select o.outbox_id, o.entity_id, o.seq, t.j->>'reason' as reason,
           now() + make_interval(secs => (t.j->>'delay_ms')::numeric / 1000) as due
    from jsonb_array_elements(p_failed) as t (j)
    join job_outbox o on o.outbox_id = (t.j->>'outbox_id')::uuid
    order by o.entity_id, o.seq
  loop
    perform lock_course(f.entity_id);
    update job_outbox set
      attempts = attempts + 1, last_error = f.reason, last_attempt_at = now(), next_attempt_at = f.due, parked = 'backoff'
    where outbox_id = f.outbox_id and processed_at is null and dead_at is null;
    continue when not found;
    update job_outbox set parked = 'blocked'
    where entity_id = f.entity_id and processed_at is null and dead_at is null and parked is null and seq > f.seq;
  end loop;
end
$$;
-- +goose StatementEnd

-- Buries entries that will not be tried again, p_dead: [{outbox_id, reason}],
-- and fails their courses while those are on the entry's run: they would wait
-- for ever.
-- +goose StatementBegin
create function bury_entries(p_dead jsonb) returns void
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  f record;
  course courses;
begin
  for f in
    select o.outbox_id, o.entity_id, o.run, o.queue_name, t.j->>'reason' as reason
    from jsonb_array_elements(p_dead) as t (j)
    join job_outbox o on o.outbox_id = (t.j->>'outbox_id')::uuid
    order by o.entity_id, o.seq
  loop
    course := lock_course(f.entity_id);
    update job_outbox set
      attempts = attempts + 1, last_error = f.reason, last_attempt_at = now(), dead_at = now(), parked = null
    where outbox_id = f.outbox_id and processed_at is null and dead_at is null;
    continue when not found or course.run <> f.run
      or course.generation_status in ('pending', 'completed', 'failed', 'cancelled');
    perform fail_course(f.entity_id, format('the job for %s could not be delivered: %s', f.queue_name, f.reason), 'QUEUE');
  end loop;
end
$$;
-- +goose StatementEnd

-- +goose Down
set local search_path = lectern, pg_temp;
drop function bury_entries(jsonb);
drop function park_failed(jsonb);
drop function unpark_due(integer);
