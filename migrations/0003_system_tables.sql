-- +goose Up
set local search_path = lectern, pg_temp;

-- CACHE 1: a session that kept numbers back would draw them out of order.
create sequence job_outbox_seq cache 1;

create table job_outbox (
  outbox_id uuid primary key,
  -- Drawn after the transaction has its id and the course's lock, so that
  -- within a course the sequence is the commit order and a reader can tell
  -- from the oldest running transaction which numbers may still appear.
  seq bigint not null default case when pg_current_xact_id() is not null then nextval('lectern.job_outbox_seq') end,
  entity_id uuid not null references courses on delete cascade,
  run integer not null check (run >= 1),
  queue_name text not null check (char_length(queue_name) between 1 and 100),
  job_data jsonb not null check (jsonb_typeof(job_data) = 'object'),
  job_options jsonb not null default '{}' check (jsonb_typeof(job_options) = 'object'),
  created_at timestamptz not null default now(),
  processed_at timestamptz,
  attempts integer not null default 0 check (attempts >= 0),
  last_error text,
  last_attempt_at timestamptz,
  next_attempt_at timestamptz,
  dead_at timestamptz,
  -- Null while ready. backoff: a publish failed; delay: not due yet; blocked:
  -- behind one of its course that is backing off.
  parked text check (parked in ('backoff', 'delay', 'blocked')),
  -- 64 partitions: the low six bits of the course's id, which are random.
  partition smallint not null generated always as (get_byte(uuid_send(entity_id), 15) & 63) stored
);

alter sequence job_outbox_seq owned by job_outbox.seq;

create index job_outbox_ready on job_outbox (seq)
  where processed_at is null and dead_at is null and parked is null;
create index job_outbox_parked on job_outbox (next_attempt_at)
  where processed_at is null and dead_at is null and parked is not null;
create index job_outbox_of_course on job_outbox (entity_id, seq);
create index job_outbox_processed on job_outbox (processed_at) where processed_at is not null;

create table idempotency_keys (
  organization_id uuid not null,
  key text not null check (char_length(key) between 8 and 255),
  fingerprint text not null check (fingerprint ~ '^[0-9a-f]{64}$'),
  result jsonb check (jsonb_typeof(result) = 'object'),
  entity_id uuid references courses on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  primary key (organization_id, key),
  check (expires_at > created_at)
);

create index idempotency_keys_expired on idempotency_keys (expires_at);
create index idempotency_keys_of_course on idempotency_keys (entity_id);

create table fsm_events (
  event_id uuid primary key default gen_random_uuid(),
  entity_id uuid not null references courses on delete cascade,
  event_no bigint not null check (event_no >= 1),
  event_type text not null check (event_type in
    ('FSM_INITIALIZED', 'STATE_TRANSITIONED', 'JOB_CREATED', 'JOB_COMPLETED', 'JOB_FAILED', 'ERROR_OCCURRED')),
  event_data jsonb not null default '{}' check (jsonb_typeof(event_data) = 'object'),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null check (created_by in ('API', 'QUEUE', 'WORKER', 'ADMIN', 'TEST')),
  user_id uuid
);

create unique index fsm_events_of_course on fsm_events (entity_id, event_no);
create index fsm_events_by_time on fsm_events (created_at);
create index fsm_events_by_type on fsm_events (event_type, created_at);

-- The inbox: a job whose row is here has had its effect.
create table processed_jobs (
  outbox_id uuid not null,
  consumer text not null check (char_length(consumer) between 1 and 100),
  entity_id uuid not null references courses on delete cascade,
  outcome text not null check (outcome in ('completed', 'failed', 'retried', 'stale', 'skipped')),
  processed_at timestamptz not null default now(),
  primary key (outbox_id, consumer)
);

create index processed_jobs_of_course on processed_jobs (entity_id);
create index processed_jobs_by_time on processed_jobs (processed_at);

-- Which relay may claim which partition, until when by the database's clock.
create table leases (
  partition smallint primary key check (partition between 0 and 63),
  holder text,
  token bigint not null default 0, -- the fencing token: rises with each holder
  expires_at timestamptz not null default '-infinity',
  suspect_upto bigint not null default 0 -- after an unclean take-over: entries to send one at a time
);

insert into leases (partition) select generate_series(0, 63);

-- +goose Down
set local search_path = lectern, pg_temp;
drop table leases;
drop table processed_jobs;
drop table fsm_events;
drop table idempotency_keys;
drop table job_outbox;
