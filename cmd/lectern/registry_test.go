package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"lectern/configs"
	"lectern/ports"
)

func TestEveryBrokerHasAConfigOfItsKindAndIsWired(t *testing.T) {
	t.Parallel()
	require.NotEmpty(t, brokerKinds())
	for _, kind := range brokerKinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, configs.Names(), kind)
			config, err := configs.Load(configs.Request{Source: kind, BrokerKinds: brokerKinds(), CacheKinds: cacheKinds(), DocumentKinds: documentKinds(), GeneratorKinds: generatorKinds(), Use: configs.ForMigration, Environ: []string{
				"LECTERN_POSTGRES__EMBEDDED=true",
			}})
			require.NoError(t, err)
			require.Equal(t, kind, config.Broker.Kind)

			db := &database{addresses: addresses{broker: "postgres://lectern_broker@127.0.0.1:1/lectern"}}
			parts, err := wire(config, slog.New(slog.DiscardHandler), db, listen(t), newParts(func(error) {}))

			require.NoError(t, err)
			require.NoError(t, fx.ValidateApp(parts))
		})
	}
}

func TestABrokersOptionsAreItsOwnToRefuse(t *testing.T) {
	t.Parallel()
	for _, kind := range brokerKinds() {
		require.NotNil(t, brokers()[kind].decode, "%s can't be printed or compared", kind)
		_, err := brokerModule(configs.Broker{Kind: kind, Options: map[string]any{"colour": "red"}}, addresses{broker: "postgres://x@127.0.0.1:1/x"})
		require.ErrorContains(t, err, "colour", kind)
		require.ErrorContains(t, err, "max_message_bytes", "%s must say what is allowed", kind)
	}
}

func TestEveryCacheIsWired(t *testing.T) {
	t.Parallel()
	required := map[string][]string{"redis": {"LECTERN_CACHE__OPTIONS__URL=redis://127.0.0.1:1"}}
	require.Equal(t, "memory", configs.Default().Cache.Kind)
	require.Contains(t, cacheKinds(), "memory")
	for _, kind := range cacheKinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			load := func(environ ...string) (configs.Config, error) {
				return configs.Load(configs.Request{
					BrokerKinds: brokerKinds(), CacheKinds: cacheKinds(), DecodeCache: decodeCache, DocumentKinds: documentKinds(), GeneratorKinds: generatorKinds(),
					Environ: append(environ, "LECTERN_CACHE__KIND="+kind),
				})
			}
			config, err := load(required[kind]...)
			require.NoError(t, err)
			require.Equal(t, kind, config.Cache.Kind)
			db := &database{addresses: addresses{broker: "postgres://lectern_broker@127.0.0.1:1/lectern"}}
			parts, err := wire(config, slog.New(slog.DiscardHandler), db, listen(t), newParts(func(error) {}))
			require.NoError(t, err)
			require.NoError(t, fx.ValidateApp(parts))

			var cache ports.Cache
			logged := &bytes.Buffer{}
			module, err := caches()[kind].module(config.Cache.Options)
			require.NoError(t, err)
			running := fxtest.New(t, module, fx.Supply(slog.New(slog.NewTextHandler(logged, nil))), fx.Populate(&cache))
			running.RequireStart().RequireStop()
			_, hit := cache.Get(t.Context(), uuid.New(), "key-number-1")
			require.False(t, hit)
			require.Empty(t, logged, "it was not closed, and looked for its server")

			_, err = load(append(required[kind], "LECTERN_CACHE__OPTIONS__COLOUR=red", "LECTERN_LISTEN=nowhere")...)
			require.ErrorContains(t, err, "cache.options: ")
			require.ErrorContains(t, err, "unknown: colour; allowed: ")
			require.ErrorContains(t, err, "LECTERN_LISTEN", "the other problems must be named too")
		})
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.WithoutCancel(t.Context()), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}
