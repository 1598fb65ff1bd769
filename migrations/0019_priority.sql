-- +goose Up
set local search_path = lectern, pg_temp;

-- A job's priority, 0 to 9: the most urgent leave first, and take along what
-- comes before them in their courses.

-- As in 0013, and priority besides.
-- +goose StatementBegin
create or replace function are_options(value jsonb) returns boolean
language plpgsql immutable parallel safe
as $$
begin
  return jsonb_typeof(value) = 'object'
    and coalesce(jsonb_typeof(value->'priority') = 'number'
      and value->>'priority' ~ '^\d$', not value ? 'priority')
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

-- Has no entry as long as nobody asks for a priority, and then costs next to
-- nothing. By priority and number, so that each priority can be looked at from
-- the claim's cursor on. That an entry is ready is said in other words than the
-- index job_outbox_ready uses, here and below: else the planner may take that
-- one, and read all that waits to find what is urgent.
create index job_outbox_urgent on job_outbox
  ((case when num_nonnulls(processed_at, dead_at, parked) = 0 then job_options->'priority' end), seq)
  where case when num_nonnulls(processed_at, dead_at, parked) = 0 then job_options->'priority' end > '0';

-- Whether an entry with a priority is ready behind a claim's cursor. It looks at
-- each priority from there on, and so doesn't wade through what was settled.
-- +goose StatementBegin
create function any_urgent(p_after bigint) returns boolean
language plpgsql stable security definer
set search_path = lectern, pg_temp
set plan_cache_mode = force_generic_plan -- the number is another each time, the plan is not
as $$
begin
  return exists (
    select from generate_series(1, 9) p cross join lateral (
      select from job_outbox
      where case when num_nonnulls(processed_at, dead_at, parked) = 0 then job_options->'priority' end > '0'
        and case when num_nonnulls(processed_at, dead_at, parked) = 0 then job_options->'priority' end = to_jsonb(p)
        and seq > p_after
      order by seq limit 1) u);
end
$$;
-- +goose StatementEnd

-- What of some partitions' ready entries leaves before its turn, p_most of them,
-- in order: the most urgent, then the oldest, each behind what comes before it
-- in its course, for a course is raised as a whole. p_after is the claim's
-- cursor: nothing is ready up to there.
-- +goose StatementBegin
create function raise_courses(p_partitions integer[], p_after bigint, p_most integer) returns setof job_outbox
language plpgsql stable security definer
set search_path = lectern, pg_temp
as $$
declare
  span record;
  more integer;
  room integer := p_most;
begin
  for span in
    with urgent as (
      select u.entity_id, u.seq, row_number() over (order by p desc, u.seq) as rank
      from generate_series(1, 9) p cross join lateral (
        select o.entity_id, o.seq from job_outbox o
        where case when num_nonnulls(o.processed_at, o.dead_at, o.parked) = 0 then o.job_options->'priority' end > '0'
          and case when num_nonnulls(o.processed_at, o.dead_at, o.parked) = 0 then o.job_options->'priority' end = to_jsonb(p)
          and o.seq > p_after and partition_of(o.entity_id) = any (p_partitions)
        order by o.seq limit p_most) u
      order by p desc, u.seq limit p_most
    ), spans as (
      -- What a more urgent one of the course takes along need not be looked at again.
      select entity_id, rank, seq as upto, coalesce(
        max(seq) over (partition by entity_id order by rank rows between unbounded preceding and 1 preceding), p_after) as after
      from urgent
    )
    select * from spans where upto > after order by rank
  loop
    return query select o.* from job_outbox o
      where o.entity_id = span.entity_id and o.seq > span.after and o.seq <= span.upto
        and num_nonnulls(o.processed_at, o.dead_at, o.parked) = 0
      order by o.seq limit room;
    get diagnostics more = row_count;
    room := room - more;
    exit when room = 0;
  end loop;
end
$$;
-- +goose StatementEnd

-- What a holder that died may have had in hand before its turn; the rest is
-- told by suspect_upto, which is above 0 while there is either.
alter table leases add column suspects uuid[] not null default '{}';

-- Under which token an entry was sent alone. Only the death of who had that one
-- is its death.
alter table leases add column alone_token bigint;

-- As in 0015, but what the dead holder may have raised is suspect too.
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

-- As in 0015, and then what may have been raised, in order too.
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

revoke execute on all functions in schema lectern from public;
grant execute on function any_urgent(bigint), raise_courses(integer[], bigint, integer) to lectern_relay;

-- +goose Down
-- Functions that kept their signature go with 0013 and 0015.
set local search_path = lectern, pg_temp;
drop function raise_courses(integer[], bigint, integer);
drop function any_urgent(bigint);
drop index job_outbox_urgent;
alter table leases drop column suspects, drop column alone_token;
