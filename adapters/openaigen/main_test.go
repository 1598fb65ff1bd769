package openaigen_test

import (
	"bytes"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"lectern/adapters/openaigen"
	"lectern/adapters/openaigen/fakeopenai"
	"lectern/domain"
	"lectern/ports"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// apiKey must be seen nowhere but in the request.
const apiKey = "sk-s3cret"

// site is a generator and the server that it calls.
type site struct {
	*openaigen.Generator
	server *fakeopenai.Server
	log    *logBuffer
}

// newSite starts a server and a generator that calls it; changes are options
// other than those of a test, which waits for nothing.
func newSite(t *testing.T, changes map[string]any) *site {
	t.Helper()
	s := &site{server: fakeopenai.New(), log: &logBuffer{}}
	t.Cleanup(s.server.Close)
	raw := map[string]any{
		"base_url": s.server.BaseURL(), "model": "fake", "api_key": apiKey, "retry_delay": "1ms", "retry_delay_max": "20ms", "timeout": "30s",
	}
	maps.Copy(raw, changes)
	opts, err := openaigen.DecodeOptions(raw)
	require.NoError(t, err)
	s.Generator, err = openaigen.New(opts, slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func course(t *testing.T, title, language string, style domain.Style, lessons int) domain.Course {
	t.Helper()
	owner := domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()}
	c, err := domain.NewCourse(uuid.New(), owner, title, language, style, domain.Settings{Lessons: lessons})
	require.NoError(t, err)
	return c
}

// bees is a document with two headings.
func bees() domain.Text {
	return domain.Text{Title: "On bees", Blocks: []domain.Block{
		{Kind: domain.BlockHeading, Level: 1, Page: 1, Text: "The hive"},
		{Kind: domain.BlockParagraph, Page: 1, Text: "Bees live in hives."},
		{Kind: domain.BlockHeading, Level: 1, Page: 2, Text: "The queen"},
		{Kind: domain.BlockListItem, Page: 2, Text: "A hive holds one queen."},
	}}
}

func documents() []domain.Document {
	text := bees()
	return []domain.Document{{
		Name: "bees.pdf", Status: domain.DocumentProcessed, Text: &text, Summary: &domain.Summary{Text: "About bees.", KeyPhrases: []string{"hive"}},
	}}
}

// failed returns the failure that an error must be, of this kind.
func failed(t *testing.T, err error, kind ports.GeneratorFailure) *ports.GeneratorError {
	t.Helper()
	var failure *ports.GeneratorError
	require.ErrorAs(t, err, &failure)
	require.Equal(t, kind, failure.Failure, "%v", err)
	require.NotContains(t, err.Error(), apiKey)
	return failure
}

// says answers with any text.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fakeopenai.Reply(w, text, "stop") }
}

// status answers with a status, and a body as it is.
func status(code int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

func repeated(n int, h http.HandlerFunc) []http.HandlerFunc {
	all := make([]http.HandlerFunc, n)
	for i := range all {
		all[i] = h
	}
	return all
}
