package configs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/configs"
)

func TestAPasswordIsHiddenInItsAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"postgres://lectern:hush@db:5432/x":                        "postgres://lectern:(hidden)@db:5432/x",
		"postgres://lectern@db:5432/x?sslmode=disable":             "postgres://lectern@db:5432/x?sslmode=disable",
		"postgres://u:hu%40sh@a:1,b:2/x?host=c@d":                  "postgres://u:(hidden)@a:1,b:2/x?host=c@d",
		"postgres://db/x?user=u&password=hush&sslpassword=hush#f":  "postgres://db/x?user=u&password=(hidden)&sslpassword=(hidden)#f",
		"redis://:hush@cache:6379/0":                               "redis://:(hidden)@cache:6379/0",
		"postgres://u:hu@sh@db/x":                                  "postgres://u:(hidden)@db/x",
		"postgres://u:hu/sh@db/x":                                  "postgres://u:(hidden)@db/x",
		"postgres://u:hu%sh@db/x?password=hush":                    "postgres://u:(hidden)@db/x?password=(hidden)",
		"postgres://u:hush":                                        "postgres://(hidden)",
		"postgres://u:hush?@":                                      "postgres://u:(hidden)@",
		"host=db user=u password=hush dbname=x":                    "host=db user=u password=(hidden) dbname=x",
		`host=db password = 'hush \' hush' sslpassword=hu\ sh u=v`: `host=db password = (hidden) sslpassword=(hidden) u=v`,
		"PASSWORD='hush":                                           "PASSWORD=(hidden)",
		"kafka:9092":                                               "kafka:9092",
		"":                                                         "",
		"user_password_file: /run/secrets/hash":                    "user_password_file: /run/secrets/hash",
	} {
		require.Equal(t, want, configs.HidePassword(address), address)
		require.NotContains(t, configs.HidePassword(address), "hush")
	}
}

type adapterOptions struct {
	Addresses []string          `koanf:"addresses"`
	Login     configs.Login     `koanf:"login"`
	TLS       configs.TLS       `koanf:"tls"`
	Groups    map[string]string `koanf:"groups"`
	Wait      time.Duration     `koanf:"wait"`
	Count     int               `koanf:"count"`
	DSN       string            `koanf:"dsn"`
}

func decodeAdapter(_ configs.Config, b configs.Broker) (any, error) {
	options := adapterOptions{Wait: 90 * time.Minute}
	return options, configs.DecodeOptions(b.Options, &options)
}

const secretive = identity + `
postgres: {embedded: false, app_dsn: "postgres://app:hush@db/x", worker_dsn: "host=db password=hush", relay_dsn: "postgres://relay@db/x"}
retention: {look_every: 90s, entries_every: 1h30m}
log: {level: warn}
broker:
  kind: memory
  options: {addresses: [a:1, b:2], login: {user: u, password: hush}, groups: {workers: "007", backup: null-ish}, count: 3}
  also_consume:
    - {kind: postgres, options: {dsn: "postgres://u:hush@old/x", wait: 20ms}}
`

var secrets = []string{ //nolint:gochecknoglobals // a constant, that Go can't have
	"LECTERN_POSTGRES__APP_DSN=postgres://app:hush@db/x", "LECTERN_POSTGRES__WORKER_DSN=host=db password=hush",
	"LECTERN_BROKER__OPTIONS__LOGIN__PASSWORD=hush", "LECTERN_BROKER__ALSO_CONSUME__0__OPTIONS__DSN=postgres://u:hush@old/x",
}

// effective returns a config with the options of its brokers decoded.
func effective(t *testing.T, r configs.Request) configs.Config {
	t.Helper()
	r.DecodeBroker = decodeAdapter
	c, err := configs.Load(r)
	require.NoError(t, err)
	options, err := decodeAdapter(c, c.Broker)
	require.NoError(t, err)
	c.Broker.Options = configs.Fields(options)
	for i, old := range c.Broker.AlsoConsume {
		options, err := decodeAdapter(c, old.Broker())
		require.NoError(t, err)
		c.Broker.AlsoConsume[i].Options = configs.Fields(options)
	}
	return c
}

func TestWhatIsPrintedLoadsAgainWithItsSecrets(t *testing.T) {
	t.Parallel()
	want := effective(t, request(write(t, secretive)))
	text, err := want.YAML()
	require.NoError(t, err)
	for _, line := range []string{
		"listen: 127.0.0.1:8080", "  app_dsn: postgres://app:(hidden)@db/x", "  worker_dsn: host=db password=(hidden)",
		"  relay_dsn: postgres://relay@db/x", "    count: 3", "    wait: 1h30m", `      workers: "007"`, "      password: (hidden)",
		"        wait: 20ms", "        dsn: postgres://u:(hidden)@old/x", "  look_every: 1m30s", "  keys_every: 24h", "  level: warn",
		"  embedded: false", "  organization_id: 4f3f9c52-6a0e-4d0b-9c39-6f3a3a3c1d01", "      user: u", "      - a:1",
	} {
		require.Contains(t, string(text), line+"\n")
	}
	require.NotContains(t, string(text), "hush")

	printed := write(t, string(text))
	got := effective(t, request(printed, secrets...))
	again, err := got.YAML()
	require.NoError(t, err)
	require.Equal(t, string(text), string(again))
	require.Equal(t, want.Postgres, got.Postgres)
	require.Equal(t, want.Broker.Options, got.Broker.Options)
	require.Equal(t, want.Broker.AlsoConsume[0].Options["dsn"], got.Broker.AlsoConsume[0].Options["dsn"])

	r := request(printed)
	_, err = configs.Load(r)
	for key, variable := range map[string]string{
		"postgres.app_dsn": "POSTGRES__APP_DSN", "broker.options.login.password": "BROKER__OPTIONS__LOGIN__PASSWORD",
		"broker.also_consume.0.options.dsn": "BROKER__ALSO_CONSUME__0__OPTIONS__DSN",
	} {
		require.ErrorContains(t, err, key+": holds (hidden) where a secret was: give the whole in LECTERN_"+variable)
	}
}

func TestEveryDefaultIsPrinted(t *testing.T) {
	t.Parallel()
	c, err := configs.Load(request(write(t, identity)))
	require.NoError(t, err)
	text, err := c.YAML()
	require.NoError(t, err)
	got, err := configs.Load(request(write(t, string(text))))
	require.NoError(t, err)
	require.Empty(t, got.Broker.Options)
	require.Empty(t, got.Cache.Options)
	require.Empty(t, got.Documents.Options)
	require.Empty(t, got.Generator.Options)
	got.Broker.Options, got.Cache.Options, got.Documents.Options, got.Generator.Options = nil, nil, nil, nil
	require.Equal(t, c, got)
	require.Contains(t, string(text), "  also_consume: []\n")
	require.True(t, strings.HasPrefix(string(text), "listen: 127.0.0.1:8080\nroles:\n  - api\n  - relay\n  - worker\ndata_dir: \"\"\n"), string(text))
}
