package main

import (
	"context"
	"maps"
	"path/filepath"

	"go.uber.org/fx"

	"lectern/configs"
	"lectern/ports"
)

// documentsModule makes the module of what keeps documents. A folder that nobody
// named is in data_dir.
func documentsModule(c configs.Config) (fx.Option, error) {
	options := maps.Clone(c.Documents.Options)
	if c.Documents.Kind == configs.DocumentsFolder && isEmpty(options["dir"]) {
		dir, err := dataDir(c)
		if err != nil {
			return nil, err
		}
		options = map[string]any{"dir": filepath.Join(dir, "documents")}
	}
	return documentStores()[c.Documents.Kind].module(options)
}

// prepareDocuments has a store that a server stands behind see whether it can be
// used before anybody uploads.
func prepareDocuments(lc fx.Lifecycle, blobs ports.Blobs) {
	if store, ok := blobs.(interface{ Prepare(context.Context) error }); ok {
		lc.Append(fx.StartHook(store.Prepare))
	}
}
