package main

import (
	"context"
	"log/slog"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"lectern/configs"
)

func TestEveryBrokerHasAConfigOfItsKindAndIsWired(t *testing.T) {
	t.Parallel()
	require.NotEmpty(t, brokerKinds())
	for _, kind := range brokerKinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, configs.Names(), kind)
			config, err := configs.Load(configs.Request{Source: kind, BrokerKinds: brokerKinds(), Use: configs.ForMigration, Environ: []string{
				"LECTERN_POSTGRES__EMBEDDED=true",
			}})
			require.NoError(t, err)
			require.Equal(t, kind, config.Broker.Kind)

			db := &database{addresses: addresses{broker: "postgres://lectern_broker@127.0.0.1:1/lectern"}}
			parts, err := wire(config, slog.New(slog.DiscardHandler), db, listen(t), func(error) {})

			require.NoError(t, err)
			require.NoError(t, fx.ValidateApp(parts))
		})
	}
}

func TestABrokersOptionsAreItsOwnToRefuse(t *testing.T) {
	t.Parallel()
	for _, kind := range brokerKinds() {
		_, err := brokerModule(configs.Broker{Kind: kind, Options: map[string]any{"colour": "red"}}, addresses{broker: "postgres://x@127.0.0.1:1/x"})
		require.ErrorContains(t, err, "colour", kind)
		require.ErrorContains(t, err, "max_message_bytes", "%s must say what is allowed", kind)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.WithoutCancel(t.Context()), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}
