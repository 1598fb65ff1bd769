package openaigen_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/adapters/openaigen/fakeopenai"
	"lectern/domain"
	"lectern/ports"
)

// summarize is the least that calls the model.
func (s *site) summarize(ctx context.Context) (domain.Usage, error) {
	var used domain.Usage
	_, err := s.Summarize(ctx, bees(), &used)
	return used, err
}

// hangUp resets the connection in the middle of a response.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"choices": [`))
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// drip sends a byte now and then, for as long as somebody listens.
func drip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		_, _ = w.Write([]byte(" "))
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
	}
}

func TestWhatPassesIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]http.HandlerFunc{
		"too many requests":  status(429, `{"error": {"code": "rate_limit_exceeded"}}`),
		"asked to wait":      status(503, ``, "Retry-After", "0.001"),
		"a server's error":   status(500, `<html>oops`),
		"a bad gateway":      status(502, ``),
		"malformed JSON":     status(200, `{"choices": [{`),
		"not JSON":           func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"no answer":          status(200, `{"choices": []}`),
		"a connection reset": hangUp,
		"a tool's call":      func(w http.ResponseWriter, _ *http.Request) { fakeopenai.Reply(w, "", "tool_calls") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.server.Fault(repeated(3, fault)...)
			used, err := s.summarize(t.Context())
			require.NoError(t, err)
			require.Equal(t, 4, used.Calls)
			require.Equal(t, 3, used.FailedCalls)

			s.server.Fault(repeated(4, fault)...)
			_, err = s.summarize(t.Context())
			require.False(t, failed(t, err, ports.GeneratorUnavailable).Final())
		})
	}
}

func TestASlowAnswerIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"timeout": "150ms", "max_retries": 0})
	s.server.Fault(drip)
	used, err := s.summarize(t.Context())
	_ = failed(t, err, ports.GeneratorUnavailable)
	require.ErrorContains(t, err, "generator.options.timeout (150ms)")
	require.Equal(t, 1, used.EstimatedCalls, "it may be paid for")
	require.Positive(t, used.PromptTokens)
}

func TestAnEndpointThatIsNotThereCostsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.server.Close()
	used, err := s.summarize(t.Context())
	_ = failed(t, err, ports.GeneratorUnavailable)
	require.Equal(t, domain.Usage{Calls: 4, FailedCalls: 4}, used)
}

