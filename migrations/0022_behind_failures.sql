-- +goose Up
set local search_path = lectern, pg_temp;

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

-- As in 0017, but courses that somebody has locked hide no others that are due.
-- +goose StatementBegin
create or replace function unpark_due(p_limit integer, p_partitions smallint[]) returns bigint
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

-- Under which token an entry was sent alone. Only the death of who had that one
-- is its death.
alter table leases add column alone_token bigint;

-- As in 0019, but for that.
-- +goose StatementBegin
create or replace function take_leases(p_holder text, p_ttl interval, p_most integer, p_batch integer) returns void
language plpgsql
set search_path = lectern, pg_temp
as $$
declare
  free record;
  upto bigint;
begin
  for free in
    select f.holder, array_agg(f.partition::integer) as partitions from (
      select partition, holder from leases
      where holder is null or expires_at <= now()
      order by holder nulls first, partition limit p_most
      for update skip locked) f
    group by f.holder
  loop
    upto := 0;
    if free.holder is not null then
      select coalesce(max(seq), 0) into upto from (
        select seq from job_outbox
        where processed_at is null and dead_at is null and parked is null and partition_of(entity_id) = any (free.partitions)
        order by seq limit p_batch) first;
    end if;
    with raised as materialized (
      select partition_of(entity_id) as partition, array_agg(outbox_id) as ids
      from raise_courses(free.partitions, 0, p_batch)
      where free.holder is not null
      group by 1
    )
    update leases l set
      holder = p_holder, token = l.token + 1, expires_at = now() + p_ttl, suspect_upto = greatest(l.suspect_upto, upto),
      suspects = array(select unnest(l.suspects) union select unnest(r.ids) from raised r where r.partition = l.partition),
      crashes = l.crashes + (free.holder is not null and l.alone_token = l.token and exists (
        select from job_outbox o where o.outbox_id = l.alone and o.processed_at is null and o.dead_at is null))::integer
    where l.partition = any (free.partitions);
  end loop;
end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create or replace function claim_alone(p_partitions smallint[], p_tokens bigint[]) returns table (outbox_id uuid, crashes integer)
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
#variable_conflict use_column
declare
  suspect record;
begin
  select o.outbox_id, l.partition, case when l.alone = o.outbox_id then l.crashes else 0 end as crashes into suspect
  from job_outbox o
  join leases l on l.partition = partition_of(o.entity_id)
  join unnest(p_partitions, p_tokens) as mine (partition, token) on mine.partition = l.partition and mine.token = l.token
  where o.processed_at is null and o.dead_at is null and o.parked is null and o.seq <= l.suspect_upto
    and o.seq <= (select max(suspect_upto) from leases)
  order by o.seq limit 1;
  if not found then
    select o.outbox_id, l.partition, case when l.alone = o.outbox_id then l.crashes else 0 end as crashes into suspect
    from leases l
    join unnest(p_partitions, p_tokens) as mine (partition, token) on mine.partition = l.partition and mine.token = l.token
    cross join unnest(l.suspects) as s (id)
    join job_outbox o on o.outbox_id = s.id
    where o.processed_at is null and o.dead_at is null and o.parked is null
    order by o.seq limit 1;
  end if;
  if not found then
    update leases l set suspect_upto = 0, suspects = '{}', alone = null, crashes = 0
    from unnest(p_partitions, p_tokens) as mine (partition, token)
    where l.partition = mine.partition and l.token = mine.token and l.suspect_upto > 0;
    return;
  end if;
  update leases l set alone = suspect.outbox_id, alone_token = l.token, crashes = suspect.crashes where l.partition = suspect.partition;
  return query select suspect.outbox_id::uuid, suspect.crashes;
end
$$;
-- +goose StatementEnd

-- As in 0015, for what these tokens have sent: what others had in hand when they
-- died is not theirs to acquit.
-- +goose StatementBegin
create or replace function acquit_alone(p_partitions smallint[], p_tokens bigint[]) returns void
language sql security definer
set search_path = lectern, pg_temp
as $$
  update leases l set alone = null, crashes = 0
  from unnest(p_partitions, p_tokens) as mine (partition, token)
  where l.partition = mine.partition and l.token = mine.token and l.alone is not null and l.alone_token = l.token
$$;
-- +goose StatementEnd

-- +goose Down
-- Functions that kept their signature go with 0006, 0015 and 0017.
set local search_path = lectern, pg_temp;
alter table leases drop column alone_token;
