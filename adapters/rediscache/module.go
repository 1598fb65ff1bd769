package rediscache

import (
	"log/slog"
	"time"

	"go.uber.org/fx"

	"lectern/ports"
)

// Module provides the cache as ports.Cache and closes it on stop. raw is the
// section cache.options.
func Module(raw map[string]any) (fx.Option, error) {
	opts, err := DecodeOptions(raw)
	if err != nil {
		return nil, err
	}
	return fx.Module("rediscache", fx.Provide(func(lc fx.Lifecycle, log *slog.Logger) (ports.Cache, error) {
		c, err := New(opts, time.Now, log)
		if err != nil {
			return nil, err
		}
		lc.Append(fx.StopHook(c.Close))
		return c, nil
	})), nil
}
