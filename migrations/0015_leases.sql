-- +goose Up
set local search_path = lectern, pg_temp;

-- Many relays: each leases some of the outbox's 64 partitions, and claims what
-- is in them. Times are the database's.

-- The relays that are there, whether they hold a lease or not: who shares.
create table relays (
  holder text primary key check (char_length(holder) between 1 and 200),
  expires_at timestamptz not null
);
alter table relays enable row level security;
create policy refuse_all on relays to lectern_app, lectern_worker, lectern_relay using (false) with check (false);

alter table leases
  add column alone uuid, -- the suspect entry that was sent last, by itself
  add column crashes integer not null default 0; -- of holders while that one was in hand

-- The low six bits of the course's id, which are random.
create function partition_of(p_entity uuid) returns integer
language sql immutable parallel safe
return get_byte(uuid_send(p_entity), 15) & 63;

-- Takes up to p_most partitions that nobody holds, or whose holder let its time
-- pass without giving them back. What that one may have had in hand, at most
-- p_batch entries, is suspect from now on: it may have been its death.
-- +goose StatementBegin
create function take_leases(p_holder text, p_ttl interval, p_most integer, p_batch integer) returns void
language plpgsql
set search_path = lectern, pg_temp
as $$
declare
  free record;
  upto bigint;
begin
  for free in
    select f.holder, array_agg(f.partition) as partitions from (
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
    update leases l set
      holder = p_holder, token = l.token + 1, expires_at = now() + p_ttl, suspect_upto = greatest(l.suspect_upto, upto),
      crashes = l.crashes + (free.holder is not null and exists (
        select from job_outbox o where o.outbox_id = l.alone and o.processed_at is null and o.dead_at is null))::integer
    where l.partition = any (free.partitions);
  end loop;
end
$$;
-- +goose StatementEnd

-- Extends what a relay holds, and returns it. To balance is besides to give
-- back what is over its fair share, and to take what it lacks: for a relay with
-- nothing in hand.
-- +goose StatementBegin
create function hold_leases(p_holder text, p_ttl interval, p_balance boolean, p_batch integer)
returns table (partition smallint, token bigint, suspect boolean)
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
#variable_conflict use_column
declare
  share integer;
  held integer;
begin
  insert into relays (holder, expires_at) values (p_holder, now() + p_ttl)
  on conflict (holder) do update set expires_at = excluded.expires_at;
  update leases set expires_at = now() + p_ttl where holder = p_holder;
  get diagnostics held = row_count;

  if p_balance then
    delete from relays where holder in (select holder from relays where expires_at <= now() for update skip locked);
    select ceil(64.0 / count(*)) into share from relays where expires_at > now();
    if held > share then
      update leases set holder = null, token = token + 1, expires_at = '-infinity', alone = null, crashes = 0
      where partition in (select partition from leases where holder = p_holder order by partition desc limit held - share);
    elsif held < share then
      perform take_leases(p_holder, p_ttl, share - held, p_batch);
    end if;
  end if;
  return query select partition, token, suspect_upto > 0 from leases where holder = p_holder order by partition;
end
$$;
-- +goose StatementEnd

-- Gives back all that a relay holds, so that others need not wait.
-- +goose StatementBegin
create function give_back_leases(p_holder text) returns void
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
begin
  update leases set holder = null, token = token + 1, expires_at = '-infinity', alone = null, crashes = 0
  where holder = p_holder;
  delete from relays where holder = p_holder;
end
$$;
-- +goose StatementEnd

-- The next suspect entry of the partitions held by these tokens, to be sent by
-- itself, and how many holders died while they had it so. That it is in hand is
-- kept before it is sent: no other way tells whose fault a death is. Without
-- any, the partitions are suspect no more.
-- +goose StatementBegin
create function claim_alone(p_partitions smallint[], p_tokens bigint[]) returns table (outbox_id uuid, crashes integer)
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
    update leases l set suspect_upto = 0, alone = null, crashes = 0
    from unnest(p_partitions, p_tokens) as mine (partition, token)
    where l.partition = mine.partition and l.token = mine.token and l.suspect_upto > 0;
    return;
  end if;
  update leases l set alone = suspect.outbox_id, crashes = suspect.crashes where l.partition = suspect.partition;
  return query select suspect.outbox_id::uuid, suspect.crashes;
end
$$;
-- +goose StatementEnd

-- Forgets that an entry was in hand alone, when it could not be settled: its
-- sender is alive.
-- +goose StatementBegin
create function acquit_alone(p_partitions smallint[], p_tokens bigint[]) returns void
language sql security definer
set search_path = lectern, pg_temp
as $$
  update leases l set alone = null, crashes = 0
  from unnest(p_partitions, p_tokens) as mine (partition, token)
  where l.partition = mine.partition and l.token = mine.token and l.alone is not null
$$;
-- +goose StatementEnd

-- A round of the claim's cursor begins: what the sequence has given so far, and
-- then, in this order, a transaction id. Whoever drew one of these numbers has
-- an id below it.
-- +goose StatementBegin
create function outbox_horizon(out last_seq bigint, out xid bigint)
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
begin
  select case when is_called then last_value else 0 end into last_seq from job_outbox_seq;
  xid := pg_current_xact_id()::text::bigint;
end
$$;
-- +goose StatementEnd

-- As in 0006, but a course whose lock somebody holds comes another time,
-- instead of holding up all others.
-- +goose StatementBegin
create or replace function unpark_due(p_limit integer) returns bigint
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

revoke execute on all functions in schema lectern from public;
revoke update on leases from lectern_relay; -- by functions alone
grant execute on function
  partition_of(uuid), hold_leases(text, interval, boolean, integer), give_back_leases(text),
  claim_alone(smallint[], bigint[]), acquit_alone(smallint[], bigint[]), outbox_horizon()
to lectern_relay;

-- +goose Down
-- unpark_due goes with 0006.
set local search_path = lectern, pg_temp;
grant update on leases to lectern_relay;
drop function outbox_horizon();
drop function acquit_alone(smallint[], bigint[]);
drop function claim_alone(smallint[], bigint[]);
drop function give_back_leases(text);
drop function hold_leases(text, interval, boolean, integer);
drop function take_leases(text, interval, integer, integer);
drop function partition_of(uuid);
alter table leases drop column alone, drop column crashes;
drop table relays;
