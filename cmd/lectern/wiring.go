package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"lectern/adapters/connectapi"
	"lectern/adapters/postgres"
	"lectern/adapters/textextract"
	"lectern/adapters/watermillrelay"
	"lectern/app"
	"lectern/configs"
	"lectern/domain"
	"lectern/ports"
)

// What nobody has yet had reason to configure.
const (
	watchPoll    = time.Second      // how soon another process's event reaches a watcher who does not hear of it
	backoffFirst = time.Second      // after the first failure, of a publish or a job
	backoffMax   = 20 * time.Second // less than a relay may be silent before health calls it stuck
)

// wire is the service with the roles of the config. What is not of a role is
// neither made nor connected to. All parts stop at once; what they used, such as
// the broker, is closed when they have.
func wire(c configs.Config, log *slog.Logger, db *database, l net.Listener, p *parts) (fx.Option, error) {
	provided, err := provide(c, log, db, p)
	if err != nil {
		return nil, err
	}
	roles := []fx.Option{provided, fx.Supply(fx.Annotate(l, fx.As(new(net.Listener)))), fx.Invoke(watchServer)}
	if c.Roles.NeedBroker() {
		roles = append(roles, fx.Invoke(prepareBroker), need("broker", func(b ports.Broker) func(context.Context) error { return b.Ping }))
	}
	// It outlives those who commit, so that their last commit is told too.
	roles = append(roles, fx.Invoke(runNotifier))
	if c.Roles.NeedDocuments() {
		roles = append(roles, fx.Invoke(prepareDocuments))
	}
	if c.Roles.Has(configs.RoleWorker) {
		roles = append(roles, fx.Invoke(runBackup, runWorkers, runStallWatch), needDatabase(postgres.Worker, db.worker))
	}
	if c.Roles.Has(configs.RoleRelay) {
		roles = append(roles, fx.Provide(watchOutbox), fx.Invoke(runEntryListener, runRelay, runRetention), needDatabase(postgres.Relay, db.relay))
	}
	if c.Roles.Has(configs.RoleAPI) {
		roles = append(roles, fx.Invoke(runEventListener, serveAPI), needDatabase(postgres.App, db.app))
	} else {
		roles = append(roles, fx.Invoke(serveHealth))
	}
	return fx.Options(roles...), nil
}

// provide makes every part that is asked for, and runs none.
func provide(c configs.Config, log *slog.Logger, db *database, p *parts) (fx.Option, error) {
	options := []fx.Option{fx.Supply(c, log, db, p), fx.WithLogger(quietly), storage(), extraction(), useCases()}
	if c.Roles.NeedBroker() {
		broker, err := brokerModule(c.Broker, db.addresses)
		if err != nil {
			return nil, err
		}
		options = append(options, broker)
	}
	if c.Roles.Has(configs.RoleAPI) {
		cache, err := caches()[c.Cache.Kind].module(c.Cache.Options)
		if err != nil {
			return nil, err
		}
		options = append(options, cache)
	}
	if c.Roles.NeedDocuments() {
		documents, err := documentsModule(c)
		if err != nil {
			return nil, err
		}
		options = append(options, documents)
	}
	if c.Roles.Has(configs.RoleWorker) {
		generator, err := generators()[c.Generator.Kind].module(c.Generator.Options)
		if err != nil {
			return nil, err
		}
		options = append(options, generator)
	}
	return fx.Options(options...), nil
}

// needs is the group of what health tries.
const needs = `group:"needs"`

// need has health try something: what stands in the service of its name.
func need[T any](name string, try func(T) func(context.Context) error) fx.Option {
	return fx.Provide(fx.Annotate(func(of T) app.Need { return app.Need{Name: name, Try: try(of)} }, fx.ResultTags(needs)))
}

func needDatabase(duty postgres.Duty, pool *pgxpool.Pool) fx.Option {
	return need("database as "+string(duty), func(*database) func(context.Context) error {
		return func(ctx context.Context) error { return postgres.Ping(ctx, pool) }
	})
}

