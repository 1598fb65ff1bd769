// Package migrations holds Lectern's schema as numbered SQL files and applies
// them with goose. It runs as the owner of the schema, which needs neither
// superuser nor BYPASSRLS, and never as a role of the service.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
)

//go:embed *.sql
var files embed.FS

// DefaultRolePrefix begins the names of the service's roles: lectern_app,
// lectern_worker and lectern_relay. The files are written with it.
const DefaultRolePrefix = "lectern"

// versionTable is where goose keeps what has been applied: in our schema, so
// that the owner needs no right on public.
const versionTable = "lectern.goose_db_version"

// Migrator applies the migrations to one database.
type Migrator struct {
	db       *sql.DB
	provider *goose.Provider
}

// New makes a migrator for db, whose role owns the schema, or may create it.
// rolePrefix names the service's roles; it is 1 to 50 lower-case letters,
// digits and underscores.
func New(ctx context.Context, db *sql.DB, rolePrefix string) (*Migrator, error) {
	sources, err := withRolePrefix(rolePrefix)
	if err != nil {
		return nil, err
	}
	if err := ensureSchema(ctx, db); err != nil {
		return nil, err
	}
	store, err := database.NewStore(goose.DialectPostgres, versionTable)
	if err != nil {
		return nil, fmt.Errorf("open migration store: %w", err)
	}
	// Two processes that start at once migrate in turn.
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, fmt.Errorf("make migration lock: %w", err)
	}
	provider, err := goose.NewProvider("", db, sources, goose.WithStore(store), goose.WithSessionLocker(locker))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return &Migrator{db: db, provider: provider}, nil
}

// Up applies what is missing and returns the versions it applied.
func (m *Migrator) Up(ctx context.Context) ([]int64, error) {
	results, err := m.provider.Up(ctx)
	return versions(results), wrap("apply migrations", err)
}

// Down takes back everything, the newest first, and returns the versions. The
// schema stays, and the roles, which may serve other databases.
func (m *Migrator) Down(ctx context.Context) ([]int64, error) {
	results, err := m.provider.DownTo(ctx, 0)
	return versions(results), wrap("take back migrations", err)
}

// Status is how far a database has come.
type Status struct {
	Current int64 // the newest version applied; 0 for none
	Latest  int64 // the newest version there is
}

// Status reads how far the database has come.
func (m *Migrator) Status(ctx context.Context) (Status, error) {
	current, latest, err := m.provider.GetVersions(ctx)
	return Status{current, latest}, wrap("read migration status", err)
}

// Latest returns the newest version there is.
func Latest() (int64, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil || len(names) == 0 {
		return 0, fmt.Errorf("list migrations: %w", errors.Join(err, fs.ErrNotExist))
	}
	version, err := goose.NumericComponent(names[len(names)-1])
	return version, wrap("read migration number", err)
}

func ensureSchema(ctx context.Context, db *sql.DB) error {
	var exists bool
	err := db.QueryRowContext(ctx, `select exists (select from pg_namespace where nspname = 'lectern')`).Scan(&exists)
	if err == nil && !exists {
		// Asked for only when missing: even IF NOT EXISTS demands CREATE on the
		// database, which an owner of the schema alone doesn't have.
		_, err = db.ExecContext(ctx, `create schema if not exists lectern`)
	}
	return wrap("create schema lectern", err)
}

func versions(results []*goose.MigrationResult) []int64 {
	out := make([]int64, len(results))
	for i, r := range results {
		out[i] = r.Source.Version
	}
	return out
}

func wrap(what string, err error) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &pg) && pg.Hint != "":
		return fmt.Errorf("%s: %w: %s", what, err, pg.Hint)
	}
	return fmt.Errorf("%s: %w", what, err)
}

var (
	rolePrefixShape = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,49}$`)
	roleName        = regexp.MustCompile(`\blectern_(app|worker|relay)\b`)
)

// withRolePrefix returns the files with the roles' names begun by prefix.
func withRolePrefix(prefix string) (fs.FS, error) {
	if !rolePrefixShape.MatchString(prefix) {
		return nil, badPrefix(prefix)
	}
	if prefix == DefaultRolePrefix {
		return files, nil
	}
	return prefixed{files, prefix}, nil
}

func badPrefix(prefix string) error {
	return fmt.Errorf("role prefix %q: must be 1 to 50 lower-case letters, digits and underscores, not begun by a digit", prefix)
}

// prefixed is the embedded files with other role names.
type prefixed struct {
	embed.FS
	prefix string
}

// Open returns the file with its roles renamed.
func (p prefixed) Open(name string) (fs.File, error) {
	f, err := p.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return f, err
	}
	b, err := p.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return &renamedFile{f, strings.NewReader(string(b))}, nil
}

// ReadFile returns the file's content with its roles renamed.
func (p prefixed) ReadFile(name string) ([]byte, error) {
	b, err := p.FS.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return roleName.ReplaceAll(b, []byte(p.prefix+"_$1")), nil
}

// renamedFile is a file whose content was replaced. Stat still tells the
// original's size, which goose does not ask for.
type renamedFile struct {
	fs.File
	content *strings.Reader
}

// Read reads the replaced content.
func (f *renamedFile) Read(b []byte) (int, error) { return f.content.Read(b) }
