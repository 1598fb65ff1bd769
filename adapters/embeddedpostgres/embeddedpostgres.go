// Package embeddedpostgres runs a real Postgres server as a part of this
// program: it fetches the server's binaries once, keeps the data in a folder
// between runs, and provisions the same roles as any other server has, so that
// a user who has no Postgres needs none.
//
// It knows nothing of Lectern's tables (package migrations makes those) and it
// is no pool: it hands out connection addresses. It is meant for one machine:
// the server listens on 127.0.0.1 alone, and one process at a time uses a folder.
//
// # The folder
//
//	lectern-postgres   says that the folder is ours, and who uses it; locked while in use
//	server.lock        locked for as long as any Postgres process uses the folder
//	password           the one password of all roles, for the server's user alone
//	data               the database cluster
//
// # Who runs the server
//
// Postgres refuses to run as root. When this program does, the server runs as
// the data's owner, for new data as the user postgres or else nobody, and that
// user must be able to reach the folder. Otherwise it runs as ourselves.
package embeddedpostgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Superuser is the server's bootstrap role. Its name is taken: no role of
// Options may bear it.
const Superuser = "postgres"

// abandonTimeout bounds how long a start that failed waits for an orderly stop.
const abandonTimeout = 10 * time.Second

// Options say what to run, and where.
type Options struct {
	// Dir is the data folder. It is made when missing; one that holds anything
	// else is refused. DefaultDir names a good one.
	Dir string
	// Version is the server's: V15 or V18, which is meant when it is empty. A
	// folder stays with its major version.
	Version Version
	// CacheDir is where the binaries are kept, shared by all data folders.
	// Empty means the user's cache folder, or /var/cache/lectern for root.
	CacheDir string
	// Owner may log in and create roles, and owns the database. It is neither a
	// superuser nor exempt from row level security.
	Owner string
	// Roles may log in, and nothing else. The owner administers them.
	Roles []string
	// Database is the database that all addresses lead to.
	Database string
	// Schemas are made in the database: name to owning role. May be nil.
	Schemas map[string]string
	// Settings are given to the server: parameter to value. May be nil. They
	// cannot open the server to other machines.
	Settings map[string]string
	// Log receives the server's own lines, at debug level. Nil discards them.
	Log *slog.Logger
	// Progress hears how far the start is, one call at a time, up to a thousand
	// during a download; it should return at once. May be nil.
	Progress func(Progress)

	freePort   func(context.Context) (int, error)
	repository string
}

// Step is a part of a start that may take a while.
type Step string

// The steps, in their order. Only the first start on a machine downloads and
// extracts, and only the first start of a folder initializes.
const (
	StepDownload   Step = "download"
	StepExtract    Step = "extract"
	StepInitialize Step = "initialize"
	StepStart      Step = "start"
)

// Progress tells how far a start is.
type Progress struct {
	Step Step
	// Done and Total count bytes during a download. Total is 0 while unknown.
	Done, Total int64
}

// Start brings the server up, with the roles, the database and the schemas that
// the options ask for, and returns once it can be used. It takes seconds, and
// longer after a crash or for the first download. A start that fails or is
// cancelled leaves no process behind, and the next start clean.
//
// Errors to tell apart: *InUseError, *ForeignFolderError, *VersionError,
// *UnreachableError.
func Start(ctx context.Context, o Options) (*Server, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	f, err := claim(ctx, o.Dir, o.Version)
	if err != nil {
		return nil, err
	}
	s, err := startIn(ctx, f, o)
	if err != nil {
		return nil, errors.Join(err, f.release())
	}
	return s, nil
}

func startIn(ctx context.Context, f *folder, o Options) (*Server, error) {
	bin, err := ensureBinaries(ctx, o, f.account)
	if err != nil {
		return nil, err
	}
	if err := f.lockServer(ctx, o.Log); err != nil {
		return nil, err
	}
	password, err := f.password()
	if err != nil {
		return nil, err
	}
	if err := f.initialize(ctx, bin, o); err != nil {
		return nil, err
	}
	o.Progress(Progress{Step: StepStart})
	s, err := launch(ctx, f, bin, password, o)
	if err != nil {
		return nil, err
	}
	if err := s.provision(ctx); err != nil {
		return nil, errors.Join(err, s.process.abandon(ctx))
	}
	return s, nil
}

// complete checks the options and fills in what may be left out.
func (o Options) complete() (Options, error) {
	if o.Dir == "" || o.Owner == "" || o.Database == "" {
		return o, errors.New("start Postgres: Dir, Owner and Database must be set")
	}
	o.Version = cmp.Or(o.Version, V18)
	if o.Version != V15 && o.Version != V18 {
		return o, fmt.Errorf("start Postgres: Version is %q: use %s or %s", o.Version, V15, V18)
	}
	if slices.Contains(o.logins(), Superuser) {
		return o, fmt.Errorf("start Postgres: the role name %q is the superuser's: choose another", Superuser)
	}
	if slices.Contains(o.Roles, o.Owner) {
		return o, fmt.Errorf("start Postgres: the owner %q is among the other roles: choose another", o.Owner)
	}
	for schema, role := range o.Schemas {
		if !slices.Contains(o.logins(), role) {
			return o, fmt.Errorf("start Postgres: the owner %q of schema %q is not among the roles", role, schema)
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.freePort == nil {
		o.freePort = freePort
	}
	o.Progress = oneAtATime(o.Progress)
	return o, nil
}

// logins are all roles that may log in.
func (o Options) logins() []string {
	return append([]string{o.Owner}, o.Roles...)
}

// oneAtATime serializes the calls: a download reports from its own goroutine.
func oneAtATime(progress func(Progress)) func(Progress) {
	if progress == nil {
		return func(Progress) {}
	}
	var mu sync.Mutex
	return func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		progress(p)
	}
}
