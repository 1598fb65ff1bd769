package textextract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

const wasmPageBytes = 64 << 10

var (
	errClosed  = errors.New("the text extractor is closed")
	errTooSlow = errors.New("the time for one document is up")
)

// pdfEngine runs PDFium on WebAssembly. Cancelling its context is the only way
// to stop a document that hangs; after that the engine is of no more use.
type pdfEngine struct {
	cancel context.CancelFunc
	pool   pdfium.Pool
}

// lend gives f a PDFium of its own, so that nothing of one document is left
// in memory when the next is read. It tells whether the engine can go on.
func (e *pdfEngine) lend(ctx context.Context, f func(pdfium.Pdfium) error) (sound bool, err error) {
	instance, err := e.pool.GetInstanceWithContext(ctx)
	if err != nil {
		return false, fmt.Errorf("start a PDFium: %w", err)
	}
	err = f(instance)
	return instance.Close() == nil, err
}

func (e *pdfEngine) close() {
	e.cancel()
	_ = e.pool.Close() // only ever reports that it was closed before
}

// pdfEngines lends engines out, one a document, and starts them when needed.
type pdfEngines struct {
	opts  Options
	slots chan struct{} // holds a token for each engine lent out
	base  context.Context
	stop  context.CancelFunc

	mu    sync.Mutex // guards what follows, and makes engines start one by one
	cache wazero.CompilationCache
	idle  []*pdfEngine
}

func newPDFEngines(o Options) *pdfEngines {
	base, stop := context.WithCancel(context.Background())
	return &pdfEngines{opts: o, slots: make(chan struct{}, o.Readers), base: base, stop: stop}
}

// use lends an engine to f until f returns or ctx ends. An engine that was
// interrupted, or broke, is thrown away; the next document gets a new one.
func (p *pdfEngines) use(ctx context.Context, f func(pdfium.Pdfium) error) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return fmt.Errorf("wait for the PDF reader: %w", context.Cause(ctx))
	case <-p.base.Done():
		return errClosed
	}
	engine, err := p.take()
	if err != nil {
		return fmt.Errorf("start the PDF reader: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.opts.Timeout, errTooSlow)
	defer cancel()
	disarm := context.AfterFunc(ctx, engine.cancel)
	sound, err := engine.lend(ctx, f)
	if disarm() && sound {
		p.put(engine)
	} else {
		engine.close()
	}
	return p.verdict(ctx, err)
}

// verdict tells an interruption from what the document is to blame for.
func (p *pdfEngines) verdict(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case p.base.Err() != nil:
		return errClosed
	case errors.Is(context.Cause(ctx), errTooSlow):
		return because(unreadable("this PDF takes longer than %s to read: split it, or print it to a new, simpler PDF",
			p.opts.Timeout), err)
	case ctx.Err() != nil:
		return fmt.Errorf("read PDF: %w", context.Cause(ctx))
	}
	return err
}

func (p *pdfEngines) take() (*pdfEngine, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.base.Err() != nil {
		return nil, errClosed
	}
	if n := len(p.idle); n > 0 {
		engine := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return engine, nil
	}
	return p.start()
}

func (p *pdfEngines) put(e *pdfEngine) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, e)
}

func (p *pdfEngines) start() (*pdfEngine, error) {
	if err := p.openCache(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(p.base)
	pool, err := webassembly.Init(webassembly.Config{
		Context:       ctx,
		MaxIdle:       1,
		MaxTotal:      1,
		RuntimeConfig: p.runtimeConfig(),
		FSConfig:      wazero.NewFSConfig(), // none: the library's own default mounts the root
		Stdout:        io.Discard,
		Stderr:        io.Discard,
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("load PDFium: %w", err)
	}
	return &pdfEngine{cancel: cancel, pool: pool}, nil
}

func (p *pdfEngines) runtimeConfig() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesExceptionHandling).
		WithMemoryLimitPages(uint32(min(p.opts.MaxMemoryBytes/wasmPageBytes, 1<<16))).
		WithCloseOnContextDone(true).
		WithCompilationCache(p.cache)
}

func (p *pdfEngines) openCache() (err error) {
	switch {
	case p.cache != nil:
		return nil
	case p.opts.CacheDir == "":
		p.cache = wazero.NewCompilationCache()
		return nil
	}
	p.cache, err = wazero.NewCompilationCacheWithDir(p.opts.CacheDir)
	if err != nil {
		return fmt.Errorf("open the cache folder %s (must be writable): %w", p.opts.CacheDir, err)
	}
	return nil
}

// close interrupts the documents being read and waits until they are done.
// Only the first call does anything.
func (p *pdfEngines) close() error {
	p.mu.Lock()
	again := p.base.Err() != nil
	p.stop()
	p.mu.Unlock()
	if again {
		return nil
	}
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.idle {
		e.close()
	}
	p.idle = nil
	if p.cache == nil {
		return nil
	}
	return p.cache.Close(context.Background())
}
