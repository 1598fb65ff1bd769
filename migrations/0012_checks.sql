-- +goose Up
set local search_path = lectern, pg_temp;

-- The domain's rules once more, as far as SQL can say them, so that no row is
-- stored that the service would refuse to read. adapters/postgres proves the
-- two equal. Sizes and depths of JSON are left to the domain: to measure them
-- here would cost more than the insert. Whether a title has a letter is too:
-- it would depend on the database's locale.
--
-- A rule of one column is its type's. A session reads a type's rules once; a
-- table's checks it reads, plans and runs with every statement that writes the
-- table, all of them, whichever column was written: that took a quarter of the
-- command's time. What concerns several columns is one check a table.

create domain entity_id as uuid check (value <> '00000000-0000-0000-0000-000000000000');
create domain state as text check (is_state(value));
create domain tally as bigint check (value >= 0);
create domain run_number as integer check (value >= 1);
create domain attempts as integer check (value >= 0);
create domain ordinal as bigint check (value >= 1);
create domain jsonb_map as jsonb check (jsonb_typeof(value) = 'object');
-- What a time in JSON can say.
create domain moment as timestamptz check (value >= '1970-01-01Z' and value < '10000-01-01Z');

-- White space and control characters are listed by number: what a class of
-- characters holds depends on the locale.
create domain course_title as text
  check (char_length(value) between 1 and 1000)
  check (value !~ '^ |  | $|[\u0001-\u001f\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]');
create domain course_slug as text
  check (char_length(value) between 1 and 89)
  check (value !~ '[\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]');
create domain course_language as text
  check (char_length(value) <= 35 and value ~ '^[a-z]{2,3}(-[a-z0-9]{1,8})*$');
create domain course_style as text check (value in (
  'academic', 'conversational', 'storytelling', 'practical', 'motivational', 'visual', 'gamified', 'minimalist',
  'research', 'engaging', 'professional', 'socratic', 'problem_based', 'collaborative', 'technical', 'microlearning',
  'inspirational', 'interactive', 'analytical'));
create domain course_settings as jsonb
  check (jsonb_typeof(value) = 'object')
  check (coalesce(value->>'pipeline' in ('automatic', 'manual'), false))
  check (not value ? 'lessons'
    or jsonb_typeof(value->'lessons') = 'number' and value->>'lessons' ~ '^(0|[1-9]\d|1\d\d|200)$');

-- The names as domain.CleanFileName returns them.
create domain file_name as text
  check (char_length(value) between 1 and 255)
  check (value !~ '[\u0001-\u001f\u007f-\u009f/\\]' and value not in ('.', '..'));

create domain queue as text check (char_length(value) between 1 and 100);
create domain parking as text check (value in ('backoff', 'delay', 'blocked'));
-- An entry that the relay could not read would hold up all others, so options
-- must decode, and a date must be one.
create domain job_options as jsonb
  check (jsonb_typeof(value) = 'object')
  check (value = '{}' or (
    coalesce(jsonb_typeof(value->'max_attempts') = 'number'
      and value->>'max_attempts' ~ '^(\d|[1-9]\d|100)$', not value ? 'max_attempts')
    and coalesce(jsonb_typeof(value->'attempt') = 'number'
      and value->>'attempt' ~ '^(\d|[1-9]\d|100)$', not value ? 'attempt')))
  check (case
    when not value ? 'not_before' then true
    when jsonb_typeof(value->'not_before') <> 'string' then false
    when value->>'not_before' !~ '^(19[7-9]\d|[2-9]\d{3})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3])(:[0-5]\d){2}(\.\d{1,9})?(Z|[+-](0\d|1[0-4]):[0-5]\d)$' then false
    else make_date(substr(value->>'not_before', 1, 4)::integer,
      substr(value->>'not_before', 6, 2)::integer, substr(value->>'not_before', 9, 2)::integer) is not null
  end);

create domain idempotency_key as text check (char_length(value) between 8 and 255);
create domain fingerprint as text check (octet_length(value) = 64 and ltrim(value, '0123456789abcdef') = '');
create domain event_type as text check (value in
  ('FSM_INITIALIZED', 'STATE_TRANSITIONED', 'JOB_CREATED', 'JOB_COMPLETED', 'JOB_FAILED', 'ERROR_OCCURRED'));
create domain actor as text check (value in ('API', 'QUEUE', 'WORKER', 'ADMIN', 'TEST'));
create domain consumer as text check (char_length(value) between 1 and 100);
create domain outcome as text check (value in ('completed', 'failed', 'retried', 'stale', 'skipped'));

-- A course of no settings had the default; now the default says what it means.
update courses set settings = settings || '{"pipeline": "automatic"}' where not settings ? 'pipeline';

