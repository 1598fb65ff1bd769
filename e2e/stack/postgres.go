package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	// The one adapter that e2e imports: it is itself the way to get a pinned
	// Postgres onto a machine that has none.
	"lectern/adapters/embeddedpostgres"
)

// PostgresVariable names the environment variable with a superuser's address
// of the server that the tests use. Postgres15Variable names one with that of a
// server of the oldest version that Lectern supports.
const (
	PostgresVariable   = "LECTERN_TEST_POSTGRES"
	Postgres15Variable = "LECTERN_TEST_POSTGRES15"
)

// The roles of Lectern, for its default prefix. They are of the whole server.
const (
	OwnerRole  = "lectern_owner"
	AppRole    = "lectern_app"
	WorkerRole = "lectern_worker"
	RelayRole  = "lectern_relay"
	BrokerRole = "lectern_broker"
)

// stopTimeout bounds an orderly stop; what takes longer is stopped at once.
const stopTimeout = 30 * time.Second

func startPostgres(ctx context.Context) (*server, error) {
	started, err := startEmbedded(ctx, embeddedpostgres.V18)
	if err != nil {
		return nil, fmt.Errorf("there is no Postgres for the tests: %w: or set %s to a superuser's postgres:// address "+
			"of a server of version 15 or later that is used for tests alone", err, PostgresVariable)
	}
	return started, nil
}

func startEmbedded(ctx context.Context, version embeddedpostgres.Version) (*server, error) {
	dir, err := tempDir()
	if err != nil {
		return nil, err
	}
	started, err := embeddedpostgres.Start(ctx, options(filepath.Join(dir, "postgres"), version))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &server{
		address: started.SuperuserDSN(),
		stop: func() error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			return errors.Join(started.Stop(ctx), os.RemoveAll(dir))
		},
	}, nil
}

// options suit tests: many connections, and data that nobody will miss after a power cut.
func options(dir string, version embeddedpostgres.Version) embeddedpostgres.Options {
	return embeddedpostgres.Options{
		Dir:      dir,
		Version:  version,
		Owner:    OwnerRole,
		Roles:    otherRoles(),
		Database: "lectern",
		Settings: map[string]string{
			"fsync":            "off",
			"full_page_writes": "off",
			"max_connections":  "300",
		},
	}
}

func otherRoles() []string { return []string{AppRole, WorkerRole, RelayRole, BrokerRole} }

// ensureRoles makes Lectern's roles on the server that a variable names, as
// whoever set one up would have to. They have the superuser's password.
func ensureRoles(ctx context.Context, variable string) error {
	address := os.Getenv(variable)
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return fmt.Errorf("read %s: %w", variable, err)
	}
	err = embeddedpostgres.EnsureRoles(ctx, address, embeddedpostgres.Roles{
		Owner: OwnerRole, Others: otherRoles(), Password: config.Password,
	})
	if err != nil {
		return fmt.Errorf("make roles on the server of %s, whose address must be a superuser's: %w", variable, err)
	}
	return nil
}

// tempDir makes a folder that the user can enter who runs the server when we are root.
func tempDir() (string, error) {
	dir, err := os.MkdirTemp("", "lectern-stack-")
	if err != nil {
		return "", fmt.Errorf("make temporary folder: %w", err)
	}
	if err := os.Chmod(dir, fs.FileMode(0o755)); err != nil {
		return "", fmt.Errorf("open temporary folder: %w", err)
	}
	return dir, nil
}
