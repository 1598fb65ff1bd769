package configs

import (
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"lectern/domain"
)

// Bounds of what may be configured.
const (
	maxLanes       = 16 // a quarter of the outbox's partitions
	maxBatchSize   = 10_000
	maxConcurrency = 1000
	maxConns       = 1000
	maxAttempts    = 100
	minLease       = 500 * time.Millisecond
	maxLease       = 10 * time.Minute
	minTime        = 10 * time.Millisecond
	maxTime        = day
	maxPoll        = 30 * time.Second // so that health tells within a minute that the relay is stuck
	minLook        = time.Second
	minRetention   = time.Minute // between runs of a clean-up
	minAge         = time.Hour   // of what a clean-up deletes
	maxRetention   = 3660 * day
)

// validate checks every rule and records each that is broken.
func (l *loader) validate(c Config, r Request) {
	l.validateListen(c.Listen, c.Roles)
	l.validateRoles(c, r)
	l.validateShutdown(c)
	l.validatePostgres(c, r.Use)
	l.validateBrokers(c, r)
	l.validateKind("cache", c.Cache.Kind, r.CacheKinds, func() (any, error) { return r.DecodeCache(c) })
	l.validateRelay(c.Relay)
	l.validateRetention(c.Retention, c.Postgres)
	l.between("workers.concurrency", int64(c.Workers.Concurrency), 1, maxConcurrency)
	l.time("workers.job_timeout", c.Workers.JobTimeout)
	l.between("workers.max_attempts", int64(c.Workers.MaxAttempts), 1, maxAttempts)
	l.validatePipeline(c.Pipeline, c.Workers.JobTimeout)
	l.validateKind("documents", c.Documents.Kind, r.DocumentKinds, func() (any, error) { return r.DecodeDocuments(c) })
	l.between("documents.max_bytes", c.Documents.MaxBytes, 1, domain.MaxDocumentBytes)
	l.validateKind("generator", c.Generator.Kind, r.GeneratorKinds, func() (any, error) { return r.DecodeGenerator(c) })
	l.validateIdentity(c.Identity)
	l.oneOf("log.format", c.Log.Format, []string{LogText, LogJSON})
}

func (l *loader) validatePipeline(p Pipeline, jobTimeout time.Duration) {
	l.oneOf("pipeline.mode", string(p.Mode), []string{string(domain.PipelineAutomatic), string(domain.PipelineManual)})
	if p.StallAfter == 0 {
		return
	}
	l.timeBetween("pipeline.stall_after", p.StallAfter, minTime, maxRetention)
	if p.StallAfter < 2*jobTimeout {
		l.problem("pipeline.stall_after", "must be 0s (never) or twice workers.job_timeout (%s) or more, is %s: "+
			"a job whose worker died is begun anew by another", jobTimeout, p.StallAfter)
	}
}

func (l *loader) validateShutdown(c Config) {
	l.time("shutdown_timeout", c.ShutdownTimeout)
	if c.ShutdownDelay < 0 || c.ShutdownDelay >= c.ShutdownTimeout {
		l.problem("shutdown_delay", "must be 0s or more and less than shutdown_timeout (%s), is %s", c.ShutdownTimeout, c.ShutdownDelay)
	}
}

func (l *loader) validateListen(listen string, roles Roles) {
	host, port, err := net.SplitHostPort(listen)
	if n, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || n > 65535 {
		l.problem("listen", "%q is not host:port, such as 127.0.0.1:8080", listen)
		return
	}
	if !roles.Has(RoleAPI) {
		return // health alone is served, and tells nothing about courses
	}
	// Whoever reaches the API is this one identity, so nobody from elsewhere may.
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		l.problem("listen", "%s can be reached from other machines, and everyone who calls is the fixed identity: "+
			"use a loopback address, such as 127.0.0.1:%s", listen, port)
	}
}

// validateBrokers checks the broker and those that it replaces, none of which
// may be the broker itself or one that was named already.
func (l *loader) validateBrokers(c Config, r Request) {
	type seen struct {
		section, kind string
		options       any
	}
	var all []seen
	add := func(section string, b Broker) {
		options := l.validateKind(section, b.Kind, r.BrokerKinds, func() (any, error) { return r.DecodeBroker(c, b) })
		for _, other := range all {
			if options != nil && b.Kind == other.kind && reflect.DeepEqual(options, other.options) {
				l.problem(section, "is the same as %s: remove it, or change its options to those of the broker that is being replaced", other.section)
			}
		}
		all = append(all, seen{section, b.Kind, options})
	}
	add("broker", c.Broker)
	for i, old := range c.Broker.AlsoConsume {
		add(join(alsoConsume, strconv.Itoa(i)), old.Broker())
	}
}

