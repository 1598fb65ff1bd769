package rediscache

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"lectern/configs"
)

// Options configures a Cache; DecodeOptions names the defaults.
type Options struct {
	// URL is the server's address: redis://user:password@host:6379/0, or
	// rediss:// for TLS. Required.
	URL string `koanf:"url"`

	// Prefix begins every key, so that several installations can share a
	// server; "lectern" by default.
	Prefix string `koanf:"prefix"`

	// Timeout bounds each call, connecting included: 1ms to 1s, 100ms by
	// default.
	Timeout time.Duration `koanf:"timeout"`

	// PoolSize is how many connections there are at most; 1 to 1000, 10 by
	// default.
	PoolSize int `koanf:"pool_size"`
}

// DecodeOptions reads the section cache.options. Its error names every problem,
// and what is allowed.
func DecodeOptions(raw map[string]any) (Options, error) {
	opts := Options{Prefix: "lectern", Timeout: 100 * time.Millisecond, PoolSize: 10}
	err := configs.DecodeOptions(raw, &opts)
	if err == nil {
		err = opts.validate()
	}
	if err != nil {
		return Options{}, fmt.Errorf("read options of the redis cache: %w", err)
	}
	return opts, nil
}

func (o Options) validate() error {
	_, err := o.address()
	errs := []error{err}
	check := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New(problem))
		}
	}
	check(o.Prefix != "" && len(o.Prefix) <= 100, "prefix must have 1 to 100 bytes")
	check(o.Timeout >= time.Millisecond && o.Timeout <= time.Second, "timeout must be 1ms to 1s")
	check(o.PoolSize >= 1 && o.PoolSize <= 1000, "pool_size must be 1 to 1000")
	return errors.Join(errs...)
}

// address reads the URL. What it may hold beside the address has options of its
// own here, and the parser's errors would repeat the password.
func (o Options) address() (*redis.Options, error) {
	parsed, err := redis.ParseURL(o.URL)
	if err != nil || parsed.Network != "tcp" || strings.ContainsAny(o.URL, "?#") {
		return nil, errors.New("url must be an address like redis://user:password@host:6379/0, or rediss:// for TLS, " +
			"with nothing after the database's number; write %25, %3A, %40, %2F, %3F and %23 for % : @ / ? and # in a password")
	}
	return parsed, nil
}

// client returns what go-redis is to do: each call once, in time, and nothing
// in the background. RESP 3 would bring messages that we did not ask for.
func (o Options) client() (*redis.Options, error) {
	c, err := o.address()
	if err != nil {
		return nil, err
	}
	c.Protocol, c.DisableIdentity = 2, true
	c.MaxRetries, c.DialerRetries = -1, 1
	c.DialTimeout, c.ReadTimeout, c.WriteTimeout, c.PoolTimeout = o.Timeout, o.Timeout, o.Timeout, o.Timeout
	c.ContextTimeoutEnabled = true
	c.PoolSize, c.PipelinePoolSize = o.PoolSize, -1
	return c, nil
}
