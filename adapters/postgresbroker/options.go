package postgresbroker

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/configs"
)

// Options configures a Broker; DecodeOptions names the defaults.
type Options struct {
	// DSN is the server's postgres:// address, with a role that may create the
	// schema or owns it. Required.
	DSN string `koanf:"dsn"`

	// Schema holds the broker's tables; "lectern_broker" by default.
	Schema string `koanf:"schema"`

	// Concurrency is how many messages of a topic a consumer hands out before
	// one is settled, each on a connection; 1 or more, 4 by default.
	Concurrency int `koanf:"concurrency"`

	// MaxMessageBytes is the largest payload; 1 MiB by default.
	MaxMessageBytes int `koanf:"max_message_bytes"`

	// PollInterval is the longest wait between two looks at an idle topic, 1s
	// by default. What is published is noticed at once, what becomes due by
	// time (a retry, a dead consumer's message) within it.
	PollInterval time.Duration `koanf:"poll_interval"`

	// Lease is how long a consumer that died keeps its messages from the
	// others; 15s by default.
	Lease time.Duration `koanf:"lease"`

	// RetryDelay is the wait after a message's first nack, 1s by default;
	// each further one doubles it, up to RetryDelayMax, 1m by default.
	RetryDelay    time.Duration `koanf:"retry_delay"`
	RetryDelayMax time.Duration `koanf:"retry_delay_max"`

	// MaxDeliveries is how often a message is handed out before it becomes a
	// dead letter, 100 by default; 0 never gives it up.
	MaxDeliveries int `koanf:"max_deliveries"`

	// Timeout bounds a call to the server, publishing a batch included; 10s by
	// default.
	Timeout time.Duration `koanf:"timeout"`

	// CloseTimeout is how long a closing consumer waits for what is in hand,
	// 10s by default.
	CloseTimeout time.Duration `koanf:"close_timeout"`
}

// DecodeOptions reads the section broker.options. Its error names every
// problem, and what is allowed.
func DecodeOptions(raw map[string]any) (Options, error) {
	opts := Options{
		Schema:          "lectern_broker",
		Concurrency:     4,
		MaxMessageBytes: 1 << 20,
		PollInterval:    time.Second,
		Lease:           15 * time.Second,
		RetryDelay:      time.Second,
		RetryDelayMax:   time.Minute,
		MaxDeliveries:   100,
		Timeout:         10 * time.Second,
		CloseTimeout:    10 * time.Second,
	}
	if err := configs.DecodeOptions(raw, &opts); err != nil {
		return Options{}, fmt.Errorf("read options of the postgres broker: %w", err)
	}
	if err := opts.validate(); err != nil {
		return Options{}, fmt.Errorf("read options of the postgres broker: %w", err)
	}
	return opts, nil
}

func (o Options) validate() error {
	var errs []error
	check := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New(problem))
		}
	}
	// pgx's error would repeat the password.
	_, err := pgxpool.ParseConfig(o.DSN)
	check(o.DSN != "" && err == nil, "dsn must be an address like postgres://user:password@host:5432/database")
	check(isName(o.Schema) && len(o.Schema) <= 63, "schema must have 1 to 63 bytes, and no zero byte")
	check(o.Concurrency >= 1, "concurrency must be 1 or more")
	check(o.MaxMessageBytes >= 1 && o.MaxMessageBytes <= maxPayload, "max_message_bytes must be 1 to 67108864 (64 MiB)")
	for name, d := range map[string]time.Duration{
		"poll_interval": o.PollInterval, "retry_delay": o.RetryDelay, "timeout": o.Timeout, "close_timeout": o.CloseTimeout,
	} {
		check(d >= time.Millisecond, name+" must be 1ms or more")
	}
	check(o.Lease >= 100*time.Millisecond, "lease must be 100ms or more")
	check(o.RetryDelayMax >= o.RetryDelay, "retry_delay_max must be retry_delay or more")
	check(o.MaxDeliveries >= 0, "max_deliveries must be 0 (never give up) or more")
	return errors.Join(errs...)
}

// maxPayload keeps a batch of a few well below Postgres' limit of 1 GiB a value.
const maxPayload = 64 << 20

// retryDelay is the wait after the nth attempt.
func (o Options) retryDelay(attempts int) time.Duration {
	delay := o.RetryDelay
	for ; attempts > 1 && delay < o.RetryDelayMax; attempts-- {
		delay *= 2
	}
	return min(delay, o.RetryDelayMax)
}
