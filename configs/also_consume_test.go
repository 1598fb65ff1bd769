package configs_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/configs"
)

func TestBrokersThatAreReplacedComeFromFileAndEnvironment(t *testing.T) {
	t.Parallel()
	got, err := configs.Load(request(write(t, identity+`
broker:
  kind: memory
  also_consume:
    - {kind: postgres, options: {schema: a, deep: {b: [x]}}}
    - kind: postgres
`), "LECTERN_BROKER__ALSO_CONSUME__0__OPTIONS__DSN=postgres://x", "LECTERN_BROKER__ALSO_CONSUME__1__OPTIONS__DEEP__B=y",
		"LECTERN_BROKER__ALSO_CONSUME__2__KIND=memory"))
	require.NoError(t, err)
	require.Equal(t, []configs.OldBroker{
		{Kind: "postgres", Options: map[string]any{"schema": "a", "deep": map[string]any{"b": []any{"x"}}, "dsn": "postgres://x"}},
		{Kind: "postgres", Options: map[string]any{"deep": map[string]any{"b": "y"}}},
		{Kind: "memory"},
	}, got.Broker.AlsoConsume)
	require.Equal(t, configs.Broker{Kind: "memory"}, got.Broker.AlsoConsume[2].Broker())

	for _, none := range []string{"also_consume: []", "also_consume: "} {
		got, err = configs.Load(request(write(t, identity+"broker: {"+none+"}\n")))
		require.NoError(t, err)
		require.Empty(t, got.Broker.AlsoConsume)
	}
}

// decodeNoRed reads options as an adapter would.
func decodeNoRed(_ configs.Config, b configs.Broker) (any, error) {
	if b.Options["colour"] == "red" {
		return nil, errors.New("not red")
	}
	var options struct {
		Colour string `koanf:"colour"`
	}
	return options, configs.DecodeOptions(b.Options, &options)
}

func TestABrokerIsReplacedOnceAndByAnother(t *testing.T) {
	t.Parallel()
	const fix = "remove it, or change its options to those of the broker that is being replaced"
	for name, tc := range map[string]struct {
		broker string
		want   string
	}{
		"the broker itself": {"{kind: memory, also_consume: [{kind: memory}]}", "broker.also_consume.0: is the same as broker: " + fix},
		"the same options in other words": {
			"{kind: memory, options: {}, also_consume: [{kind: memory, options: {colour: ''}}]}",
			"broker.also_consume.0: is the same as broker: " + fix,
		},
		"another twice": {
			"{kind: memory, also_consume: [{kind: postgres}, {kind: postgres}]}",
			"broker.also_consume.1: is the same as broker.also_consume.0: " + fix,
		},
		"a kind with other options twice": {"{kind: memory, also_consume: [{kind: memory, options: {colour: blue}}, {kind: postgres}]}", ""},
		"options that it refuses": {
			"{kind: memory, also_consume: [{kind: memory, options: {colour: red}}]}", "broker.also_consume.0.options: not red",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := write(t, "broker: "+tc.broker+identity)
			r := request(file)
			r.DecodeBroker = decodeNoRed
			_, err := configs.Load(r)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, "read config "+file+":\n"+file+":1: "+tc.want)
		})
	}
}
