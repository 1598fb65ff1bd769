-- +goose Up
set local search_path = lectern, pg_temp;

-- The domain's rules once more, as far as SQL can say them, so that no row is
-- stored that the service would refuse to read. adapters/postgres proves the
-- two equal. Sizes and depths of JSON are left to the domain: to measure them
-- here would cost more than the insert. Whether a title has a letter is too:
-- it would depend on the database's locale.

-- A course of no settings had the default; now the default says what it means.
alter table courses alter column settings set default '{"pipeline": "automatic"}';
update courses set settings = settings || '{"pipeline": "automatic"}' where not settings ? 'pipeline';

-- White space and control characters are listed by number: what a class of
-- characters holds depends on the locale.
alter table courses
  add constraint courses_id_check check (id <> '00000000-0000-0000-0000-000000000000'),
  add constraint courses_organization_id_check check (organization_id <> '00000000-0000-0000-0000-000000000000'),
  add constraint courses_user_id_check check (user_id <> '00000000-0000-0000-0000-000000000000'),
  add constraint courses_title_tidy_check check (
    title !~ '^ |  | $|[\u0001-\u001f\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'),
  add constraint courses_slug_tidy_check check (
    char_length(slug) <= 89 and slug !~ '[\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'),
  add constraint courses_language_length_check check (char_length(language) <= 35),
  add constraint courses_style_known_check check (style in (
    'academic', 'conversational', 'storytelling', 'practical', 'motivational', 'visual', 'gamified', 'minimalist',
    'research', 'engaging', 'professional', 'socratic', 'problem_based', 'collaborative', 'technical', 'microlearning',
    'inspirational', 'interactive', 'analytical')),
  add constraint courses_settings_pipeline_check check (
    coalesce(settings->>'pipeline' in ('automatic', 'manual'), false)),
  add constraint courses_settings_lessons_check check (
    not settings ? 'lessons'
    or jsonb_typeof(settings->'lessons') = 'number' and settings->>'lessons' ~ '^(0|[1-9]\d|1\d\d|200)$');

-- The names as domain.CleanFileName returns them.
alter table documents
  add constraint documents_name_clean_check check (
    name !~ '[\u0001-\u001f\u007f-\u009f/\\]' and name not in ('.', '..'));

-- An entry that the relay could not read would hold up all others, so options
-- must decode, and a date must be one.
alter table job_outbox
  add constraint job_outbox_outbox_id_check check (outbox_id <> '00000000-0000-0000-0000-000000000000'),
  add constraint job_outbox_seq_check check (seq >= 1),
  add constraint job_outbox_job_options_attempts_check check (
    job_options = '{}' or (
      coalesce(jsonb_typeof(job_options->'max_attempts') = 'number'
        and job_options->>'max_attempts' ~ '^(\d|[1-9]\d|100)$', not job_options ? 'max_attempts')
      and coalesce(jsonb_typeof(job_options->'attempt') = 'number'
        and job_options->>'attempt' ~ '^(\d|[1-9]\d|100)$', not job_options ? 'attempt'))),
  add constraint job_outbox_job_options_not_before_check check (
    case
      when not job_options ? 'not_before' then true
      when jsonb_typeof(job_options->'not_before') <> 'string' then false
      when job_options->>'not_before' !~ '^(19[7-9]\d|[2-9]\d{3})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3])(:[0-5]\d){2}(\.\d{1,9})?(Z|[+-](0\d|1[0-4]):[0-5]\d)$' then false
      else make_date(substr(job_options->>'not_before', 1, 4)::integer,
        substr(job_options->>'not_before', 6, 2)::integer, substr(job_options->>'not_before', 9, 2)::integer) is not null
    end),
  add constraint job_outbox_created_at_check check (created_at >= '1970-01-01Z' and created_at < '10000-01-01Z'),
  add constraint job_outbox_processed_at_check check (processed_at >= '1970-01-01Z' and processed_at < '10000-01-01Z'),
  add constraint job_outbox_next_attempt_at_check check (next_attempt_at >= '1970-01-01Z' and next_attempt_at < '10000-01-01Z'),
  add constraint job_outbox_dead_at_check check (dead_at >= '1970-01-01Z' and dead_at < '10000-01-01Z'),
  add constraint job_outbox_processed_or_dead_check check (processed_at is null or dead_at is null),
  -- Only a pending entry waits; what waits for a date has one.
  add constraint job_outbox_parked_pending_check check (parked is null or processed_at is null and dead_at is null),
  add constraint job_outbox_parked_until_check check (parked is null or parked = 'blocked' or next_attempt_at is not null);

alter table fsm_events
  add constraint fsm_events_event_id_check check (event_id <> '00000000-0000-0000-0000-000000000000'),
  add constraint fsm_events_created_at_check check (created_at >= '1970-01-01Z' and created_at < '10000-01-01Z');

-- +goose Down
set local search_path = lectern, pg_temp;
alter table fsm_events
  drop constraint fsm_events_created_at_check,
  drop constraint fsm_events_event_id_check;
alter table job_outbox
  drop constraint job_outbox_parked_until_check,
  drop constraint job_outbox_parked_pending_check,
  drop constraint job_outbox_processed_or_dead_check,
  drop constraint job_outbox_dead_at_check,
  drop constraint job_outbox_next_attempt_at_check,
  drop constraint job_outbox_processed_at_check,
  drop constraint job_outbox_created_at_check,
  drop constraint job_outbox_job_options_not_before_check,
  drop constraint job_outbox_job_options_attempts_check,
  drop constraint job_outbox_seq_check,
  drop constraint job_outbox_outbox_id_check;
alter table documents
  drop constraint documents_name_clean_check;
alter table courses
  drop constraint courses_settings_lessons_check,
  drop constraint courses_settings_pipeline_check,
  drop constraint courses_style_known_check,
  drop constraint courses_language_length_check,
  drop constraint courses_slug_tidy_check,
  drop constraint courses_title_tidy_check,
  drop constraint courses_user_id_check,
  drop constraint courses_organization_id_check,
  drop constraint courses_id_check;
alter table courses alter column settings set default '{}';
