package configs

import (
	"log/slog"
	"time"

	"github.com/google/uuid"

	"lectern/domain"
)

// Config is the whole config of a process. The built-in files say in their
// comments what each key is for.
type Config struct {
	Listen  string `koanf:"listen"`   // host:port
	Roles   Roles  `koanf:"roles"`    // what this process runs
	DataDir string `koanf:"data_dir"` // "" leaves it to the program

	ShutdownTimeout time.Duration `koanf:"shutdown_timeout"` // for all that stops in order
	ShutdownDelay   time.Duration `koanf:"shutdown_delay"`   // from being unready to taking no more calls

	Postgres  Postgres  `koanf:"postgres"`
	Broker    Broker    `koanf:"broker"`
	Cache     Cache     `koanf:"cache"`
	Relay     Relay     `koanf:"relay"`
	Watch     Watch     `koanf:"watch"`
	Workers   Workers   `koanf:"workers"`
	Pipeline  Pipeline  `koanf:"pipeline"`
	Retention Retention `koanf:"retention"`
	Documents Documents `koanf:"documents"`
	Generator Generator `koanf:"generator"`
	Identity  Identity  `koanf:"identity"`
	Log       Log       `koanf:"log"`
}

// Postgres says where the data is. An embedded server needs no address.
type Postgres struct {
	Embedded   bool   `koanf:"embedded"`
	AdminDSN   string `koanf:"admin_dsn"` // for making roles alone
	OwnerDSN   string `koanf:"owner_dsn"` // for migrations alone
	AppDSN     string `koanf:"app_dsn"`
	WorkerDSN  string `koanf:"worker_dsn"`
	RelayDSN   string `koanf:"relay_dsn"`
	RolePrefix string `koanf:"role_prefix"`
	MaxConns   int    `koanf:"max_conns"` // of each pool: app, worker, relay
}

// Broker names the broker. Its options are the adapter's to decode.
type Broker struct {
	Kind    string         `koanf:"kind"`
	Options map[string]any `koanf:"options"`
	// AlsoConsume are brokers that are being replaced by this one: their jobs
	// are worked off, and no more go to them.
	AlsoConsume []OldBroker `koanf:"also_consume"`
}

// OldBroker names a broker that is being replaced.
type OldBroker struct {
	Kind    string         `koanf:"kind"`
	Options map[string]any `koanf:"options"`
}

// Broker returns it as it was configured when it was the broker.
func (o OldBroker) Broker() Broker { return Broker{Kind: o.Kind, Options: o.Options} }

// Cache names the cache of answers. Its options are the adapter's to decode.
type Cache struct {
	Kind    string         `koanf:"kind"`
	Options map[string]any `koanf:"options"`
}

// Relay tunes the outbox processor.
type Relay struct {
	Engine      string        `koanf:"engine"`
	Lanes       int           `koanf:"lanes"`      // relays in this process, each with its share of the outbox
	BatchSize   int           `koanf:"batch_size"` // entries claimed at once by a lane
	PollMin     time.Duration `koanf:"poll_min"`
	PollMax     time.Duration `koanf:"poll_max"`
	MaxAttempts int           `koanf:"max_attempts"` // failed publishes before an entry is dead
	Lease       time.Duration `koanf:"lease"`        // how long a relay that died keeps its share of the outbox
	OnDead      domain.OnDead `koanf:"on_dead"`      // what becomes of what comes after a dead entry in its course
	Listen      bool          `koanf:"listen"`       // for other processes' commits; else it polls for them
}

// The engines of the relay. docs/relay-engines.md compares them.
const (
	EngineBatch     = "batch"
	EngineWatermill = "watermill"
)

// Watch tunes how those who watch a course hear of its events.
type Watch struct {
	Listen bool `koanf:"listen"` // for other processes' commits; else it polls for them
}

// Workers tunes the workers.
type Workers struct {
	Concurrency int           `koanf:"concurrency"` // jobs of one queue in hand at once
	JobTimeout  time.Duration `koanf:"job_timeout"` // for one attempt
	MaxAttempts int           `koanf:"max_attempts"`
}

