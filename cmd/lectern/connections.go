package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/dig"
	"go.uber.org/fx"

	"lectern/adapters/embeddedpostgres"
	"lectern/adapters/postgres"
	"lectern/configs"
	"lectern/migrations"
	"lectern/ports"
)

// tryTimeout bounds the try of one connection.
const tryTimeout = 5 * time.Second

// connection is one that a config names.
type connection struct {
	name string
	try  func(context.Context) (string, error) // says who answered
}

// errSkipped says that a connection can't be tried yet.
var errSkipped = errors.New("skipped")

// warned is what is to be said against a connection that works.
type warned []string

// Error implements error.
func (w warned) Error() string { return strings.Join(w, "; ") }

// tryConnections tries all connections at once, and says in order what came of each.
func (p *program) tryConnections(ctx context.Context, c configs.Config) error {
	all := connections(c, slog.New(slog.DiscardHandler))
	said, errs := make([]string, len(all)), make([]error, len(all))
	var tries sync.WaitGroup
	for i, connection := range all {
		tries.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, tryTimeout)
			defer cancel()
			said[i], errs[i] = connection.try(ctx)
		})
	}
	tries.Wait()
	table := tabwriter.NewWriter(p.stderr, 0, 0, 2, ' ', 0)
	failed := 0
	for i, connection := range all {
		verdict := "ok"
		var warnings warned
		switch {
		case errors.As(errs[i], &warnings): // below
		case errors.Is(errs[i], errSkipped):
			verdict = "skipped"
		case errs[i] != nil:
			failed++
			verdict, said[i] = "failed", whyNot(errs[i])
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", connection.name, verdict, said[i]) // Flush tells
		for _, warning := range warnings {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", connection.name, "warning", warning)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d connections failed", failed, len(all))
	}
	return nil
}

// whyNot says in one line why a connection failed, and what to do about it.
func whyNot(err error) string {
	text := err.Error()
	var pg *pgconn.PgError
	var input inputError
	switch {
	case errors.As(err, &input): // says so itself
	case errors.As(err, &pg) && (pg.Code == "28P01" || pg.Code == "28000"):
		text += ": check user and password; 'lectern migrate roles' sets them as the addresses have them"
	case errors.As(err, &pg) && pg.Code == "3D000":
		text += ": make the database, or name another in the address"
	case errors.As(err, &pg):
	case errors.Is(err, context.DeadlineExceeded):
		text += fmt.Sprintf(": no answer within %s: check the address, whether TLS is wanted, and what lies between here and there", tryTimeout)
	default:
		text += ": check address, login and TLS, and that the server runs and can be reached from here"
	}
	return strings.ReplaceAll(text, "\n", "; ")
}

func connections(c configs.Config, log *slog.Logger) []connection {
	all := postgresConnections(c)
	for _, b := range configuredBrokers(c) {
		if !c.Roles.NeedBroker() {
			break
		}
		all = append(all, connection{b.String(), func(ctx context.Context) (string, error) { return tryBroker(ctx, c, b, log) }})
	}
	if c.Roles.Has(configs.RoleAPI) {
		all = append(all, connection{fmt.Sprintf("cache (%s)", c.Cache.Kind), func(ctx context.Context) (string, error) {
			return tryPart[ports.Cache](ctx, caches()[c.Cache.Kind], c.Cache.Options, log)
		}})
	}
	if c.Roles.NeedDocuments() && c.Documents.Kind != configs.DocumentsFolder { // which connects to nothing
		all = append(all, connection{fmt.Sprintf("documents (%s)", c.Documents.Kind), func(ctx context.Context) (string, error) {
			who, err := tryPart[ports.Blobs](ctx, documentStores()[c.Documents.Kind], c.Documents.Options, log)
			if err != nil {
				err = inputError{err} // which says what to do
			}
			return who, err
		}})
	}
	if c.Roles.Has(configs.RoleWorker) && c.Generator.Kind != configs.GeneratorOutline { // which connects to nothing
		all = append(all, connection{fmt.Sprintf("generator (%s)", c.Generator.Kind), func(ctx context.Context) (string, error) {
			return tryPart[ports.Generator](ctx, generators()[c.Generator.Kind], c.Generator.Options, log)
		}})
	}
	return all
}

func postgresConnections(c configs.Config) []connection {
	if c.Postgres.Embedded {
		return []connection{{"postgres", func(context.Context) (string, error) { return lookAtOurServer(c) }}}
	}
	var all []connection
	for _, role := range []struct {
		name, dsn string
		duty      postgres.Duty
	}{
		{"admin", c.Postgres.AdminDSN, ""},
		{"owner", c.Postgres.OwnerDSN, ""},
		{"app", c.Postgres.AppDSN, postgres.App},
		{"worker", c.Postgres.WorkerDSN, postgres.Worker},
		{"relay", c.Postgres.RelayDSN, postgres.Relay},
	} {
		if role.dsn == "" {
			continue // only the service's must be there
		}
		key := "postgres." + role.name + "_dsn"
		all = append(all, connection{key, func(ctx context.Context) (string, error) {
			who, err := logIn(ctx, key, role.dsn)
			if err == nil && role.duty != "" {
				err = tryDuty(ctx, c, key, role.dsn, role.duty)
			}
			return who, err
		}})
	}
	return all
}

