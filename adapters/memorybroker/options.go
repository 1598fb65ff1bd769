package memorybroker

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
)

// Options configures a Broker; DecodeOptions names the defaults.
type Options struct {
	// Concurrency is how many messages of a topic a consumer hands out before
	// one is settled; 1 or more, 4 by default.
	Concurrency int `mapstructure:"concurrency"`

	// MaxMessageBytes is the largest payload; 1 MiB by default.
	MaxMessageBytes int `mapstructure:"max_message_bytes"`

	// MaxPending is how many unsettled messages a group may have in a topic;
	// a batch beyond it is unavailable. 100,000 by default.
	MaxPending int `mapstructure:"max_pending"`

	// RetryDelay is the wait after a message's first nack, 1s by default;
	// each further one doubles it, up to RetryDelayMax, 1m by default.
	RetryDelay    time.Duration `mapstructure:"retry_delay"`
	RetryDelayMax time.Duration `mapstructure:"retry_delay_max"`

	// CloseTimeout is how long a closing consumer waits for what is in hand,
	// 10s by default.
	CloseTimeout time.Duration `mapstructure:"close_timeout"`
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
		CloseTimeout:    10 * time.Second,
	}
	if err := decode(raw, &opts); err != nil {
		return Options{}, fmt.Errorf("read options of the memory broker: %w", err)
	}
	if err := opts.validate(); err != nil {
		return Options{}, fmt.Errorf("read options of the memory broker: %w", err)
	}
	return opts, nil
}

func decode(raw map[string]any, opts *Options) error {
	var meta mapstructure.Metadata
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result:           opts,
		Metadata:         &meta,
		WeaklyTypedInput: true, // a number from the environment is a string
		DecodeHook:       mapstructure.StringToTimeDurationHookFunc(),
	})
	if err != nil {
		return err
	}
	err = decoder.Decode(raw)
	if len(meta.Unused) > 0 {
		allowed := map[string]any{}
		err = errors.Join(err, mapstructure.Decode(Options{}, &allowed), fmt.Errorf("unknown: %s; allowed: %s",
			strings.Join(slices.Sorted(slices.Values(meta.Unused)), ", "), strings.Join(slices.Sorted(maps.Keys(allowed)), ", ")))
	}
	return err
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
	check(o.RetryDelay >= time.Millisecond, "retry_delay must be 1ms or more, with its unit")
	check(o.RetryDelayMax >= o.RetryDelay, "retry_delay_max must be retry_delay or more")
	check(o.CloseTimeout >= time.Millisecond, "close_timeout must be 1ms or more, with its unit")
	return errors.Join(errs...)
}

// retryDelay is the wait after the nth nack.
func (o Options) retryDelay(nacks int) time.Duration {
	delay := o.RetryDelay
	for ; nacks > 1 && delay < o.RetryDelayMax; nacks-- {
		delay *= 2
	}
	return min(delay, o.RetryDelayMax)
}