-- A policy holds the type of what it looks at.
drop policy own_organization on courses;
alter table courses
  alter id type entity_id,
  alter organization_id type entity_id,
  alter user_id type entity_id,
  drop constraint courses_title_check,
  drop constraint courses_slug_check,
  drop constraint courses_language_check,
  drop constraint courses_style_check,
  drop constraint courses_settings_check,
  drop constraint courses_state,
  drop constraint courses_status_version_check,
  drop constraint courses_run_check,
  drop constraint courses_analysis_result_check,
  drop constraint courses_course_structure_check,
  drop constraint courses_generation_metadata_check,
  alter title type course_title,
  alter slug type course_slug,
  alter language type course_language,
  alter style type course_style,
  alter settings set default '{"pipeline": "automatic"}',
  alter settings type course_settings,
  alter generation_status type state,
  alter status_version type tally,
  alter run type run_number,
  alter analysis_result type jsonb_map,
  alter course_structure type jsonb_map,
  alter generation_metadata type jsonb_map;
create policy own_organization on courses to lectern_app
  using (organization_id = nullif(current_setting('lectern.organization_id', true), '')::uuid);

alter table documents
  drop constraint documents_name_check,
  drop constraint documents_content_check,
  drop constraint documents_summary_check,
  alter name type file_name,
  alter content type jsonb_map,
  alter summary type jsonb_map;

alter table job_outbox
  drop constraint job_outbox_run_check,
  drop constraint job_outbox_queue_name_check,
  drop constraint job_outbox_job_data_check,
  drop constraint job_outbox_job_options_check,
  drop constraint job_outbox_attempts_check,
  drop constraint job_outbox_parked_check,
  alter outbox_id type entity_id,
  alter seq type ordinal,
  alter run type run_number,
  alter queue_name type queue,
  alter job_data type jsonb_map,
  alter job_options type job_options,
  alter attempts type attempts,
  alter parked type parking,
  alter created_at type moment,
  alter processed_at type moment,
  alter next_attempt_at type moment,
  alter dead_at type moment,
  add constraint job_outbox_check check (
    -- An entry is pending, processed or dead.
    (processed_at is null or dead_at is null)
    -- Only a pending one is parked, and what waits for a date has one.
    and (parked is null or processed_at is null and dead_at is null and (parked = 'blocked' or next_attempt_at is not null)));

alter table idempotency_keys
  drop constraint idempotency_keys_check, -- both times are one function's
  drop constraint idempotency_keys_key_check,
  drop constraint idempotency_keys_fingerprint_check,
  drop constraint idempotency_keys_result_check,
  alter key type idempotency_key,
  alter fingerprint type fingerprint,
  alter result type jsonb_map;

alter table fsm_events
  drop constraint fsm_events_event_no_check,
  drop constraint fsm_events_event_type_check,
  drop constraint fsm_events_event_data_check,
  drop constraint fsm_events_created_by_check,
  alter event_id type entity_id,
  alter event_no type ordinal,
  alter event_type type event_type,
  alter event_data type jsonb_map,
  alter created_by type actor,
  alter created_at type moment;

alter table processed_jobs
  drop constraint processed_jobs_consumer_check,
  drop constraint processed_jobs_outcome_check,
  alter consumer type consumer,
  alter outcome type outcome;

-- +goose Down
set local search_path = lectern, pg_temp;
alter table processed_jobs alter consumer type text, alter outcome type text;
alter table fsm_events
  alter event_id type uuid, alter event_no type bigint, alter event_type type text, alter event_data type jsonb,
  alter created_by type text, alter created_at type timestamptz;
alter table idempotency_keys alter key type text, alter fingerprint type text, alter result type jsonb;
alter table job_outbox
  drop constraint job_outbox_check,
  alter outbox_id type uuid, alter seq type bigint, alter run type integer, alter queue_name type text, alter job_data type jsonb,
  alter job_options type jsonb, alter attempts type integer, alter parked type text, alter created_at type timestamptz,
  alter processed_at type timestamptz, alter next_attempt_at type timestamptz, alter dead_at type timestamptz;
alter table documents alter name type text, alter content type jsonb, alter summary type jsonb;
drop policy own_organization on courses;
alter table courses
  alter id type uuid, alter organization_id type uuid, alter user_id type uuid, alter title type text, alter slug type text, alter language type text, alter style type text,
  alter settings type jsonb, alter generation_status type text, alter status_version type bigint, alter run type integer,
  alter analysis_result type jsonb, alter course_structure type jsonb, alter generation_metadata type jsonb,
  alter settings set default '{}';
create policy own_organization on courses to lectern_app
  using (organization_id = nullif(current_setting('lectern.organization_id', true), '')::uuid);
drop domain outcome, consumer, actor, event_type, fingerprint, idempotency_key, job_options, parking, queue, file_name,
  course_settings, course_style, course_language, course_slug, course_title, moment, jsonb_map, ordinal, attempts,
  run_number, tally, state, entity_id;
