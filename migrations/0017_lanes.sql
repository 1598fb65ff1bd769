-- +goose Up
set local search_path = lectern, pg_temp;

-- As in 0014, for the entries of some partitions: who makes an entry ready is
-- who leases it, and so claims it then. Another would have to wake him.
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
  for due_course in
    select entity_id from (
      select entity_id, min(next_attempt_at) as due from job_outbox
      where processed_at is null and dead_at is null and parked is not null and next_attempt_at <= now()
        and partition_of(entity_id) = any (p_partitions)
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
