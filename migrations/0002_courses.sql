-- +goose Up
set local search_path = lectern, pg_temp;

create table courses (
  id uuid primary key,
  organization_id uuid not null,
  user_id uuid not null,
  title text not null check (char_length(title) between 1 and 1000),
  slug text not null check (slug <> ''),
  language text not null check (language ~ '^[a-z]{2,3}(-[a-z0-9]{1,8})*$'),
  style text not null check (style ~ '^[a-z_]{1,40}$'),
  settings jsonb not null default '{}' check (jsonb_typeof(settings) = 'object'),
  generation_status text not null default 'pending',
  status_version bigint not null default 0 check (status_version >= 0),
  run integer not null default 1 check (run >= 1),
  analysis_result jsonb check (jsonb_typeof(analysis_result) = 'object'),
  course_structure jsonb check (jsonb_typeof(course_structure) = 'object'),
  generation_metadata jsonb not null default '{}' check (jsonb_typeof(generation_metadata) = 'object'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create index courses_of_organization on courses (organization_id, id desc);

create table documents (
  document_id uuid primary key,
  entity_id uuid not null references courses on delete cascade,
  organization_id uuid not null,
  name text not null check (char_length(name) between 1 and 255),
  format text not null check (format ~ '^[a-z0-9]{1,10}$'),
  size_bytes bigint not null check (size_bytes > 0),
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  blob_key text not null,
  status text not null default 'uploaded' check (status in ('uploaded', 'processed', 'failed')),
  error text,
  content jsonb check (jsonb_typeof(content) = 'object'),
  summary jsonb check (jsonb_typeof(summary) = 'object'),
  position bigint generated always as identity,
  created_at timestamptz not null default now(),
  -- The same file twice is one document, so that an upload can be repeated.
  unique (entity_id, name, sha256)
);

create table document_chunks (
  document_id uuid not null references documents on delete cascade,
  entity_id uuid not null references courses on delete cascade,
  chunk_no integer not null check (chunk_no >= 1),
  content text not null,
  primary key (document_id, chunk_no)
);

create index document_chunks_of_course on document_chunks (entity_id);

-- +goose StatementBegin
create function is_state(state text) returns boolean
language sql immutable parallel safe
set search_path = lectern, pg_temp
as $$
  select coalesce(state in (
    'pending',
    'stage_2_init', 'stage_2_processing', 'stage_2_complete',
    'stage_3_init', 'stage_3_summarizing', 'stage_3_complete',
    'stage_4_init', 'stage_4_analyzing', 'stage_4_complete',
    'stage_5_init', 'stage_5_generating', 'stage_5_complete',
    'finalizing', 'completed', 'failed', 'cancelled'
  ), false)
$$;
-- +goose StatementEnd

-- The state machine, the same as domain.State.Next.
-- +goose StatementBegin
create function legal_transition(from_state text, to_state text) returns boolean
language sql immutable parallel safe
set search_path = lectern, pg_temp
as $$
  select case
    when from_state in ('completed', 'failed', 'cancelled') then to_state = 'pending'
    when to_state in ('failed', 'cancelled') then is_state(from_state)
    else (from_state, to_state) in (
      ('pending', 'stage_2_init'), ('pending', 'stage_4_init'), ('pending', 'stage_5_init'),
      ('stage_2_init', 'stage_2_processing'), ('stage_2_init', 'stage_2_complete'),
      ('stage_2_processing', 'stage_2_complete'),
      ('stage_2_complete', 'stage_3_init'), ('stage_2_complete', 'stage_4_init'),
      ('stage_3_init', 'stage_3_summarizing'),
      ('stage_3_summarizing', 'stage_3_complete'),
      ('stage_3_complete', 'stage_4_init'),
      ('stage_4_init', 'stage_4_analyzing'),
      ('stage_4_analyzing', 'stage_4_complete'),
      ('stage_4_complete', 'stage_5_init'),
      ('stage_5_init', 'stage_5_generating'),
      ('stage_5_generating', 'stage_5_complete'),
      ('stage_5_complete', 'finalizing'),
      ('finalizing', 'completed')
    )
  end
$$;
-- +goose StatementEnd

alter table courses add constraint courses_state check (is_state(generation_status));

-- +goose StatementBegin
create function guard_course_state() returns trigger
language plpgsql
set search_path = lectern, pg_temp
as $$
begin
  if tg_op = 'INSERT' then
    if new.generation_status <> 'pending' then
      raise exception 'a course begins as pending, not as %', new.generation_status using errcode = 'LE004';
    end if;
    new.status_version := 0;
    new.run := 1;
    return new;
  end if;

  new.updated_at := now();
  new.status_version := old.status_version;
  new.run := old.run;
  if new.generation_status is distinct from old.generation_status then
    if not legal_transition(old.generation_status, new.generation_status) then
      raise exception 'a course that is % can''t become %', old.generation_status, new.generation_status
        using errcode = 'LE004';
    end if;
    new.status_version := old.status_version + 1;
    if new.generation_status = 'pending' then
      new.run := old.run + 1;
    end if;
  end if;
  return new;
end
$$;
-- +goose StatementEnd

create trigger guard_course_state before insert or update on courses
  for each row execute function guard_course_state();

-- +goose Down
set local search_path = lectern, pg_temp;
drop table document_chunks;
drop table documents;
drop table courses;
drop function guard_course_state();
drop function legal_transition(text, text);
drop function is_state(text);