func TestAJobThatIsStoppedStopsItsCall(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	s.server.Fault(func(_ http.ResponseWriter, r *http.Request) {
		stop()
		<-r.Context().Done()
	})
	_, err := s.summarize(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

// A wait that is longer than a worker should stand still is the job's to wait.
func TestALongRetryAfterPutsTheJobOff(t *testing.T) {
	t.Parallel()
	for asked, waits := range map[string]time.Duration{
		"120": 2 * time.Minute, "1e300": 24 * time.Hour, time.Now().Add(time.Hour).UTC().Format(http.TimeFormat): time.Hour,
	} {
		s := newSite(t, nil)
		s.server.Fault(status(429, ``, "Retry-After", asked))
		used, err := s.summarize(t.Context())
		require.InDelta(t, waits.Seconds(), failed(t, err, ports.GeneratorUnavailable).After.Seconds(), 20)
		require.Equal(t, 1, used.Calls)
	}
}

func TestWhatWillNotPassIsFinalAndNamed(t *testing.T) {
	t.Parallel()
	refusal := func(w http.ResponseWriter, _ *http.Request) {
		fakeopenai.ReplyWith(w, map[string]any{"role": "assistant", "content": nil, "refusal": "No."}, "stop")
	}
	filtered := func(w http.ResponseWriter, _ *http.Request) { fakeopenai.Reply(w, "", "content_filter") }
	for name, tc := range map[string]struct {
		fault http.HandlerFunc
		kind  ports.GeneratorFailure
		says  string
	}{
		"a wrong key": {
			status(401, `{"error": {"code": "invalid_api_key", "message": "Incorrect API key: `+apiKey+`"}}`), ports.GeneratorRejected,
			"status 401 (invalid_api_key): check generator.options.api_key",
		},
		"no such model":   {status(404, `{"error": {"code": "model_not_found"}}`), ports.GeneratorRejected, "base_url and model"},
		"no credit":       {status(429, `{"error": {"type": "insufficient_quota"}}`), ports.GeneratorRejected, "no credit left"},
		"a redirect":      {status(307, ``, "Location", "http://127.0.0.1:1/"), ports.GeneratorRejected, "redirects elsewhere"},
		"a refusal":       {refusal, ports.GeneratorRefused, "the model refuses"},
		"a filter":        {filtered, ports.GeneratorRefused, "content filter"},
		"a filter before": {status(400, `{"error": {"code": "content_filter"}}`), ports.GeneratorRefused, "content filter"},
		"a long prompt":   {status(400, `{"error": {"code": "context_length_exceeded"}}`), ports.GeneratorRejected, "max_material"},
		"another server's words": {
			status(400, `{"object": "error", "message": "This model's maximum context length is 512 tokens"}`), ports.GeneratorRejected, "max_material",
		},
		"our request repeated": {
			status(422, `{"error": {"message": "bad input: Bees live in hives. `+apiKey+`"}}`), ports.GeneratorRejected, "does not take the request",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.server.Fault(tc.fault)
			used, err := s.summarize(t.Context())
			require.True(t, failed(t, err, tc.kind).Final())
			require.ErrorContains(t, err, tc.says)
			require.NotContains(t, err.Error(), "Bees live")
			require.Equal(t, 1, used.Calls)
			require.NotContains(t, s.log.String(), apiKey)
		})
	}
}

func TestAnAnswerIsSentBackUntilItIsRight(t *testing.T) {
	t.Parallel()
	cut := func(w http.ResponseWriter, _ *http.Request) { fakeopenai.Reply(w, `{"text": "Bees`, "length") }
	for name, tc := range map[string]struct {
		fault http.HandlerFunc
		says  string
	}{
		"no JSON":        {says("I'd love to!"), "no whole JSON object"},
		"another form":   {says(`{"text": 7, "key_phrases": ["x"]}`), "text: must be of the type"},
		"nothing in it":  {says(`{}`), "key_phrases: must have 1 to 20 items, has 0"},
		"too much of it": {says(`{"text": "` + strings.Repeat("x", 4001) + `", "key_phrases": ["x"]}`), "has 4001"},
		"cut off":        {cut, "was cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.server.Fault(repeated(2, tc.fault)...)
			used, err := s.summarize(t.Context())
			require.NoError(t, err)
			require.Equal(t, 2, used.Repairs)
			last := s.server.Requests()[2].Messages
			require.Len(t, last, 4, "only the last answer is sent back")
			require.Equal(t, "assistant", last[2].Role)
			require.Contains(t, last[3].Content, tc.says)

			s.server.Fault(repeated(3, tc.fault)...)
			used, err = s.summarize(t.Context())
			require.False(t, failed(t, err, ports.GeneratorUnusable).Final())
			require.ErrorContains(t, err, tc.says)
			require.Equal(t, 3, used.Calls)
		})
	}
}

// Around an answer may be what models add that nothing holds to a schema.
func TestAnAnswerIsFoundInWhatStandsAroundIt(t *testing.T) {
	t.Parallel()
	const answer = "{\"text\": \" Bees\\u0000 live. \", \"key_phrases\": [\"hive\"]}"
	for _, said := range []string{
		answer, "```json\n" + answer + "\n```", "<think>{\"text\": 1} or {</think>\nHere {you} are: " + answer + " Bye!", "\ufeff" + answer,
	} {
		s := newSite(t, nil)
		s.server.Fault(says(said))
		summary, err := s.Summarize(t.Context(), bees(), new(domain.Usage))
		require.NoError(t, err)
		require.Equal(t, domain.Summary{Text: "Bees live.", KeyPhrases: []string{"hive"}}, summary)
		require.Len(t, s.server.Requests(), 1)
	}
}

