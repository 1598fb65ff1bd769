-- +goose Up
set local search_path = lectern, pg_temp;

-- As in 0015, for the entries of some partitions: who makes an entry ready is
-- who leases it, and so claims it then. Another would have to wake him. Courses
-- that somebody has locked hide no others that are due.
drop function unpark_due(integer);
-- +goose StatementBegin
create function unpark_due(p_limit integer, p_partitions smallint[]) returns bigint
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  due_course uuid;
  changed bigint;
  total bigint := 0;
begin
  -- When all of the first are locked, whoever is not.
  for look in 1..2 loop
    for due_course in
      select entity_id from (
        select entity_id, min(next_attempt_at) as due from job_outbox
        where processed_at is null and dead_at is null and parked is not null and next_attempt_at <= now()
          and partition_of(entity_id) = any (p_partitions)
        group by entity_id order by due limit case when look = 1 then p_limit end
      ) t order by entity_id -- one order for all: no deadlock
    loop
      perform from courses where id = due_course for no key update skip locked;
      continue when not found;
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
      exit when total >= p_limit;
    end loop;
    exit when total > 0;
  end loop;
  return total;
end
$$;
-- +goose StatementEnd

-- Nothing passes an entry of its course that backs off: not one whose date comes
-- meanwhile, and not one that failed with it and would be due before it. It has
-- no date of its own then: else it counted as due all the time.
-- +goose StatementBegin
create or replace function park_failed(p_failed jsonb) returns void
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
    where outbox_id = f.outbox_id and processed_at is null and dead_at is null and parked is null;
    continue when not found;
    update job_outbox set parked = 'blocked', next_attempt_at = null
    where entity_id = f.entity_id and processed_at is null and dead_at is null and coalesce(parked, 'delay') = 'delay' and seq > f.seq;
  end loop;
end
$$;
-- +goose StatementEnd

update job_outbox set next_attempt_at = null
where parked = 'blocked' and next_attempt_at is not null and processed_at is null and dead_at is null;

-- Lets the time of all relays pass: for one that knows that no other is alive,
-- such as one whose process has the whole server to itself. It need not wait for
-- the time of those that were killed; what they may have had in hand is suspect
-- all the same.
-- +goose StatementBegin
create function expire_leases() returns void
language sql security definer
set search_path = lectern, pg_temp
as $$
  delete from relays;
  update leases set expires_at = now() where holder is not null and expires_at > now();
$$;
-- +goose StatementEnd

revoke execute on all functions in schema lectern from public;
grant execute on function unpark_due(integer, smallint[]), expire_leases() to lectern_relay;

-- +goose Down
set local search_path = lectern, pg_temp;
drop function expire_leases();
drop function unpark_due(integer, smallint[]);
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
    perform from courses where id = due_course for no key update skip locked;
    continue when not found;
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
revoke execute on function unpark_due(integer) from public;
grant execute on function unpark_due(integer) to lectern_relay;
