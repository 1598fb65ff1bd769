package migrations

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/xdg-go/scram"
)

// Roles names what an administrator makes in one database, where the owner of
// the schema may create no roles: login roles that are no superusers, the
// schemas' owners among them.
type Roles struct {
	Prefix  string   // of the service's roles, as New takes it
	Owner   string   // owns the schema lectern, and runs the migrations
	Brokers []Schema // of the brokers in the database; one role may own several
}

// Schema is one that a role owns.
type Schema struct{ Name, Owner string }

// Duties returns the names of the service's roles by their duty: app, worker,
// relay.
func (r Roles) Duties() map[string]string {
	return map[string]string{"app": r.Prefix + "_app", "worker": r.Prefix + "_worker", "relay": r.Prefix + "_relay"}
}

// SQL returns the statements that make what is missing, for one transaction.
// They hold no password, and may be run again. They refuse a role that is there
// and is a superuser, has BYPASSRLS or may not log in, rather than change it.
func (r Roles) SQL() (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	create, err := createRoles(r.names())
	if err != nil {
		return "", err
	}
	schemas := "('lectern', '" + r.Owner + "')"
	for _, s := range r.Brokers {
		schemas += ", ('" + s.Name + "', '" + s.Owner + "')"
	}
	return create + "\n" + strings.NewReplacer("$ROLES", array(r.names()), "$SCHEMAS", schemas).Replace(provision), nil
}

// Ensure runs SQL as the administrator that db logs in as, and gives roles the
// passwords named, which the server gets as SCRAM-SHA-256 verifiers alone: none
// can be read from its log. Processes may do so at once.
func (r Roles) Ensure(ctx context.Context, db *sql.DB, passwords map[string]string) error {
	statements, err := r.SQL()
	if err != nil {
		return err
	}
	for _, role := range slices.Sorted(maps.Keys(passwords)) {
		secret, err := verifier(passwords[role])
		if err != nil {
			return fmt.Errorf("make verifier of the password of %s: %w", role, err)
		}
		statements += fmt.Sprintf("\nalter role %q password '%s';", role, secret)
	}
	for {
		err = inTransaction(ctx, db, statements)
		// Roles are cluster-wide, and the lock is the database's: another one's
		// administrator may have been at the same role.
		if !isConcurrentUpdate(err) || ctx.Err() != nil {
			return wrap("make roles", err)
		}
	}
}

func inTransaction(ctx context.Context, db *sql.DB, statements string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing to take back once committed
	if _, err := tx.ExecContext(ctx, `select pg_advisory_xact_lock(hashtext('lectern.roles'))`); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, statements); err != nil {
		return err
	}
	return tx.Commit()
}

// isConcurrentUpdate tells the server's "tuple concurrently updated", which has
// no SQLSTATE of its own.
func isConcurrentUpdate(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "XX000" && strings.HasPrefix(pg.Message, "tuple concurrently")
}

// names returns every role, the owner first.
func (r Roles) names() []string {
	names := []string{r.Owner}
	names = append(names, slices.Sorted(maps.Values(r.Duties()))...)
	var brokers []string
	for _, s := range r.Brokers {
		if !slices.Contains(brokers, s.Owner) {
			brokers = append(brokers, s.Owner)
		}
	}
	return append(names, brokers...)
}

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.@-]{0,62}$`)

func (r Roles) check() error {
	if !rolePrefixShape.MatchString(r.Prefix) {
		return badPrefix(r.Prefix)
	}
	names := r.names()
	slices.Sort(names)
	if len(slices.Compact(names)) != len(r.names()) {
		return fmt.Errorf("make roles: each needs a name of its own, and two have the same: %s", strings.Join(r.names(), ", "))
	}
	for _, s := range r.Brokers {
		names = append(names, s.Name)
	}
	for _, name := range names {
		if !plainName.MatchString(name) {
			return fmt.Errorf("make role or schema %q: its name may hold letters, digits and _ . @ - alone, and 63 of them", name)
		}
	}
	return nil
}

// wantedRoles is what 0001_roles.sql makes.
const wantedRoles = `array['lectern_app', 'lectern_worker', 'lectern_relay']`

// createRoles returns the block of 0001_roles.sql with other names.
func createRoles(names []string) (string, error) {
	file, err := files.ReadFile("0001_roles.sql")
	if err != nil {
		return "", fmt.Errorf("read migration: %w", err)
	}
	_, block, begun := strings.Cut(string(file), "-- +goose StatementBegin\n")
	block, _, ended := strings.Cut(block, "-- +goose StatementEnd")
	if !begun || !ended || !strings.Contains(block, wantedRoles) {
		return "", errors.New("read migration: 0001_roles.sql has no block that makes roles")
	}
	return strings.Replace(block, wantedRoles, array(names), 1), nil
}

func array(names []string) string { return "array['" + strings.Join(names, "', '") + "']" }

// provision checks the roles and gives the owners their schemas. Where the
// administrator may not give a schema away, as one that is no superuser may
// not, the owner may create it instead.
const provision = `do $$
declare
  r record;
begin
  for r in select * from pg_catalog.pg_roles where rolname = any ($ROLES) loop
    if r.rolsuper or r.rolbypassrls or not r.rolcanlogin then
      raise exception 'the role % is there already and %: change it, or let Lectern use another', r.rolname,
        case when r.rolsuper then 'is a superuser' when r.rolbypassrls then 'has BYPASSRLS' else 'may not log in' end;
    end if;
    if not has_database_privilege(r.rolname, current_database(), 'connect') then
      execute format('grant connect on database %I to %I', current_database(), r.rolname);
    end if;
  end loop;

  for r in select * from (values $SCHEMAS) as s (name, owner) loop
    continue when exists (select from pg_catalog.pg_namespace where nspname = r.name);
    begin
      execute format('create schema %I authorization %I', r.name, r.owner);
    exception when insufficient_privilege then
      execute format('grant create on database %I to %I', current_database(), r.owner);
    end;
    if not has_database_privilege(r.owner, current_database(), 'create')
      and not exists (select from pg_catalog.pg_namespace where nspname = r.name) then
      raise exception '% may not let % create the schema % in the database %', current_user, r.owner, r.name, current_database()
        using errcode = 'insufficient_privilege',
              hint = format('do it as the owner of the database, or let it run: grant create on database %I to %I', current_database(), r.owner);
    end if;
  end loop;
end
$$;
`

// verifier returns what Postgres stores of a password. It takes a password that
// SASLprep refuses as it is, as Postgres does.
func verifier(password string) (string, error) {
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		client, err = scram.SHA256.NewClientUnprepped("", password, "")
	}
	if err != nil {
		return "", err
	}
	const iterations = 4096 // Postgres's own
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // it never fails
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: iterations})
	if err != nil {
		return "", err
	}
	text := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, text(salt), text(stored.StoredKey), text(stored.ServerKey)), nil
}