func TestAnEndpointWithoutSchemasIsAskedInAnotherForm(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	refuses := status(400, `{"error": {"message": "'response_format.type' must be text"}}`)
	s.server.Fault(refuses, refuses)
	_, err := s.summarize(t.Context())
	require.NoError(t, err)
	_, err = s.summarize(t.Context())
	require.NoError(t, err)
	requests := s.server.Requests()
	var forms []string
	for _, r := range requests {
		forms = append(forms, r.ResponseFormat.Type)
	}
	require.Equal(t, []string{"json_schema", "json_object", "", ""}, forms, "what it refused it is not asked for again")
	require.NotContains(t, requests[0].Messages[0].Content, "additionalProperties")
	require.Contains(t, requests[2].Messages[0].Content, "additionalProperties", "the schema is in the prompt instead")
	require.Contains(t, s.log.String(), "level=WARN")

	s = newSite(t, map[string]any{"output": "json_schema"})
	s.server.Fault(refuses)
	_, err = s.summarize(t.Context())
	_ = failed(t, err, ports.GeneratorRejected)
	require.ErrorContains(t, err, "set generator.options.output")
}

func TestTheFormAndTheLimitAreAskedForAsConfigured(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"output": "json_object", "limit_parameter": "max_tokens", "max_answer_tokens": 1000})
	_, err := s.summarize(t.Context())
	require.NoError(t, err)
	r := s.server.Requests()[0]
	require.Equal(t, "json_object", r.ResponseFormat.Type)
	require.Equal(t, []int64{1000, 0}, []int64{r.MaxTokens, r.MaxCompletion})
}

func TestNothingIsBegunThatTheBudgetMightNotHold(t *testing.T) {
	t.Parallel()
	for name, budget := range map[string]map[string]any{
		"tokens": {"max_tokens": 3000, "max_answer_tokens": 256},
		"money":  {"max_cost": "0.003", "price_prompt": 1, "price_completion": 1, "max_answer_tokens": 256},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, budget)
			var used domain.Usage
			var err error
			for range 100 {
				if _, err = s.Summarize(t.Context(), bees(), &used); err != nil {
					break
				}
			}
			require.True(t, failed(t, err, ports.GeneratorOverBudget).Final())
			require.ErrorContains(t, err, "restart the course")
			require.Greater(t, used.Calls, 3)
			require.LessOrEqual(t, used.Tokens(), int64(3000))
			require.Len(t, s.server.Requests(), used.Calls, "a call that was refused was made")
		})
	}
}

// Calls at once share the budget: one that might not fit waits for those in hand.
func TestCallsAtOnceStayWithinTheBudget(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"max_tokens": 7000, "max_answer_tokens": 3000, "concurrency": 8})
	var used domain.Usage
	c := course(t, "Keeping bees", "en", "", 0)
	a, err := s.Analyze(t.Context(), c, nil, &used)
	require.NoError(t, err)
	_, err = s.Generate(t.Context(), c, a, nil, &used)
	require.NoError(t, err)
	require.Equal(t, 6, used.Calls)
}

func TestTheKeyInAFileIsReadForEachCall(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte("first\n"), 0o600))
	s := newSite(t, map[string]any{"api_key": "", "api_key_file": file})
	_, err := s.summarize(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte("second\n"), 0o600))
	_, err = s.summarize(t.Context())
	require.NoError(t, err)
	requests := s.server.Requests()
	require.Equal(t, "Bearer first", requests[0].Header.Get("Authorization"))
	require.Equal(t, "Bearer second", requests[1].Header.Get("Authorization"))
	require.NoError(t, os.Remove(file))
	_, err = s.summarize(t.Context())
	_ = failed(t, err, ports.GeneratorRejected)
}
