package memorycache

import (
	"go.uber.org/fx"

	"lectern/ports"
)

// Module provides the cache as ports.Cache. raw is the section cache.options.
func Module(raw map[string]any) (fx.Option, error) {
	opts, err := DecodeOptions(raw)
	if err != nil {
		return nil, err
	}
	return fx.Module("memorycache", fx.Provide(func() ports.Cache { return New(opts) })), nil
}