// validateKind checks the kind of a broker, a cache, a generator or what keeps
// documents and, where it is one of those there are, its options, which it returns.
func (l *loader) validateKind(section, kind string, kinds []string, decode func() (any, error)) any {
	l.oneOf(section+".kind", kind, kinds)
	if !slices.Contains(kinds, kind) {
		return nil
	}
	options, err := decode()
	if err != nil {
		l.problem(section+".options", "%w", err)
		return nil
	}
	return options
}

func (l *loader) validateIdentity(i Identity) {
	if i.OrganizationID == uuid.Nil {
		l.problem("identity.organization_id", "must be set: it is the organization that callers act for")
	}
	if i.UserID == uuid.Nil {
		l.problem("identity.user_id", "must be set: it is the user that callers are")
	}
}

func (l *loader) validateRelay(r Relay) {
	l.between("relay.lanes", int64(r.Lanes), 1, maxLanes)
	l.between("relay.batch_size", int64(r.BatchSize), 1, maxBatchSize)
	l.time("relay.poll_min", r.PollMin)
	l.timeBetween("relay.poll_max", r.PollMax, minTime, maxPoll)
	if r.PollMax < r.PollMin {
		l.problem("relay.poll_max", "must be relay.poll_min (%s) or more, is %s", r.PollMin, r.PollMax)
	}
	l.between("relay.max_attempts", int64(r.MaxAttempts), 1, maxAttempts)
	l.timeBetween("relay.lease", r.Lease, minLease, maxLease)
	l.oneOf("relay.on_dead", string(r.OnDead), []string{string(domain.OnDeadContinue), string(domain.OnDeadBlock)})
	l.oneOf("relay.engine", r.Engine, []string{EngineBatch, EngineWatermill})
}

func (l *loader) validateRetention(r Retention, p Postgres) {
	l.oneOf("retention.scheduler", r.Scheduler, []string{SchedulerService, SchedulerPgCron, SchedulerOff})
	if r.Scheduler == SchedulerPgCron && p.Embedded {
		l.problem("retention.scheduler", "the server that postgres.embedded starts has no pg_cron: use %s", SchedulerService)
	}
	l.timeBetween("retention.look_every", r.LookEvery, minLook, maxTime)
	l.timeBetween("retention.keys_every", r.KeysEvery, minRetention, maxRetention)
	l.timeBetween("retention.entries_every", r.EntriesEvery, minRetention, maxRetention)
	l.timeBetween("retention.entries_after", r.EntriesAfter, minAge, maxRetention)
	l.timeBetween("retention.inbox_every", r.InboxEvery, minRetention, maxRetention)
	l.timeBetween("retention.inbox_after", r.InboxAfter, minAge, maxRetention)
	if r.InboxAfter < r.EntriesAfter {
		l.problem("retention.inbox_after", "must be retention.entries_after (%s) or more, is %s: an inbox row outlives its entry",
			r.EntriesAfter, r.InboxAfter)
	}
	l.between("retention.batch", int64(r.Batch), 1, maxBatchSize)
}

// validatePostgres asks for the addresses that are needed, and for none beside
// a server of our own.
func (l *loader) validatePostgres(c Config, use Use) {
	p := c.Postgres
	l.between("postgres.max_conns", int64(p.MaxConns), 2, maxConns)
	if p.RolePrefix == "" {
		l.problem("postgres.role_prefix", "must not be empty")
	}
	for _, address := range []struct {
		key, dsn string
		needed   bool
	}{
		{"postgres.admin_dsn", p.AdminDSN, use == ForRoles},
		{"postgres.owner_dsn", p.OwnerDSN, use == ForMigration},
		{"postgres.app_dsn", p.AppDSN, use == ForService && c.Roles.Has(RoleAPI)},
		{"postgres.worker_dsn", p.WorkerDSN, use == ForService && c.Roles.Has(RoleWorker)},
		{"postgres.relay_dsn", p.RelayDSN, use == ForService && c.Roles.Has(RoleRelay)},
	} {
		switch {
		case p.Embedded && address.dsn != "":
			l.problem(address.key, "must not be set beside postgres.embedded: remove one of them")
		case !p.Embedded && address.dsn == "" && address.needed:
			l.problem(address.key, "must be set while postgres.embedded is false: give the address in %s", variable(address.key))
		}
	}
}

func (l *loader) oneOf(key, given string, allowed []string) {
	if !slices.Contains(allowed, given) {
		l.problem(key, "%q is not one of %s", given, strings.Join(allowed, ", "))
	}
}

func (l *loader) between(key string, given, low, high int64) {
	if given < low || given > high {
		l.problem(key, "must be %d to %d, is %d", low, high, given)
	}
}

func (l *loader) time(key string, given time.Duration) {
	l.timeBetween(key, given, minTime, maxTime)
}

func (l *loader) timeBetween(key string, given, low, high time.Duration) {
	if given < low || given > high {
		l.problem(key, "must be %s to %s, is %s", low, high, given)
	}
}
