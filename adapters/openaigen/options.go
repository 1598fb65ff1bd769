package openaigen

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"lectern/configs"
)

// The forms in which a model can be asked for JSON; see Options.Output.
const (
	outputAuto   = "auto"
	outputSchema = "json_schema"
	outputObject = "json_object"
	outputText   = "text"
)

// The names of the parameter that bounds an answer.
const (
	limitCompletion = "max_completion_tokens"
	limitTokens     = "max_tokens"
)

// Options configures a Generator; DecodeOptions names the defaults.
type Options struct {
	// BaseURL is the endpoint's address up to chat/completions, such as
	// http://127.0.0.1:11434/v1. Required: it is where documents are sent.
	BaseURL string `koanf:"base_url"`

	// PlainHTTP allows an http:// address on another machine, to which
	// documents and key go unencrypted.
	PlainHTTP bool `koanf:"plain_http"`

	// TLS is for an endpoint whose certificate the system doesn't know, or that
	// asks for one of ours.
	TLS configs.TLS `koanf:"tls"`

	// APIKey, or the file that holds it, which is read for each call; neither
	// for an endpoint that wants none.
	APIKey     configs.Secret `koanf:"api_key"`
	APIKeyFile string         `koanf:"api_key_file"`

	// Model is the name the endpoint knows the model by. Required.
	Model string `koanf:"model"`

	// Output is how JSON is asked for: json_schema (strict), json_object or text
	// (both with the schema in the prompt), or auto, the default: the first of
	// these that the endpoint does not refuse.
	Output string `koanf:"output"`

	// LimitParameter is what the endpoint calls the bound of an answer:
	// max_completion_tokens, the default, or max_tokens.
	LimitParameter string `koanf:"limit_parameter"`

	// MaxAnswerTokens bounds an answer; 256 to 1,000,000, 8192 by default.
	MaxAnswerTokens int64 `koanf:"max_answer_tokens"`

	// MaxMaterial bounds what of the documents goes into one prompt, in
	// characters; 2,000 to 2,000,000, 60,000 by default.
	MaxMaterial int `koanf:"max_material"`

	// Concurrency is how many calls one course makes at once; 1 to 64, 4 by default.
	Concurrency int `koanf:"concurrency"`

	// MaxTokens is the budget of a run of a course, prompts and answers
	// together; 0 sets none, 1,000,000 by default.
	MaxTokens int64 `koanf:"max_tokens"`

	// MaxCost is the same in money, by the prices; 0, the default, sets none.
	MaxCost float64 `koanf:"max_cost"`

	// PricePrompt and PriceCompletion are what a million tokens cost, in a
	// currency of your choice; 0 by default.
	PricePrompt     float64 `koanf:"price_prompt"`
	PriceCompletion float64 `koanf:"price_completion"`

	// MaxRepairs is how often an answer is sent back with what is wrong with it;
	// 0 to 10, 2 by default.
	MaxRepairs int `koanf:"max_repairs"`

	// MaxRetries is how often a call is repeated that brought no answer; 0 to 20, 3
	// by default. Between them it waits as long as the endpoint says, or else
	// RetryDelay (1s), twice as long each time, up to RetryDelayMax (30s). When
	// the endpoint says more than RetryDelayMax, the job is put off instead.
	MaxRetries    int           `koanf:"max_retries"`
	RetryDelay    time.Duration `koanf:"retry_delay"`
	RetryDelayMax time.Duration `koanf:"retry_delay_max"`

	// Timeout is for one call, its whole answer included; 100ms to 1h, 2m by
	// default.
	Timeout time.Duration `koanf:"timeout"`
}

// DecodeOptions reads the section generator.options. Its error names every
// problem, and what is allowed.
func DecodeOptions(raw map[string]any) (Options, error) {
	opts := Options{
		Output: outputAuto, LimitParameter: limitCompletion, MaxAnswerTokens: 8192, MaxMaterial: 60_000, Concurrency: 4,
		MaxTokens: 1_000_000, MaxRepairs: 2, MaxRetries: 3, RetryDelay: time.Second, RetryDelayMax: 30 * time.Second,
		Timeout: 2 * time.Minute,
	}
	err := configs.DecodeOptions(raw, &opts)
	if err == nil {
		err = opts.validate()
	}
	if err != nil {
		return Options{}, fmt.Errorf("read options of the generator openai: %w", err)
	}
	return opts, nil
}

func (o Options) validate() error {
	errs := []error{o.validateURL(), o.TLS.Validate(), o.validateBudget(), o.validateRetries()}
	check := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New(problem))
		}
	}
	check(o.Model != "", "model must be given: the name the endpoint knows it by")
	check(o.APIKey == "" || o.APIKeyFile == "", "api_key and api_key_file must not be given both")
	check(slices.Contains([]string{outputAuto, outputSchema, outputObject, outputText}, o.Output),
		"output must be auto, json_schema, json_object or text")
	check(o.LimitParameter == limitCompletion || o.LimitParameter == limitTokens,
		"limit_parameter must be max_completion_tokens or max_tokens")
	return errors.Join(append(errs,
		between("max_answer_tokens", o.MaxAnswerTokens, 256, 1_000_000), between("max_material", int64(o.MaxMaterial), 2000, 2_000_000),
		between("concurrency", int64(o.Concurrency), 1, 64), between("max_repairs", int64(o.MaxRepairs), 0, 10))...)
}

func between(key string, n, low, high int64) error {
	if n < low || n > high {
		return fmt.Errorf("%s must be %d to %d", key, low, high)
	}
	return nil
}

func (o Options) validateBudget() error {
	switch {
	case o.MaxTokens < 0:
		return errors.New("max_tokens must be 0 or more")
	case min(o.MaxCost, o.PricePrompt, o.PriceCompletion) < 0:
		return errors.New("max_cost, price_prompt and price_completion must be 0 or more")
	case o.MaxCost > 0 && o.PricePrompt+o.PriceCompletion == 0:
		return errors.New("max_cost needs price_prompt and price_completion, of a million tokens")
	}
	return nil
}

func (o Options) validateRetries() error {
	errs := []error{between("max_retries", int64(o.MaxRetries), 0, 20)}
	if o.RetryDelay < time.Millisecond || o.RetryDelay > o.RetryDelayMax {
		errs = append(errs, errors.New("retry_delay must be 1ms to retry_delay_max"))
	}
	if o.RetryDelayMax > time.Hour {
		errs = append(errs, errors.New("retry_delay_max must be 1h or less"))
	}
	if o.Timeout < 100*time.Millisecond || o.Timeout > time.Hour {
		errs = append(errs, errors.New("timeout must be 100ms to 1h"))
	}
	return errors.Join(errs...)
}

// validateURL does not repeat the address: there may be a password in it.
func (o Options) validateURL() error {
	u, err := url.Parse(o.BaseURL)
	switch {
	case o.BaseURL == "":
		return errors.New("base_url must be given, such as http://127.0.0.1:11434/v1: it is where your documents are sent")
	case err != nil || u.Host == "" || !slices.Contains([]string{"http", "https"}, u.Scheme):
		return errors.New("base_url must be an address like https://host/v1")
	case u.User != nil || strings.ContainsAny(o.BaseURL, "?#"):
		return errors.New("base_url must have neither a login nor a query: the key goes into api_key or api_key_file")
	case u.Scheme == "http" && o.TLS.Enabled:
		return errors.New("base_url must begin with https:// where tls.enabled is true")
	case u.Scheme == "http" && !isLoopback(u.Hostname()) && !o.PlainHTTP:
		return errors.New("base_url must begin with https://, or plain_http be true: documents and key would go over the network unencrypted")
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
