package openaigen

import (
	"log/slog"

	"go.uber.org/fx"

	"lectern/ports"
)

// Module provides the generator as ports.Generator and closes it on stop. raw
// is the section generator.options.
func Module(raw map[string]any) (fx.Option, error) {
	opts, err := DecodeOptions(raw)
	if err != nil {
		return nil, err
	}
	return fx.Module("openaigen", fx.Provide(func(lc fx.Lifecycle, log *slog.Logger) (ports.Generator, error) {
		g, err := New(opts, log)
		if err != nil {
			return nil, err
		}
		lc.Append(fx.StopHook(g.Close))
		return g, nil
	})), nil
}
