-- +goose Up
set local search_path = lectern, pg_temp;

-- Settles what one look of the engine watermill has sent, in the look's own
-- transaction, which holds the stream's lock: p_published by seq, p_failed and
-- p_dead as park_failed and bury_entries take them, delays from when the look began. What was published is
-- settled though somebody has locked the course of a failed one for long: that
-- one then stays as it is, and fails again.
-- +goose StatementBegin
create function settle_stream(p_published bigint[], p_failed jsonb, p_dead jsonb, p_hold_behind_dead boolean) returns void
language plpgsql
set search_path = lectern, pg_temp
as $$
begin
  update job_outbox set processed_at = clock_timestamp(), last_attempt_at = clock_timestamp() -- the look may be seconds old
  where seq = any (p_published) and processed_at is null and dead_at is null and parked is null;
  if p_failed = '[]' and p_dead = '[]' then
    return;
  end if;
  begin
    -- After the published: what waits behind a failed entry is parked with it.
    perform park_failed(p_failed);
    perform bury_entries(p_dead);
    if p_hold_behind_dead then
      perform hold_behind_dead(p_dead);
    end if;
  exception when lock_not_available then
    raise warning 'failed outbox entries are left as they are: %', sqlerrm;
  end;
end
$$;
-- +goose StatementEnd

revoke execute on function settle_stream(bigint[], jsonb, jsonb, boolean) from public;
grant execute on function settle_stream(bigint[], jsonb, jsonb, boolean) to lectern_relay;

-- +goose Down
set local search_path = lectern, pg_temp;
drop function settle_stream(bigint[], jsonb, jsonb, boolean);
