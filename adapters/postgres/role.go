package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// RoleError says why a database role may not serve.
type RoleError struct {
	Role   string // as which the connection logged in
	Reason string
}

// Error implements error.
func (e *RoleError) Error() string {
	return fmt.Sprintf("refuse database role %q: %s", e.Role, e.Reason)
}

// querier is a connection, or a pool of them.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// CheckRole connects to dsn and returns a *RoleError when row security and
// grants would not hold its role. A database without our schema may be asked.
func CheckRole(ctx context.Context, dsn string) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("check database role: %w", asDomain(err))
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return checkRole(ctx, conn)
}

// checkRole looks at the role that logged in, whatever role it has set since,
// and at all that it can become: being a member is enough, for SET ROLE, or to
// let oneself.
func checkRole(ctx context.Context, q querier) error {
	var login, role, reason string
	err := q.QueryRow(ctx, `
		select session_user, g.rolname, why.reason
		from pg_catalog.pg_roles g, lateral (
		  select case
		    when g.rolsuper then 'is a superuser, whom row security does not hold'
		    when g.rolbypassrls then 'has BYPASSRLS, so row security does not hold it'
		    when exists (select from pg_catalog.pg_class c where c.relnamespace = n.oid and c.relowner = g.oid)
		      then 'owns the tables: the owner''s address is for ''lectern migrate'' alone'
		    when n.nspowner = g.oid or exists (select from pg_catalog.pg_proc p where p.pronamespace = n.oid and p.proowner = g.oid)
		      then 'owns the schema or its functions: the owner''s address is for ''lectern migrate'' alone'
		    when exists (select from aclexplode(n.nspacl) a where a.grantee in (g.oid, 0) and a.privilege_type = 'CREATE')
		      then 'may create in the schema lectern, and so replace what its functions call'
		    when g.rolcreaterole then 'has CREATEROLE, and could make itself a member of the owner'
		    when g.rolreplication then 'has REPLICATION, and could read every table from the log'
		    when g.rolname in ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
		                       'pg_execute_server_program') then 'passes over the grants on our tables'
		  end as reason
		  from (select) as always left join pg_catalog.pg_namespace n on n.nspname = 'lectern'
		) why
		where pg_has_role(session_user, g.oid, 'member') and why.reason is not null
		order by g.rolname <> session_user, g.rolname limit 1`).Scan(&login, &role, &reason)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("check database role: %w", asDomain(err))
	case role == login:
		return &RoleError{login, "it " + reason}
	}
	return &RoleError{login, fmt.Sprintf("it is a member of %q, which %s", role, reason)}
}

// Duty is what a role of the service is for. Each has a role of its own.
type Duty string

// The duties.
const (
	App    Duty = "app"
	Worker Duty = "worker"
	Relay  Duty = "relay"
)

// CheckDuty returns a *RoleError unless the role may do what its duty needs,
// and not what another's does. It says nothing of a database without our
// schema: that is CheckVersion's.
func CheckDuty(ctx context.Context, pool *pgxpool.Pool, duty Duty) error {
	for _, telling := range []struct {
		duty     Duty
		function string // that is granted for this duty alone
	}{{App, "create_course"}, {Worker, "advance_course"}, {Relay, "bury_entries"}} {
		var login string
		var known, may bool
		err := pool.QueryRow(ctx, `
			select session_user, count(*) > 0, coalesce(bool_or(has_function_privilege(p.oid, 'execute')), false)
			from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
			where n.nspname = 'lectern' and p.proname = $1`, telling.function).Scan(&login, &known, &may)
		switch {
		case err != nil:
			return fmt.Errorf("check database role: %w", asDomain(err))
		case known && may && telling.duty != duty:
			return &RoleError{login, fmt.Sprintf("it may call %s, which is for the %s, not for the %s", telling.function, telling.duty, duty)}
		case known && !may && telling.duty == duty:
			return &RoleError{login, fmt.Sprintf("it may not call %s, which the %s needs", telling.function, duty)}
		}
	}
	return nil
}
