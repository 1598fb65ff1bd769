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
		Name  string        `koanf:"name"`
		Count int           `koanf:"count"`
		Wait  time.Duration `koanf:"wait"`
	}
	defaults := options{Name: "default", Count: 3, Wait: time.Second}
	for name, tc := range map[string]struct {
		section map[string]any
		want    options
		says    []string
	}{
		"nothing":         {section: nil, want: defaults},
		"everything":      {section: map[string]any{"name": "n", "count": 7, "wait": "2s"}, want: options{"n", 7, 2 * time.Second}},
		"the environment": {section: map[string]any{"count": "7"}, want: options{"default", 7, time.Second}},
		"unknown keys":    {section: map[string]any{"nam": "n", "Count": 1}, says: []string{"unknown: Count, nam; allowed: name, count, wait"}},
		"several problems": {
			section: map[string]any{"count": 1.5, "wait": 5, "x": 1},
			says:    []string{"count: must be a whole number, not 1.5", "wait: must be a time with its unit", "unknown: x"},
		},
		"not text": {section: map[string]any{"name": 5}, says: []string{"name: must be text, not 5"}},
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