// Pipeline says how courses go from stage to stage.
type Pipeline struct {
	Mode       domain.Pipeline `koanf:"mode"`        // of courses that name none
	StallAfter time.Duration   `koanf:"stall_after"` // without anything happening a course fails; 0: never
}

// Retention says who cleans up, how often, and how old what goes must be.
type Retention struct {
	Scheduler    string        `koanf:"scheduler"`
	LookEvery    time.Duration `koanf:"look_every"` // between the service's looks at what is due
	KeysEvery    time.Duration `koanf:"keys_every"` // expired idempotency keys
	EntriesEvery time.Duration `koanf:"entries_every"`
	EntriesAfter time.Duration `koanf:"entries_after"` // since an outbox entry was processed
	InboxEvery   time.Duration `koanf:"inbox_every"`
	InboxAfter   time.Duration `koanf:"inbox_after"` // since a job was done; longer than the broker keeps messages
	Batch        int           `koanf:"batch"`       // rows deleted in one transaction
}

// The schedulers of the clean-up.
const (
	SchedulerService = "service"
	SchedulerPgCron  = "pg_cron"
	SchedulerOff     = "off"
)

// Documents names what keeps the documents, whose options are the adapter's to
// decode, bounds what may be uploaded, and says what is read of it.
type Documents struct {
	Kind         string         `koanf:"kind"`
	Options      map[string]any `koanf:"options"`
	MaxBytes     int64          `koanf:"max_bytes"`
	SpeakerNotes bool           `koanf:"speaker_notes"` // of presentations
}

// DocumentsFolder keeps the documents as files on this machine.
const DocumentsFolder = "folder"

// Generator names what writes the courses. Its options are the adapter's to
// decode.
type Generator struct {
	Kind    string         `koanf:"kind"`
	Options map[string]any `koanf:"options"`
}

// GeneratorOutline is the generator inside the program.
const GeneratorOutline = "outline"

// Identity is the one caller that everyone is who reaches the API.
type Identity struct {
	OrganizationID uuid.UUID `koanf:"organization_id"`
	UserID         uuid.UUID `koanf:"user_id"`
}

// Log says what is logged, and how. Logs go to standard error.
type Log struct {
	Level  slog.Level `koanf:"level"`
	Format string     `koanf:"format"`
}

// The formats of the log.
const (
	LogText = "text"
	LogJSON = "json"
)

const day = 24 * time.Hour

// Default returns what applies where a config says nothing. It lacks an
// identity, which has no default.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:8080",
		Roles:  AllRoles(),

		ShutdownTimeout: 25 * time.Second,
		ShutdownDelay:   time.Second,

		Postgres: Postgres{Embedded: true, RolePrefix: "lectern", MaxConns: 8},
		Broker:   Broker{Kind: "postgres"},
		Cache:    Cache{Kind: "memory"},
		Relay: Relay{
			Engine: EngineBatch, Lanes: 2, BatchSize: 500, PollMin: time.Second, PollMax: 30 * time.Second, MaxAttempts: 5, OnDead: domain.OnDeadContinue,
			Lease: 10 * time.Second, Listen: true,
		},
		Watch:    Watch{Listen: true},
		Workers:  Workers{Concurrency: 2, JobTimeout: 5 * time.Minute, MaxAttempts: 3},
		Pipeline: Pipeline{Mode: domain.PipelineAutomatic, StallAfter: 30 * time.Minute},
		Retention: Retention{
			Scheduler: SchedulerService, LookEvery: time.Hour, KeysEvery: day, EntriesEvery: 7 * day, EntriesAfter: 30 * day,
			InboxEvery: 7 * day, InboxAfter: 60 * day, Batch: 1000,
		},
		Documents: Documents{Kind: DocumentsFolder, MaxBytes: domain.MaxDocumentBytes},
		Generator: Generator{Kind: GeneratorOutline},
		Log:       Log{Level: slog.LevelInfo, Format: LogText},
	}
}