func watchOutbox(relay ports.Relay, outbox ports.Outbox) *app.OutboxWatch {
	return &app.OutboxWatch{Relay: relay, Outbox: outbox}
}

// quietly sends fx's own lines to the log at debug level, its errors too: they
// are returned as well.
func quietly(log *slog.Logger) fxevent.Logger {
	events := &fxevent.SlogLogger{Logger: log}
	events.UseLogLevel(slog.LevelDebug)
	events.UseErrorLevel(slog.LevelDebug)
	return events
}

// storage stands on Postgres, each part as its own role.
func storage() fx.Option {
	return fx.Module("storage", fx.Provide(
		fx.Annotate(func(db *database) *postgres.Courses { return postgres.NewCourses(db.app) }, fx.As(new(ports.Courses))),
		fx.Annotate(func(db *database) *postgres.Operator { return postgres.NewOperator(db.app) }, fx.As(new(ports.Operator))),
		func(db *database, cache ports.Cache, log *slog.Logger) ports.Commands {
			return app.NewCachedCommands(postgres.NewCommands(db.app), cache, time.Now, log)
		},
		fx.Annotate(func(db *database) *postgres.Outbox { return postgres.NewOutbox(db.relay, time.Now) }, fx.As(new(ports.Outbox))),
		func(c configs.Config, db *database, log *slog.Logger) ports.EntryStream {
			options := watermillrelay.Options{BatchSize: c.Relay.BatchSize, IdleTimeout: watermillrelay.DefaultIdleTimeout}
			return watermillrelay.New(db.relay, options, log)
		},
		fx.Annotate(func(db *database) *postgres.Steps { return postgres.NewSteps(db.worker, ports.GroupWorkers) }, fx.As(new(ports.Steps))),
	))
}

// extraction reads documents.
func extraction() fx.Option {
	return fx.Module("extraction", fx.Provide(func(c configs.Config, lc fx.Lifecycle) ports.Extractor {
		e := newExtractor(c.Documents, min(c.Workers.Concurrency, runtime.NumCPU()))
		lc.Append(fx.StopHook(e.Close))
		return e
	}))
}

// newExtractor makes a reader of documents, up to readers PDFs at a time. What
// its PDF reader compiles is kept in the user's own cache: not beside the
// Postgres that was fetched, whose folder another user must be able to enter
// when we are root. Without such a cache it is compiled anew each time.
func newExtractor(c configs.Documents, readers int) *textextract.Extractor {
	options := textextract.Options{MaxBytes: c.MaxBytes, SpeakerNotes: c.SpeakerNotes, Readers: readers}
	if cache, err := os.UserCacheDir(); err == nil {
		options.CacheDir = filepath.Join(cache, "lectern", "pdf")
	}
	return textextract.New(options)
}

// useCases are the app's parts.
func useCases() fx.Option {
	return fx.Module("app", fx.Provide(
		app.NewSignals,
		func() app.Backoff { return app.Backoff{Base: backoffFirst, Max: backoffMax, Random: rand.Float64} },
		newCourses, app.NewOperatorService, newSender, newNotifier, newEntryListener, newEventListener, newRelay, app.NewDefenceStats, newDefence, oldBrokers, newBackup, newWorkers,
		newRetention, newStallWatch,
		fx.Annotate(app.NewHealth, fx.ParamTags(needs, `optional:"true"`)),
	))
}

func newCourses(
	c configs.Config, log *slog.Logger, courses ports.Courses, commands ports.Commands, blobs ports.Blobs,
	extractor ports.Extractor, signals app.Signals, listener *app.EventListener,
) *app.CourseService {
	return app.NewCourseService(app.CourseDeps{
		Courses: courses, Commands: commands, Blobs: blobs, Extractor: extractor, Signals: signals,
		NewID: uuid.NewV7, Log: log, MaxDocumentBytes: c.Documents.MaxBytes, Pipeline: c.Pipeline.Mode, WatchPoll: watchPoll, Hears: listener.Hears,
	})
}

