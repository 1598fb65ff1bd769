package openaigen_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/adapters/openaigen"
)

func TestOptionsAreRead(t *testing.T) {
	t.Parallel()
	opts, err := openaigen.DecodeOptions(map[string]any{"base_url": "http://127.0.0.1:11434/v1", "model": "m", "api_key": apiKey, "price_prompt": "2.5"})
	require.NoError(t, err)
	require.InDelta(t, 2.5, opts.PricePrompt, 0)
	require.Equal(t, int64(1_000_000), opts.MaxTokens)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", opts, opts, opts), apiKey)
}

func TestEveryProblemOfTheOptionsIsNamed(t *testing.T) {
	t.Parallel()
	_, err := openaigen.DecodeOptions(nil)
	require.ErrorContains(t, err, "base_url must be given")
	require.ErrorContains(t, err, "model must be given")
	for says, change := range map[string]map[string]any{
		"unknown: colour; allowed: base_url": {"colour": "red"},
		"address like https://host/v1":       {"base_url": "ftp://host"},
		"neither a login nor a query":        {"base_url": "https://u:s3cret@host/v1"},
		"documents and key would go":         {"base_url": "http://models.example/v1"},
		"where tls.enabled is true":          {"base_url": "http://127.0.0.1/v1", "tls": map[string]any{"enabled": true}},
		"must not be given both":             {"api_key": "a", "api_key_file": "b"},
		"output must be":                     {"output": "yaml"},
		"limit_parameter must be":            {"limit_parameter": "n"},
		"max_answer_tokens must be":          {"max_answer_tokens": 1},
		"max_material must be":               {"max_material": 1},
		"concurrency must be":                {"concurrency": 0},
		"max_tokens must be":                 {"max_tokens": -1},
		"max_cost, price_prompt and":         {"price_prompt": -1},
		"max_cost needs price_prompt":        {"max_cost": 1},
		"max_repairs must be":                {"max_repairs": 11},
		"max_retries must be":                {"max_retries": 21},
		"retry_delay must be":                {"retry_delay": "1m"},
		"retry_delay_max must be":            {"retry_delay_max": "2h"},
		"timeout must be":                    {"timeout": "2h"},
	} {
		raw := map[string]any{"base_url": "https://host/v1", "model": "m"}
		maps.Copy(raw, change)
		_, err := openaigen.DecodeOptions(raw)
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "s3cret")
	}
	_, err = openaigen.DecodeOptions(map[string]any{"base_url": "http://models.example/v1", "model": "m", "plain_http": true})
	require.NoError(t, err)
}
