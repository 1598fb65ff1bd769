package redisbroker

import (
	"context"
	"log/slog"

	"go.uber.org/fx"

	"lectern/ports"
)

// Module provides the broker as ports.Broker and closes it on stop. raw is the
// section broker.options.
func Module(raw map[string]any) (fx.Option, error) {
	opts, err := DecodeOptions(raw)
	if err != nil {
		return nil, err
	}
	return fx.Module("redisbroker", fx.Provide(func(lc fx.Lifecycle, log *slog.Logger) (ports.Broker, error) {
		b, err := New(context.Background(), opts, log)
		if err != nil {
			return nil, err
		}
		lc.Append(fx.StopHook(b.Close))
		return b, nil
	})), nil
}
