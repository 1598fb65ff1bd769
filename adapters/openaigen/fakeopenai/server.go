// Package fakeopenai is a server that speaks OpenAI's chat completions over real
// HTTP and stands in for a model in tests: what it answers passes every rule,
// and says nothing. Faults are the test's to add. It is no more of the protocol
// than Lectern uses.
package fakeopenai

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
)

// What a call is told to have used.
const (
	PromptTokens     = 100
	CompletionTokens = 50
	Model            = "fake-model-2026-11-25" // the name it answers to any
)

// Message is a part of a conversation.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Request is what the server was asked.
type Request struct {
	Header         http.Header    `json:"-"`
	Path           string         `json:"-"`
	Model          string         `json:"model"`
	Messages       []Message      `json:"messages"`
	MaxTokens      int64          `json:"max_tokens"`
	MaxCompletion  int64          `json:"max_completion_tokens"`
	ResponseFormat ResponseFormat `json:"response_format"`
}

// ResponseFormat is the form that was asked for.
type ResponseFormat struct {
	Type       string `json:"type"`
	JSONSchema struct {
		Name   string          `json:"name"`
		Strict bool            `json:"strict"`
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
}

// Server is the stand-in.
type Server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []Request
	faults   []http.HandlerFunc
}

// New starts a server; Close stops it.
func New() *Server {
	s := &Server{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", s.complete)
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) { write(w, map[string]any{"object": "list"}) })
	s.Server = httptest.NewServer(mux)
	return s
}

// BaseURL is the server's, for base_url.
func (s *Server) BaseURL() string { return s.URL + "/v1" }

// Fault has the next calls answered by handlers, one each.
func (s *Server) Fault(next ...http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, next...)
}

// Requests returns what was asked so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request) {
	asked := Request{Header: r.Header, Path: r.URL.Path}
	body, err := io.ReadAll(r.Body) // to its end: only then is a client that hangs up noticed
	if err == nil {
		err = json.Unmarshal(body, &asked)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if fault := s.record(asked); fault != nil {
		fault(w, r)
		return
	}
	answer, err := Answer(asked)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	Reply(w, answer, "stop")
}

// record keeps a request, and takes the fault that is next.
func (s *Server) record(asked Request) http.HandlerFunc {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, asked)
	if len(s.faults) == 0 {
		return nil
	}
	next := s.faults[0]
	s.faults = s.faults[1:]
	return next
}

// Reply writes a completion.
func Reply(w http.ResponseWriter, content, finish string) {
	ReplyWith(w, map[string]any{"role": "assistant", "content": content}, finish)
}

// ReplyWith writes a completion with any message.
func ReplyWith(w http.ResponseWriter, message map[string]any, finish string) {
	write(w, map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": Model,
		"choices": []any{map[string]any{"index": 0, "finish_reason": finish, "message": message}},
		"usage": map[string]any{
			"prompt_tokens": PromptTokens, "completion_tokens": CompletionTokens, "total_tokens": PromptTokens + CompletionTokens,
		},
	})
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who hung up does not read it
}

// Material returns what stands in the fence of a request's first user message.
func (r Request) Material() string {
	for _, m := range r.Messages {
		_, rest, found := strings.Cut(m.Content, "\n<material>\n")
		if m.Role == "user" && found {
			material, _, _ := strings.Cut(rest, "\n</material>")
			return material
		}
	}
	return ""
}
