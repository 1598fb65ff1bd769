package connectapi

import (
	"context"
	_ "embed" // the page at /
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"lectern/app"
)

//go:embed index.html
var indexPage string

// probes serves what people and monitors ask for over plain HTTP.
type probes struct {
	health  Health
	serving serving
	logger  *slog.Logger
}

func (p probes) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /livez", p.probe(p.health.Live))
	mux.HandleFunc("GET /readyz", p.probe(p.ready))
	mux.HandleFunc("GET /api/health/outbox", p.outbox)
}

// ready is the service's readiness, which ends before the server begins to stop.
func (p probes) ready(ctx context.Context) error {
	if p.serving.ready.Err() != nil {
		return errStopping
	}
	return p.health.Ready(ctx)
}

// probe answers 200 and "ok", or 503 and the reason.
func (p probes) probe(check func(context.Context) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status, body := http.StatusOK, "ok"
		if err := check(r.Context()); err != nil {
			status, body = http.StatusServiceUnavailable, err.Error()
		}
		p.write(w, r, status, "text/plain; charset=utf-8", body+"\n")
	}
}

// outboxReport is the answer of /api/health/outbox.
type outboxReport struct {
	Alive         bool       `json:"alive"`
	LastProcessed *time.Time `json:"lastProcessed"` // null: nothing was ever processed
	QueueDepth    int64      `json:"queueDepth"`    // entries pending in the table
	PollInterval  int64      `json:"pollInterval"`  // milliseconds
}

// outbox answers 200, or 503 when the relay is not alive. When the table can't
// be read, alive is false and the log says why. Where the relay does not run, the
// answer is 404.
func (p probes) outbox(w http.ResponseWriter, r *http.Request) {
	h, err := p.health.Outbox(r.Context())
	if errors.Is(err, app.ErrNoRelay) {
		p.write(w, r, http.StatusNotFound, "text/plain; charset=utf-8", err.Error()+"\n")
		return
	}
	if err != nil {
		p.logger.ErrorContext(r.Context(), "outbox not read for its health", "error", err)
		h.Alive = false
	}
	body, err := json.Marshal(outboxReport{
		Alive: h.Alive, LastProcessed: h.LastProcessed, QueueDepth: h.QueueDepth, PollInterval: h.PollInterval.Milliseconds(),
	})
	if err != nil {
		http.Error(w, fmt.Sprintf("encode health: %v", err), http.StatusInternalServerError)
		return
	}
	status := http.StatusOK
	if !h.Alive {
		status = http.StatusServiceUnavailable
	}
	p.write(w, r, status, "application/json", string(body)+"\n")
}

func (p probes) index(w http.ResponseWriter, r *http.Request) {
	p.write(w, r, http.StatusOK, "text/html; charset=utf-8", indexPage)
}

func (p probes) write(w http.ResponseWriter, r *http.Request, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if _, err := io.WriteString(w, body); err != nil {
		p.logger.DebugContext(r.Context(), "answer not written", "path", r.URL.Path, "error", err)
	}
}
