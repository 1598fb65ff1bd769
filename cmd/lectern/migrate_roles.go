package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/spf13/cobra"

	"lectern/configs"
	"lectern/migrations"
)

func (p *program) rolesCommand() *cobra.Command {
	var onlyPrint bool
	cmd := &cobra.Command{
		Use:   "roles",
		Short: "Make the database's roles, as its administrator",
		Long: `Makes the login roles that the addresses of the config name: the owner of the
schema, one each for app, worker and relay, and the broker's if it is in the same
database, those of also_consume too. Each gets the password in its address, and what is there stays. The
database itself must exist. Only this command uses postgres.admin_dsn: a superuser,
or a role that may create roles and owns the database.`,
		Example: `  LECTERN_POSTGRES__ADMIN_DSN=postgres://... lectern --config postgres migrate roles
  lectern --config postgres migrate roles --print > roles.sql`,
		Args: positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if onlyPrint {
				return p.printRoles()
			}
			return p.makeRoles(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&onlyPrint, "print", false, "write the SQL, without passwords, for somebody else to run; touch nothing")
	return cmd
}

func (p *program) makeRoles(ctx context.Context) (err error) {
	config, err := p.loadConfig(configs.ForRoles, nil)
	if err != nil {
		return err
	}
	logins, err := readLogins(config)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*logins.admin)
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := logins.roles.Ensure(ctx, db, logins.passwords()); err != nil {
		return adminError(err, logins.admin.User)
	}
	for _, login := range logins.all {
		if login.password == "" {
			p.print("%s: no password set, as %s has none\n", login.role, login.key)
		} else {
			p.print("%s: has the password of %s\n", login.role, login.key)
		}
	}
	for _, b := range logins.elsewhere {
		p.print("%s is not in this database: see to its role yourself\n", b)
	}
	return nil
}

// adminError says what an administrator must be able to do.
func adminError(err error, role string) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" {
		return inputError{fmt.Errorf("%w\npostgres.admin_dsn logs in as %s, which may not do this: let it be a superuser, or a role that has CREATEROLE, "+
			"administers those roles that are there and owns the database;\nor let your administrator run what 'lectern migrate roles --print' writes", err, role)}
	}
	return err
}

func (p *program) printRoles() error {
	config, err := p.loadConfig(configs.ForRolesSQL, nil)
	if err != nil {
		return err
	}
	logins, err := readLogins(config)
	if err != nil {
		return err
	}
	statements, err := logins.roles.SQL()
	if err != nil {
		return inputError{err}
	}
	p.print(`-- Lectern's roles, for a superuser to run in Lectern's database, or for a role
-- that may create roles and owns the database. It may be run again.
--
--   psql --single-transaction --set ON_ERROR_STOP=1 --file roles.sql DATABASE
--
-- It holds no password. Set each in psql, which sends a verifier in its place:
--
`)
	for _, login := range logins.all {
		p.print("--   \\password %s\n", login.role)
	}
	p.print("\n%s", statements)
	return nil
}

// login is a role, and the key of the config that has its address.
type login struct{ role, key, password string }

// logins are the roles that a config's addresses name.
type logins struct {
	admin     *pgx.ConnConfig // nil when none is configured
	roles     migrations.Roles
	all       []login
	elsewhere []namedBroker // have an address of another database
}

func (l *logins) passwords() map[string]string {
	passwords := map[string]string{}
	for _, login := range l.all {
		if login.password != "" {
			passwords[login.role] = login.password
		}
	}
	return passwords
}

// readLogins takes from the addresses what there is, and the usual names for
// what there is not.
func readLogins(c configs.Config) (*logins, error) {
	if c.Postgres.Embedded {
		return nil, inputError{errors.New("a Postgres of Lectern's own has its roles: choose your own by --config postgres, or by postgres.embedded")}
	}
	l := &logins{roles: migrations.Roles{Prefix: c.Postgres.RolePrefix}}
	var err error
	if c.Postgres.AdminDSN != "" {
		if l.admin, err = parseDSN("postgres.admin_dsn", c.Postgres.AdminDSN); err != nil {
			return nil, err
		}
	}
	if l.roles.Owner, err = l.readOwner(c.Postgres); err != nil {
		return nil, err
	}
	duties := l.roles.Duties()
	for _, at := range []struct{ duty, dsn string }{
		{"app", c.Postgres.AppDSN}, {"worker", c.Postgres.WorkerDSN}, {"relay", c.Postgres.RelayDSN},
	} {
		if err := l.readDuty("postgres."+at.duty+"_dsn", at.dsn, duties[at.duty]); err != nil {
			return nil, err
		}
	}
	for _, b := range configuredBrokers(c) {
		if err := l.readBroker(b); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *logins) readOwner(c configs.Postgres) (string, error) {
	const key = "postgres.owner_dsn"
	role := c.RolePrefix + "_owner"
	if c.OwnerDSN == "" {
		l.all = append(l.all, login{role: role, key: key})
		return role, nil
	}
	at, err := parseDSN(key, c.OwnerDSN)
	if err != nil {
		return "", err
	}
	if l.admin != nil && l.admin.Database != at.Database {
		return "", inputError{fmt.Errorf("postgres.admin_dsn names the database %q and %s %q: both must name Lectern's", l.admin.Database, key, at.Database)}
	}
	l.all = append(l.all, login{at.User, key, at.Password})
	return at.User, nil
}

// readDuty takes the password of a role whose name is given.
func (l *logins) readDuty(key, dsn, role string) error {
	found := login{role: role, key: key}
	if dsn != "" {
		at, err := parseDSN(key, dsn)
		if err != nil {
			return err
		}
		if at.User != role {
			return inputError{fmt.Errorf("%s logs in as %q, not as %q: change it, or postgres.role_prefix", key, at.User, role)}
		}
		found.password = at.Password
	}
	l.all = append(l.all, found)
	return nil
}

// readBroker takes the role of a broker that lives in the same database.
func (l *logins) readBroker(b namedBroker) error {
	option := brokers()[b.Kind].dsn
	if option == "" {
		return nil
	}
	found := login{role: l.roles.Prefix + "_broker", key: b.name + ".options." + option}
	if dsn, _ := b.Options[option].(string); dsn != "" {
		at, err := parseDSN(found.key, dsn)
		if err != nil {
			return err
		}
		if l.admin != nil && (at.Host != l.admin.Host || at.Port != l.admin.Port || at.Database != l.admin.Database) {
			l.elsewhere = append(l.elsewhere, b)
			return nil
		}
		found.role, found.password = at.User, at.Password
	}
	schema := migrations.Schema{Name: brokerSchema, Owner: found.role}
	if name, _ := b.Options["schema"].(string); name != "" {
		schema.Name = name
	}
	return l.addBroker(found, schema)
}

// addBroker adds a broker's role, which several may share.
func (l *logins) addBroker(found login, schema migrations.Schema) error {
	isShared := slices.ContainsFunc(l.roles.Brokers, func(s migrations.Schema) bool { return s.Owner == found.role })
	l.roles.Brokers = append(l.roles.Brokers, schema)
	if !isShared {
		l.all = append(l.all, found)
		return nil
	}
	first := l.all[slices.IndexFunc(l.all, func(other login) bool { return other.role == found.role })]
	if found.password != first.password {
		return inputError{fmt.Errorf("%s and %s log in as %q with different passwords: give both the same", first.key, found.key, found.role)}
	}
	return nil
}

// parseDSN reads an address; pgx's own error would repeat the password.
func parseDSN(key, dsn string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, inputError{errors.New(key + " is not an address like postgres://user:password@host:5432/database")}
	}
	return config, nil
}
