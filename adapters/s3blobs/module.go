package s3blobs

import (
	"go.uber.org/fx"

	"lectern/ports"
)

// Module provides the store as ports.Blobs and closes it on stop. raw is the
// section documents.options.
func Module(raw map[string]any) (fx.Option, error) {
	opts, err := DecodeOptions(raw)
	if err != nil {
		return nil, err
	}
	return fx.Module("s3blobs", fx.Provide(func(lc fx.Lifecycle) (ports.Blobs, error) {
		store, err := New(opts)
		if err != nil {
			return nil, err
		}
		lc.Append(fx.StopHook(store.Close))
		return store, nil
	})), nil
}
