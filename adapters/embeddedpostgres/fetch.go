package embeddedpostgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"time"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// headerTimeout bounds how long the repository may take to begin an answer.
const headerTimeout = 30 * time.Second

// fetch downloads the binaries and unpacks them into a folder. The library
// knows where they are and how they are packed; it can neither be cancelled nor
// asked how far it is, so it is sent through a relay of ours on the loopback.
func fetch(ctx context.Context, into string, o Options) error {
	repository, err := repositoryURL(o.repository)
	if err != nil {
		return err
	}
	relay, err := startRelay(ctx, repository, o.Progress)
	if err != nil {
		return err
	}
	err = unpack(relay.address, into, o.Version)
	if stopErr := relay.stop(ctx); stopErr != nil {
		err = errors.Join(err, stopErr)
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("fetch Postgres binaries: %w", ctx.Err())
	case relay.failure() != nil:
		err = relay.failure()
	}
	if err != nil {
		return fmt.Errorf("fetch Postgres binaries (needed once; check the network, or pass --server URL "+
			"or a database of your own): %w", err)
	}
	return nil
}

// unpack has the library do the first half of its start, fetching and
// unpacking, and no more: it then wants to make its runtime folder, which can't
// be, for by then pg_ctl is a file. The second half can't run as root.
func unpack(address, into string, version Version) error {
	archive := filepath.Join(into, "archive")
	barrier := filepath.Join(into, "bin", "pg_ctl", "stop-here")
	err := embedded.NewDatabase(embedded.DefaultConfig().
		Version(embedded.PostgresVersion(version)).
		Port(0).
		BinaryRepositoryURL(address).
		CachePath(archive).
		BinariesPath(into).
		RuntimePath(barrier).
		Logger(io.Discard)).Start()
	if err == nil {
		return errors.New("the library started a server that nobody asked for")
	}
	reached := strings.Contains(err.Error(), barrier)
	if !reached || !exists(filepath.Join(into, "bin", "postgres")) || !exists(filepath.Join(into, "bin", "initdb")) {
		return err
	}
	return os.RemoveAll(archive)
}

// repositoryURL is where the library fetches from by itself. It does not tell
// (the field is private), and the address shall not stand here a second time.
func repositoryURL(override string) (*url.URL, error) {
	address := override
	if address == "" {
		address = reflect.ValueOf(embedded.DefaultConfig()).FieldByName("binaryRepositoryURL").String()
	}
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" {
		return nil, fmt.Errorf("find the repository of Postgres binaries: %q is no address", address)
	}
	return parsed, nil
}

// relay passes requests on to the repository while a context lasts, counts the
// bytes, and remembers what went wrong, which the library does not tell.
type relay struct {
	address   string
	server    *http.Server
	transport *http.Transport
	served    chan error
	progress  func(Progress)

	mu  sync.Mutex
	err error
}

func startRelay(ctx context.Context, repository *url.URL, progress func(Progress)) (*relay, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the download: %w", err)
	}
	r := &relay{
		address:  "http://" + listener.Addr().String(),
		served:   make(chan error, 1),
		progress: progress,
		transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			ForceAttemptHTTP2:     true,
			ResponseHeaderTimeout: headerTimeout,
		},
	}
	silent := slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	r.server = &http.Server{
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: headerTimeout,
		ErrorLog:          silent,
		Handler: &httputil.ReverseProxy{
			Rewrite:        func(p *httputil.ProxyRequest) { p.SetURL(repository) },
			Transport:      r.transport,
			ModifyResponse: r.watch,
			ErrorHandler:   r.refuse,
			ErrorLog:       silent,
		},
	}
	go func() { r.served <- r.server.Serve(listener) }()
	return r, nil
}

// stop waits for the last request; no more can come.
func (r *relay) stop(ctx context.Context) error {
	err := r.server.Shutdown(context.WithoutCancel(ctx))
	r.transport.CloseIdleConnections()
	if serveErr := <-r.served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}

// watch looks at an answer on its way to the library, which would take a
// missing checksum for a matching one. After the checksum it unpacks.
func (r *relay) watch(answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", answer.Request.URL, answer.Status)
	}
	if strings.HasSuffix(answer.Request.URL.Path, ".sha256") {
		r.progress(Progress{Step: StepExtract})
		return nil
	}
	answer.Body = &countedBody{ReadCloser: answer.Body, relay: r, total: max(answer.ContentLength, 0)}
	return nil
}

func (r *relay) refuse(w http.ResponseWriter, _ *http.Request, err error) {
	r.fail(err)
	w.WriteHeader(http.StatusBadGateway)
}

func (r *relay) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

func (r *relay) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// countedBody reports a download as it is read.
type countedBody struct {
	io.ReadCloser
	relay       *relay
	done, total int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.done += int64(n)
	b.relay.progress(Progress{Step: StepDownload, Done: b.done, Total: b.total})
	if err != nil && !errors.Is(err, io.EOF) {
		b.relay.fail(fmt.Errorf("read download: %w", err))
	}
	return n, err
}
