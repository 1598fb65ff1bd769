package fileblobs

import (
	"errors"
	"fmt"

	"go.uber.org/fx"

	"lectern/configs"
	"lectern/ports"
)

// Options configures a Store.
type Options struct {
	// Dir is the folder. Required of Module; the program fills in one of its own.
	Dir string `koanf:"dir"`
}

// DecodeOptions reads the section documents.options. Its error names every
// problem, and what is allowed.
func DecodeOptions(raw map[string]any) (Options, error) {
	var opts Options
	if err := configs.DecodeOptions(raw, &opts); err != nil {
		return Options{}, fmt.Errorf("read options of the documents' store folder: %w", err)
	}
	return opts, nil
}

// Module provides the store as ports.Blobs and closes it on stop. raw is the
// section documents.options.
func Module(raw map[string]any) (fx.Option, error) {
	opts, err := DecodeOptions(raw)
	if err == nil && opts.Dir == "" {
		err = errors.New("read options of the documents' store folder: dir must be given")
	}
	if err != nil {
		return nil, err
	}
	return fx.Module("fileblobs", fx.Provide(func(lc fx.Lifecycle) (ports.Blobs, error) {
		store, err := New(opts.Dir)
		if err != nil {
			return nil, err
		}
		lc.Append(fx.StopHook(store.Close))
		return store, nil
	})), nil
}