// lookAtOurServer looks at the folder of a server that is not started for it.
func lookAtOurServer(c configs.Config) (string, error) {
	dir, err := dataDir(c)
	if err == nil {
		err = embeddedpostgres.CheckDir(dir)
	}
	if err != nil {
		return "", inputError{err} // which says what to do
	}
	return "Lectern starts this server itself; its data folder " + dir + " can be used", errSkipped
}

// logIn says which server an address leads to, and as whom.
func logIn(ctx context.Context, key, dsn string) (string, error) {
	config, err := parseDSN(key, dsn)
	if err != nil {
		return "", err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var version, role string
	err = conn.QueryRow(ctx, `select current_setting('server_version'), session_user`, pgx.QueryExecModeExec).Scan(&version, &role)
	return fmt.Sprintf("Postgres %s as %s", version, role), err
}

// tryDuty asks for what the service asks when it starts.
func tryDuty(ctx context.Context, c configs.Config, key, dsn string, duty postgres.Duty) error {
	latest, err := migrations.Latest()
	if err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, dsn, 1)
	if err == nil {
		defer pool.Close()
		err = postgres.CheckDuty(ctx, pool, duty)
	}
	if err != nil {
		return useRole(key, c.Postgres.RolePrefix+"_"+string(duty), err)
	}
	if duty == postgres.App || !c.Roles.Has(configs.RoleAPI) { // said once
		if err := postgres.CheckVersion(ctx, pool, latest); err != nil {
			return inputError{err}
		}
	}
	switch {
	case duty == postgres.Relay && c.Relay.Listen:
		return tryListening(ctx, pool, func(ctx context.Context, l *postgres.Listener, ready func()) error {
			return l.ListenForEntries(ctx, ready, func() {})
		})
	case duty == postgres.App && c.Watch.Listen:
		return tryListening(ctx, pool, func(ctx context.Context, l *postgres.Listener, ready func()) error {
			return l.ListenForEvents(ctx, ready, func(...uuid.UUID) {})
		})
	}
	return nil
}

// tryListening warns when a process would not hear of what others commit.
func tryListening(
	ctx context.Context, pool *pgxpool.Pool, listen func(ctx context.Context, l *postgres.Listener, ready func()) error,
) error {
	sender, err := postgres.NewNotifier(ctx, pool)
	if err != nil {
		return err
	}
	defer sender.Close()
	listener := postgres.NewListener(pool, sender)
	listener.HearTimeout = tryTimeout / 4
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hears := false
	err = listen(ctx, listener, func() { hears = true; cancel() })
	if !hears {
		return warned{err.Error()}
	}
	return nil
}

func tryBroker(ctx context.Context, c configs.Config, b namedBroker, log *slog.Logger) (who string, err error) {
	if onOurServer(c, b.Broker) != "" {
		return "it is on the server that Lectern starts itself", errSkipped
	}
	option := brokers()[b.Kind].dsn
	if dsn, ok := b.Options[option].(string); ok {
		if who, err = logIn(ctx, b.name+".options."+option, dsn); err != nil {
			return "", err
		}
		if err := checkBrokerRole(ctx, c, b, addresses{}); err != nil {
			return "", err
		}
	}
	err = withBroker(ctx, b.Broker, addresses{}, log, func(ctx context.Context, broker ports.Broker) error {
		if err := broker.Ping(ctx); err != nil {
			return err
		}
		return advise(ctx, broker)
	})
	return cmp.Or(who, "it answers"), err
}

// advise returns what a broker has to say about its server.
func advise(ctx context.Context, broker ports.Broker) error {
	adviser, ok := broker.(ports.Adviser)
	if !ok {
		return nil
	}
	advice, err := adviser.Advice(ctx)
	switch {
	case err != nil:
		return inputError{err} // which says what to do
	case len(advice) > 0:
		return warned(advice)
	}
	return nil
}

// pinger is a cache, a generator or a store of documents that a server stands behind.
type pinger interface {
	Ping(ctx context.Context) error
}

func tryPart[T any](ctx context.Context, k kind, options map[string]any, log *slog.Logger) (string, error) {
	module, err := k.module(options)
	if err != nil {
		return "", err
	}
	var part T
	alone := fx.New(fx.Supply(log), fx.WithLogger(quietly), module, fx.Populate(&part))
	if err := dig.RootCause(alone.Err()); err != nil {
		return "", err
	}
	if err := alone.Start(ctx); err != nil {
		return "", err
	}
	server, ok := any(part).(pinger)
	if !ok {
		return "it is within each process", alone.Stop(ctx)
	}
	return "it answers", errors.Join(server.Ping(ctx), alone.Stop(context.WithoutCancel(ctx)))
}
