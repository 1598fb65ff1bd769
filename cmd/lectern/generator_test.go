package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"lectern/adapters/openaigen/fakeopenai"
	"lectern/app"
	"lectern/configs"
	"lectern/domain"
)

// openaiSite runs the pipeline with a model's stand-in.
func openaiSite(t *testing.T, options map[string]any) (*site, *fakeopenai.Server) {
	t.Helper()
	server := fakeopenai.New()
	t.Cleanup(server.Close)
	options["base_url"], options["model"], options["retry_delay"] = server.BaseURL(), "fake", "10ms"
	return newSiteWith(t, slog.New(slog.DiscardHandler), func(c *configs.Config) {
		c.Broker = inMemory()
		c.Generator = configs.Generator{Kind: "openai", Options: options}
	}, fx.Invoke(prepareBroker, runBackup, runWorkers, runRelay)), server
}

func (s *site) generate(t *testing.T, documents map[string]string) domain.Course {
	t.Helper()
	c, err := s.uploads.Create(t.Context(), s.owner, app.CreateRequest{Title: "Keeping bees at home"})
	require.NoError(t, err)
	for name, text := range documents {
		_, err := s.uploads.UploadDocument(t.Context(), s.owner, c.ID, name, []byte(text))
		require.NoError(t, err)
	}
	_, err = s.uploads.InitiateGeneration(t.Context(), s.owner, c.ID, uuid.NewString())
	require.NoError(t, err)
	return c
}

// usage waits for a course's end, and returns it with what it used.
func (s *site) usage(t *testing.T, c domain.Course) (domain.Course, domain.Usage) {
	t.Helper()
	require.NoError(t, s.uploads.Watch(t.Context(), s.owner, c.ID, 0, func(domain.Event) error { return nil }))
	c, _, err := s.uploads.Get(t.Context(), s.owner, c.ID)
	require.NoError(t, err)
	return c, domain.UsageOf(c.Metadata)
}

// The whole pipeline, with a call that breaks off and an answer that is sent
// back on the way: what all stages used is in the course.
func TestAModelWritesACourse(t *testing.T) {
	t.Parallel()
	s, server := openaiSite(t, map[string]any{"price_prompt": 1, "price_completion": 2})
	server.Fault(
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		func(w http.ResponseWriter, _ *http.Request) { fakeopenai.Reply(w, "Gladly!", "stop") },
	)
	c, used := s.usage(t, s.generate(t, map[string]string{"bees.md": "# The hive\n\nBees live in hives.\n\n# The queen\n\nA hive holds one queen.\n"}))
	require.Equal(t, domain.StateCompleted, c.State, string(c.Metadata))
	require.NoError(t, c.Structure.Validate())
	require.Equal(t, "bees.md", c.Structure.Sections[0].Lessons[0].Sources[0].Document)
	require.Equal(t, domain.Usage{
		Model: fakeopenai.Model, Calls: 9, FailedCalls: 1, Repairs: 1, PromptTokens: 800, CompletionTokens: 400, Cost: 0.0016,
	}, used)
	var metadata map[string]any
	require.NoError(t, json.Unmarshal(c.Metadata, &metadata))
	require.Equal(t, "openai", metadata["generator"])
	require.InDelta(t, 12, metadata["lessons"], 0)
}

// The budget is of the whole run, whatever the stage and the job.
func TestARunThatWouldGoOverItsBudgetFails(t *testing.T) {
	t.Parallel()
	s, server := openaiSite(t, map[string]any{"max_tokens": 1_000_000})
	dear := func(w http.ResponseWriter, _ *http.Request) { // half of it, for no answer
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"choices": [], "usage": {"prompt_tokens": 497000}}`))
	}
	summary := func(w http.ResponseWriter, _ *http.Request) {
		fakeopenai.Reply(w, `{"text": "Bees live in hives.", "key_phrases": ["hive"]}`, "stop")
	}
	server.Fault(dear, summary, dear)
	c, used := s.usage(t, s.generate(t, map[string]string{"bees.txt": "Bees live in hives."}))
	require.Equal(t, domain.StateFailed, c.State)
	require.Contains(t, string(c.Metadata), "structure-analysis: analyze course: ask the model for a plan: over budget: ")
	require.Contains(t, string(c.Metadata), "restart the course")
	require.Equal(t, int64(994_150), used.Tokens())
	require.Len(t, server.Requests(), 3, "no call was begun that might go over it")
}

func TestEveryGeneratorIsWired(t *testing.T) {
	t.Parallel()
	options := map[string]map[string]any{"openai": {"base_url": "http://127.0.0.1:1/v1", "model": "m"}}
	require.Contains(t, generatorKinds(), configs.Default().Generator.Kind)
	for _, kind := range generatorKinds() {
		c, err := configs.Load(configs.Request{
			BrokerKinds: brokerKinds(), CacheKinds: cacheKinds(), DocumentKinds: documentKinds(), GeneratorKinds: generatorKinds(),
		})
		require.NoError(t, err)
		c.Generator = configs.Generator{Kind: kind, Options: options[kind]}
		db := &database{addresses: addresses{broker: "postgres://lectern_broker@127.0.0.1:1/lectern"}}
		parts, err := wire(c, slog.New(slog.DiscardHandler), db, listen(t), newParts(func(error) {}))
		require.NoError(t, err)
		require.NoError(t, fx.ValidateApp(parts))

		_, err = generators()[kind].module(map[string]any{"colour": "red"})
		require.ErrorContains(t, err, "unknown: colour")
	}
}

func TestTheGeneratorsOptionsAreCheckedAndPrintedWithoutTheKey(t *testing.T) {
	t.Parallel()
	server := fakeopenai.New()
	t.Cleanup(server.Close)
	environ := []string{
		"LECTERN_GENERATOR__KIND=openai", "LECTERN_GENERATOR__OPTIONS__BASE_URL=" + server.BaseURL(), "LECTERN_GENERATOR__OPTIONS__MODEL=m",
		"LECTERN_GENERATOR__OPTIONS__API_KEY=s3cret", "LECTERN_GENERATOR__OPTIONS__PRICE_PROMPT=0.25",
	}
	got := lectern(t, environ, "config", "check", "--data-dir", t.TempDir())
	require.Zero(t, got.code, got.stderr)
	require.Regexp(t, `(?m)^generator \(openai\) +ok +it answers$`, got.stderr)
	require.Contains(t, got.stdout, "    max_tokens: 1000000\n")
	require.Contains(t, got.stdout, "    price_prompt: 0.25\n")
	require.NotContains(t, got.stdout+got.stderr, "s3cret")

	got = lectern(t, append(environ, "LECTERN_GENERATOR__OPTIONS__MAX_COST=some"), "config", "check", "--offline")
	require.Equal(t, exitInput, got.code)
	require.Contains(t, got.stderr, "generator.options: ")
	require.Contains(t, got.stderr, "max_cost: must be a number such as 2.5, not some")
	require.NotContains(t, got.stderr, "s3cret")
}
