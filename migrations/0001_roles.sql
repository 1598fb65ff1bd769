-- +goose Up
-- The login roles of the service, one a duty. Roles belong to the whole
-- cluster: another database may have made them, so one that is there is kept,
-- and the way down never drops them. They get no password here: that is the
-- administrator's to set. `lectern migrate roles` runs this block too, with
-- more names in the array.
-- +goose StatementBegin
do $$
declare
  wanted text;
begin
  foreach wanted in array array['lectern_app', 'lectern_worker', 'lectern_relay'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted) then
      begin
        execute format('create role %I login', wanted);
      exception
        when duplicate_object or unique_violation then null; -- another migration was faster
        when insufficient_privilege then
          raise exception 'the role % is missing and % may not create it', wanted, current_user
            using errcode = 'insufficient_privilege',
                  hint = 'let an administrator run `lectern migrate roles`, or what its --print writes';
      end;
    end if;
  end loop;
end
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
select 1;
-- +goose StatementEnd
