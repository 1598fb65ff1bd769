package main

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"lectern/configs"
	"lectern/ports"
)

func TestEveryStoreOfDocumentsIsWired(t *testing.T) {
	t.Parallel()
	options := map[string]map[string]any{"s3": {
		"endpoint": "127.0.0.1:1", "bucket": "courses", "login": map[string]any{"user": "u", "password": "p"},
	}}
	require.Contains(t, documentKinds(), configs.Default().Documents.Kind)
	for _, kind := range documentKinds() {
		c := configs.Default()
		c.DataDir = t.TempDir()
		c.Documents.Kind, c.Documents.Options = kind, options[kind]
		db := &database{addresses: addresses{broker: "postgres://lectern_broker@127.0.0.1:1/lectern"}}
		parts, err := wire(c, slog.New(slog.DiscardHandler), db, listen(t), newParts(func(error) {}))
		require.NoError(t, err)
		require.NoError(t, fx.ValidateApp(parts))

		_, err = documentStores()[kind].module(map[string]any{"colour": "red"})
		require.ErrorContains(t, err, "unknown: colour")
	}
}

func TestDocumentsAreInTheDataFolderUnlessAnotherIsNamed(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	for want, options := range map[string]map[string]any{
		filepath.Join(dir, "documents"): {"dir": ""}, filepath.Join(other, "mine"): {"dir": filepath.Join(other, "mine")},
	} {
		c := configs.Default()
		c.DataDir, c.Documents.Options = dir, options
		module, err := documentsModule(c)
		require.NoError(t, err)
		var blobs ports.Blobs
		require.NoError(t, fx.New(module, fx.NopLogger, fx.Populate(&blobs)).Err())
		require.DirExists(t, want)
	}
}

func TestTheDocumentStoresOptionsAreCheckedAndPrintedWithoutTheKey(t *testing.T) {
	t.Parallel()
	environ := []string{
		"LECTERN_DOCUMENTS__KIND=s3", "LECTERN_DOCUMENTS__OPTIONS__ENDPOINT=127.0.0.1:1", "LECTERN_DOCUMENTS__OPTIONS__BUCKET=courses",
		"LECTERN_DOCUMENTS__OPTIONS__LOGIN__USER=u", "LECTERN_DOCUMENTS__OPTIONS__LOGIN__PASSWORD=s3cret",
	}
	got := lectern(t, environ, "config", "check", "--data-dir", t.TempDir())
	require.Equal(t, exitFailure, got.code)
	require.Regexp(t, `(?m)^documents \(s3\) +failed +look at bucket courses on 127.0.0.1:1: .*refused.*: check documents\.options\.endpoint`, got.stderr)
	require.Contains(t, got.stdout, "    addressing_style: auto\n")
	require.NotContains(t, got.stdout+got.stderr, "s3cret")

	got = lectern(t, append(environ, "LECTERN_DOCUMENTS__OPTIONS__TIMEOUT=soon"), "config", "check", "--offline")
	require.Equal(t, exitInput, got.code)
	require.Contains(t, got.stderr, "documents.options: ")
	require.NotContains(t, got.stderr, "s3cret")
}
