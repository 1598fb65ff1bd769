-- +goose Up
set local search_path = lectern, pg_temp;

-- Row security is enabled and never forced: the owner, whom the definer
-- functions run as, must pass. The service never logs in as the owner.
alter table courses enable row level security;
alter table documents enable row level security;
alter table document_chunks enable row level security;
alter table job_outbox enable row level security;
alter table idempotency_keys enable row level security;
alter table fsm_events enable row level security;
alter table processed_jobs enable row level security;
alter table leases enable row level security;

-- A transaction sees the rows of the organization it is bound to. nullif: once
-- a SET LOCAL has ended, the setting is '' and a bare cast would fail.
create policy own_organization on courses to lectern_app
  using (organization_id = nullif(current_setting('lectern.organization_id', true), '')::uuid);
create policy own_organization on documents to lectern_app
  using (organization_id = nullif(current_setting('lectern.organization_id', true), '')::uuid);
-- Workers belong to no tenant: the job names the course, the course its tenant.
create policy any_organization on courses for select to lectern_worker using (true);
create policy any_organization on documents for select to lectern_worker using (true);
create policy any_organization on document_chunks for select to lectern_worker using (true);

create policy refuse_all on job_outbox to lectern_app, lectern_worker using (false) with check (false);
create policy refuse_all on idempotency_keys to lectern_app, lectern_worker, lectern_relay using (false) with check (false);
create policy refuse_all on fsm_events to lectern_app, lectern_worker, lectern_relay using (false) with check (false);
create policy refuse_all on processed_jobs to lectern_app, lectern_worker, lectern_relay using (false) with check (false);
create policy refuse_all on leases to lectern_app, lectern_worker using (false) with check (false);
create policy relay_outbox on job_outbox to lectern_relay using (true) with check (true);
create policy relay_leases on leases to lectern_relay using (true) with check (true);

-- Grants: what a role doesn't need answers with 42501, never with no rows.
revoke all on schema lectern from public;
revoke all on all tables in schema lectern from public, lectern_app, lectern_worker, lectern_relay;
revoke all on all sequences in schema lectern from public, lectern_app, lectern_worker, lectern_relay;
revoke all on all functions in schema lectern from public, lectern_app, lectern_worker, lectern_relay;
-- For what later migrations add.
alter default privileges in schema lectern revoke execute on functions from public;

grant usage on schema lectern to lectern_app, lectern_worker, lectern_relay;

grant select on courses, documents to lectern_app;
grant execute on function
  create_course(uuid, uuid, uuid, text, text, text, text, jsonb, text, text),
  add_document(uuid, uuid, uuid, text, text, bigint, text, text),
  initialize_fsm_with_outbox(uuid, uuid, uuid, text, text, text, jsonb, jsonb, text, integer),
  change_course_state(uuid, uuid, uuid, text, text, text, text, text),
  course_events(uuid, bigint, integer),
  outbox_entries(uuid)
to lectern_app;

grant select on courses, documents, document_chunks to lectern_worker;
grant execute on function
  begin_job(uuid, text, uuid, integer, text),
  advance_course(uuid, text, uuid, integer, jsonb)
to lectern_worker;

grant select on job_outbox, leases to lectern_relay;
grant update (processed_at, last_attempt_at) on job_outbox to lectern_relay;
grant update on leases to lectern_relay;
grant execute on function
  unpark_due(integer), park_failed(jsonb), bury_entries(jsonb),
  delete_expired_keys(integer), delete_processed_entries(interval, integer), delete_inbox_rows(interval, integer)
to lectern_relay;

-- The version table tells the service whether its database is up to date.
grant select on goose_db_version to lectern_app, lectern_worker, lectern_relay;

-- +goose Down
set local search_path = lectern, pg_temp;
revoke all on all tables in schema lectern from lectern_app, lectern_worker, lectern_relay;
revoke all on all functions in schema lectern from lectern_app, lectern_worker, lectern_relay;
revoke all on schema lectern from lectern_app, lectern_worker, lectern_relay;
drop policy relay_leases on leases;
drop policy relay_outbox on job_outbox;
drop policy refuse_all on leases;
drop policy refuse_all on processed_jobs;
drop policy refuse_all on fsm_events;
drop policy refuse_all on idempotency_keys;
drop policy refuse_all on job_outbox;
drop policy any_organization on document_chunks;
drop policy any_organization on documents;
drop policy any_organization on courses;
drop policy own_organization on documents;
drop policy own_organization on courses;
alter table leases disable row level security;
alter table processed_jobs disable row level security;
alter table fsm_events disable row level security;
alter table idempotency_keys disable row level security;
alter table job_outbox disable row level security;
alter table document_chunks disable row level security;
alter table documents disable row level security;
alter table courses disable row level security;
