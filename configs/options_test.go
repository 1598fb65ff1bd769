package configs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/configs"
)

func TestOptionsAreDecodedStrictly(t *testing.T) {
	t.Parallel()
	type options struct {
		Name  string            `koanf:"name"`
		Count int               `koanf:"count"`
		Wait  time.Duration     `koanf:"wait"`
		Hosts []string          `koanf:"hosts"`
		TLS   configs.TLS       `koanf:"tls"`
		Login configs.Login     `koanf:"login"`
		Small int16             `koanf:"small"`
		Price float64           `koanf:"price"`
		Names map[string]string `koanf:"names"`
	}
	defaults := options{Name: "default", Count: 3, Wait: time.Second}
	with := func(change func(*options)) options {
		changed := defaults
		change(&changed)
		return changed
	}
	for name, tc := range map[string]struct {
		section map[string]any
		want    options
		says    []string
	}{
		"nothing":          {section: nil, want: defaults},
		"everything":       {section: map[string]any{"name": "n", "count": 7, "wait": "2s"}, want: options{Name: "n", Count: 7, Wait: 2 * time.Second}},
		"the environment":  {section: map[string]any{"count": "7"}, want: with(func(o *options) { o.Count = 7 })},
		"a small number":   {section: map[string]any{"small": "-3"}, want: with(func(o *options) { o.Small = -3 })},
		"too large":        {section: map[string]any{"small": 1 << 15}, says: []string{"small: must be a whole number of 16 bits, not 32768"}},
		"a fraction":       {section: map[string]any{"price": "0.25"}, want: with(func(o *options) { o.Price = 0.25 })},
		"a whole fraction": {section: map[string]any{"price": 3}, want: with(func(o *options) { o.Price = 3 })},
		"no number":        {section: map[string]any{"price": "NaN"}, says: []string{"price: must be a number such as 2.5, not NaN"}},
		"a list":           {section: map[string]any{"hosts": []any{"a:1", "b:2"}}, want: with(func(o *options) { o.Hosts = []string{"a:1", "b:2"} })},
		"a list as text":   {section: map[string]any{"hosts": "a:1, b:2"}, want: with(func(o *options) { o.Hosts = []string{"a:1", "b:2"} })},
		"a section":        {section: map[string]any{"tls": map[string]any{"enabled": "true"}}, want: with(func(o *options) { o.TLS.Enabled = true })},
		"unknown keys":     {section: map[string]any{"nam": "n", "Count": 1}, says: []string{"unknown: Count, nam; allowed: name, count, wait, hosts, tls, login, small, price, names"}},
		"an unknown key in a section": {
			section: map[string]any{"tls": map[string]any{"colour": 1, "enabled": 7}},
			says:    []string{"unknown: tls.colour; allowed: enabled, ca_file", "tls.enabled: must be true or false, not 7"},
		},
		"a value for a section": {section: map[string]any{"tls": true}, says: []string{"tls: must be a section with any of enabled, ca_file"}},
		"a secret for a section": {
			section: map[string]any{"login": "s3cret"},
			says:    []string{"login: must be a section with any of user, user_file, password, password_file, not a single value"},
		},
		"a value for names": {section: map[string]any{"names": "x"}, says: []string{"names: must be a section, not a single value"}},
		"several problems": {
			section: map[string]any{"count": 1.5, "wait": 5, "x": 1},
			says:    []string{"count: must be a whole number, not 1.5", "wait: must be a time with its unit", "unknown: x"},
		},
		"not text": {section: map[string]any{"name": 5}, says: []string{"name: must be text, not 5"}},
		"a secret that is not text": {
			section: map[string]any{"login": map[string]any{"password": 80085}},
			says:    []string{"login.password: must be text: put it in quotes"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := defaults
			err := configs.DecodeOptions(tc.section, &got)
			for _, part := range tc.says {
				require.ErrorContains(t, err, part)
			}
			if tc.says == nil {
				require.NoError(t, err)
				require.Equal(t, tc.want, got)
			}
		})
	}
}
