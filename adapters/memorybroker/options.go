package memorybroker

import (
	"errors"
	"fmt"
	"time"

	"lectern/configs"
)

// Options configures a Broker; DecodeOptions names the defaults.
type Options struct {
	// Concurrency is how many messages of a topic a consumer hands out before
	// one is settled; 1 or more, 4 by default.
	Concurrency int `koanf:"concurrency"`

	// MaxMessageBytes is the largest payload; 1 MiB by default.
	MaxMessageBytes int `koanf:"max_message_bytes"`

	// MaxPending is how many unsettled messages a group may have in a topic;
	// a batch beyond it is unavailable. 100,000 by default.
	MaxPending int `koanf:"max_pending"`

	// RetryDelay is the wait after a message's first nack, 1s by default;
	// each further one doubles it, up to RetryDelayMax, 1m by default.
	RetryDelay    time.Duration `koanf:"retry_delay"`
	RetryDelayMax time.Duration `koanf:"retry_delay_max"`

	// MaxDeliveries is how often a message is handed out before a nack makes it
	// a dead letter, 100 by default; 0 never gives it up.
	MaxDeliveries int `koanf:"max_deliveries"`

	// CloseTimeout is how long a closing consumer waits for what is in hand,
	// 10s by default.
	CloseTimeout time.Duration `koanf:"close_timeout"`
}

// DecodeOptions reads the section broker.options. Its error names every
// problem, and what is allowed.
func DecodeOptions(raw map[string]any) (Options, error) {
	opts := Options{
		Concurrency:     4,
		MaxMessageBytes: 1 << 20,
		MaxPending:      100_000,
		RetryDelay:      time.Second,
		RetryDelayMax:   time.Minute,
		MaxDeliveries:   100,
		CloseTimeout:    10 * time.Second,
	}
	if err := configs.DecodeOptions(raw, &opts); err != nil {
		return Options{}, fmt.Errorf("read options of the memory broker: %w", err)
	}
	if err := opts.validate(); err != nil {
		return Options{}, fmt.Errorf("read options of the memory broker: %w", err)
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
	check(o.Concurrency >= 1, "concurrency must be 1 or more")
	check(o.MaxMessageBytes >= 1, "max_message_bytes must be 1 or more")
	check(o.MaxPending >= 1, "max_pending must be 1 or more")
	check(o.RetryDelay >= time.Millisecond, "retry_delay must be 1ms or more")
	check(o.RetryDelayMax >= o.RetryDelay, "retry_delay_max must be retry_delay or more")
	check(o.MaxDeliveries >= 0, "max_deliveries must be 0 (never give up) or more")
	check(o.CloseTimeout >= time.Millisecond, "close_timeout must be 1ms or more")
	return errors.Join(errs...)
}

// givesUp tells whether the nth nack is the last.
func (o Options) givesUp(nacks int) bool { return o.MaxDeliveries > 0 && nacks >= o.MaxDeliveries }

// retryDelay is the wait after the nth nack.
func (o Options) retryDelay(nacks int) time.Duration {
	delay := o.RetryDelay
	for ; nacks > 1 && delay < o.RetryDelayMax; nacks-- {
		delay *= 2
	}
	return min(delay, o.RetryDelayMax)
}
