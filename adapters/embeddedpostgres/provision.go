package embeddedpostgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// grantSince is the first version where creating roles does not imply
// administering those that others created.
const grantSince = 160000

// Roles are login roles, cluster-wide. None is a superuser or exempt from row
// level security.
type Roles struct {
	// Owner may create roles, and administers the others.
	Owner    string
	Others   []string
	Password string
}

// Database is a database with schemas, name to owning role, in it.
type Database struct {
	Name, Owner string
	Schemas     map[string]string
}

// EnsureRoles makes the roles on any server of version 15 or later, or makes
// them again what they should be. The address is a superuser's. Processes that
// do so at once take turns.
func EnsureRoles(ctx context.Context, superuserDSN string, r Roles) error {
	return onServer(ctx, superuserDSN, "", func(conn *pgx.Conn) error {
		if err := ensureRole(ctx, conn, r.Owner, "CREATEROLE", r.Password); err != nil {
			return err
		}
		for _, role := range r.Others {
			if err := ensureRole(ctx, conn, role, "NOCREATEROLE", r.Password); err != nil {
				return err
			}
		}
		return letAdminister(ctx, conn, r)
	})
}

// EnsureDatabase makes the database and its schemas where they don't exist, and
// gives them to their owners. The address is a superuser's.
func EnsureDatabase(ctx context.Context, superuserDSN string, d Database) error {
	err := onServer(ctx, superuserDSN, "", func(conn *pgx.Conn) error { return ensureDatabase(ctx, conn, d) })
	if err != nil || len(d.Schemas) == 0 {
		return err
	}
	return onServer(ctx, superuserDSN, d.Name, func(conn *pgx.Conn) error { return ensureSchemas(ctx, conn, d.Schemas) })
}

func (s *Server) provision(ctx context.Context) error {
	o := s.options
	roles := Roles{Owner: o.Owner, Others: o.Roles, Password: s.password}
	if err := EnsureRoles(ctx, s.SuperuserDSN(), roles); err != nil {
		return err
	}
	return EnsureDatabase(ctx, s.SuperuserDSN(), Database{Name: o.Database, Owner: o.Owner, Schemas: o.Schemas})
}

// onServer connects, to the address's own database unless one is named, and
// lets nobody else provision there meanwhile.
func onServer(ctx context.Context, dsn, database string, do func(*pgx.Conn) error) error {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return fmt.Errorf("read superuser's address: %w", err)
	}
	if database != "" {
		config.Database = database
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect as superuser: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext('lectern provisioning'))"); err != nil {
		return fmt.Errorf("lock provisioning: %w", err)
	}
	return do(conn)
}

func ensureRole(ctx context.Context, conn *pgx.Conn, role, createRole, password string) error {
	if err := createMissing(ctx, conn, "SELECT FROM pg_roles WHERE rolname = $1", role, "CREATE ROLE "+quote(role)); err != nil {
		return fmt.Errorf("create role %s: %w", role, err)
	}
	_, err := conn.Exec(ctx, fmt.Sprintf(
		"ALTER ROLE %s LOGIN %s NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS PASSWORD '%s'",
		quote(role), createRole, strings.ReplaceAll(password, "'", "''")))
	if err != nil {
		return fmt.Errorf("set attributes of role %s: %w", role, err)
	}
	return nil
}

// letAdminister gives the owner what it would have had it created the roles.
func letAdminister(ctx context.Context, conn *pgx.Conn, r Roles) error {
	var version int
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return fmt.Errorf("read server's version: %w", err)
	}
	if version < grantSince {
		return nil
	}
	for _, role := range r.Others {
		grant := fmt.Sprintf("GRANT %s TO %s WITH ADMIN TRUE, INHERIT FALSE, SET FALSE", quote(role), quote(r.Owner))
		if _, err := conn.Exec(ctx, grant); err != nil {
			return fmt.Errorf("let %s administer role %s: %w", r.Owner, role, err)
		}
	}
	return nil
}

func ensureDatabase(ctx context.Context, conn *pgx.Conn, d Database) error {
	err := createMissing(ctx, conn, "SELECT FROM pg_database WHERE datname = $1", d.Name,
		fmt.Sprintf("CREATE DATABASE %s OWNER %s", quote(d.Name), quote(d.Owner)))
	if err != nil {
		return fmt.Errorf("create database %s: %w", d.Name, err)
	}
	if _, err := conn.Exec(ctx, fmt.Sprintf("ALTER DATABASE %s OWNER TO %s", quote(d.Name), quote(d.Owner))); err != nil {
		return fmt.Errorf("give database %s to %s: %w", d.Name, d.Owner, err)
	}
	return nil
}

func ensureSchemas(ctx context.Context, conn *pgx.Conn, schemas map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		if _, err := conn.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+quote(name)); err != nil {
			return fmt.Errorf("create schema %s: %w", name, err)
		}
		give := fmt.Sprintf("ALTER SCHEMA %s OWNER TO %s", quote(name), quote(schemas[name]))
		if _, err := conn.Exec(ctx, give); err != nil {
			return fmt.Errorf("give schema %s to %s: %w", name, schemas[name], err)
		}
	}
	return nil
}

// createMissing runs a statement unless a query finds the name. Nobody comes in
// between: provisioning is locked.
func createMissing(ctx context.Context, conn *pgx.Conn, find, name, create string) error {
	found, err := conn.Exec(ctx, find, name)
	if err != nil || found.RowsAffected() > 0 {
		return err
	}
	_, err = conn.Exec(ctx, create)
	return err
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
