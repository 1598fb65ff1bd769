-- +goose Up
set local search_path = lectern, pg_temp;

-- Each deletes one small batch and returns its size, or null when another
-- process is cleaning up: the advisory lock lasts for the transaction, which
-- works behind a connection pooler too. Call again until it returns less than
-- the limit.
-- +goose StatementBegin
create function delete_expired_keys(p_limit integer) returns bigint
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  deleted bigint;
begin
  if not pg_try_advisory_xact_lock(hashtext('lectern.delete_expired_keys')) then
    return null;
  end if;
  delete from idempotency_keys where (organization_id, key) in (
    select organization_id, key from idempotency_keys where expires_at <= now()
    order by expires_at limit p_limit for update skip locked);
  get diagnostics deleted = row_count;
  return deleted;
end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create function delete_processed_entries(p_older_than interval, p_limit integer) returns bigint
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  deleted bigint;
begin
  if not pg_try_advisory_xact_lock(hashtext('lectern.delete_processed_entries')) then
    return null;
  end if;
  delete from job_outbox where outbox_id in (
    select outbox_id from job_outbox where processed_at < now() - p_older_than
    order by processed_at limit p_limit for update skip locked);
  get diagnostics deleted = row_count;
  return deleted;
end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create function delete_inbox_rows(p_older_than interval, p_limit integer) returns bigint
language plpgsql security definer
set search_path = lectern, pg_temp
as $$
declare
  deleted bigint;
begin
  if not pg_try_advisory_xact_lock(hashtext('lectern.delete_inbox_rows')) then
    return null;
  end if;
  delete from processed_jobs where (outbox_id, consumer) in (
    select outbox_id, consumer from processed_jobs where processed_at < now() - p_older_than
    order by processed_at limit p_limit for update skip locked);
  get diagnostics deleted = row_count;
  return deleted;
end
$$;
-- +goose StatementEnd

-- +goose Down
set local search_path = lectern, pg_temp;
drop function delete_inbox_rows(interval, integer);
drop function delete_processed_entries(interval, integer);
drop function delete_expired_keys(integer);