func newRelay(
	c configs.Config, log *slog.Logger, db *database, broker ports.Broker, signals app.Signals,
	listener *app.EntryListener, backoff app.Backoff, stream ports.EntryStream,
) ports.Relay {
	deps := app.RelayDeps{
		Outbox: postgres.NewOutbox(db.relay, time.Now), Broker: broker,
		Wake: signals.Entries, Hears: listener.Hears, Failed: signals.Happened, Backoff: backoff, Now: time.Now, Log: log,
		Config: app.RelayConfig{
			BatchSize: c.Relay.BatchSize, PollMin: c.Relay.PollMin, PollMax: c.Relay.PollMax, MaxAttempts: c.Relay.MaxAttempts,
			Lease: c.Relay.Lease, OnDead: c.Relay.OnDead,
		},
		Holder: holderName(),
	}
	if c.Relay.Engine == configs.EngineWatermill {
		return app.NewStreamedRelay(deps, stream)
	}
	lanes := make([]ports.Outbox, c.Relay.Lanes)
	for i := range lanes {
		lanes[i] = postgres.NewOutbox(db.relay, time.Now)
	}
	return app.NewLanes(deps, lanes)
}

// holderName names this process's relay among all that there are: for people
// by host and process, for the leases by what no other has.
func holderName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%.100s/%d/%s", host, os.Getpid(), uuid.NewString())
}

// newDefence gives its commands as the workers' role, on any tenant's course,
// and straight to the database.
func newDefence(db *database, log *slog.Logger, signals app.Signals, stats *app.DefenceStats) *app.Defence {
	return app.NewDefence(postgres.NewCommands(db.worker), signals, stats, log)
}

func newBackup(
	c configs.Config, log *slog.Logger, steps ports.Steps, defence *app.Defence, broker ports.Broker, old []app.OldBroker,
	backoff app.Backoff,
) *app.BackupListener {
	return app.NewBackupListener(app.BackupDeps{
		Steps: steps, Defence: defence, Broker: broker, Old: old, Backoff: backoff, Now: time.Now, Log: log,
		Concurrency: c.Workers.Concurrency,
	})
}

func newWorkers(
	c configs.Config, log *slog.Logger, steps ports.Steps, defence *app.Defence, broker ports.Broker, old []app.OldBroker, blobs ports.Blobs,
	extractor ports.Extractor, generator ports.Generator, signals app.Signals, backoff app.Backoff,
) *app.Workers {
	return app.NewWorkers(app.WorkerDeps{
		Steps: steps, Defence: defence, Broker: broker, Old: old, Blobs: blobs, Extractor: extractor, Generator: generator,
		Signals: signals, Backoff: backoff, NewID: uuid.NewV7, Now: time.Now, Log: log, Config: app.WorkerConfig(c.Workers),
	})
}

func newStallWatch(
	c configs.Config, log *slog.Logger, db *database, broker ports.Broker, old []app.OldBroker, signals app.Signals,
) *app.StallWatch {
	return app.NewStallWatch(app.StallDeps{
		Store: postgres.NewStalls(db.worker, ports.GroupWorkers), Broker: broker, Old: old, Signals: signals,
		After: c.Pipeline.StallAfter, Random: rand.Float64, Now: time.Now, Log: log,
	})
}

func newAPI(
	c configs.Config, log *slog.Logger, courses *app.CourseService, operator *app.OperatorService, health *app.Health,
) *connectapi.Server {
	return connectapi.New(connectapi.Config{
		Courses: courses, Outbox: operator, Health: health, Authenticator: connectapi.FixedIdentity(domain.Identity(c.Identity)), Logger: log,
		MaxDocumentBytes: int(c.Documents.MaxBytes),
	})
}
