package s3blobs_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/adapters/s3blobs"
	"lectern/configs"
	"lectern/domain"
	"lectern/e2e/stack"
	"lectern/ports"
	"lectern/ports/portstest"
)

const inParts = 20 << 20 // more than one part

func optionsOf(t *testing.T, b stack.S3Bucket) s3blobs.Options {
	t.Helper()
	opts, err := s3blobs.DecodeOptions(map[string]any{
		"endpoint": b.Endpoint, "bucket": b.Name, "login": map[string]any{"user": b.AccessKey, "password": b.Secret},
	})
	require.NoError(t, err)
	return opts
}

func open(t *testing.T, opts s3blobs.Options) *s3blobs.Store {
	t.Helper()
	store, err := s3blobs.New(opts)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	return store
}

func TestStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	portstest.TestBlobs(t, func(t *testing.T) ports.Blobs { return open(t, optionsOf(t, stack.S3(t))) })
}

func TestKeysAreUnderThePrefix(t *testing.T) {
	t.Parallel()
	b := stack.S3(t)
	opts := optionsOf(t, b)
	opts.Prefix = "lectern/documents"
	store := open(t, opts)
	put(t, store, "a/b.pdf", "text")
	requireKeys(t, b, "lectern/documents/a/b.pdf")
	got, err := store.Get(t.Context(), "a/b.pdf")
	require.NoError(t, err)
	require.Equal(t, "text", string(got))
	require.NoError(t, store.Delete(t.Context(), "a/b.pdf"))
	requireKeys(t, b)
}

func TestALargeDocumentGoesInPartsAndComesBackWhole(t *testing.T) {
	t.Parallel()
	store := open(t, optionsOf(t, stack.S3(t)))
	source := rand.NewChaCha8([32]byte{})
	for _, size := range []int{16 << 20, 16<<20 + 1, inParts} { // a part, a part and a byte, ...
		content := make([]byte, size)
		_, _ = source.Read(content)
		got, sum, err := store.Put(t.Context(), "large", bytes.NewReader(content), int64(size))
		require.NoError(t, err)
		require.EqualValues(t, size, got)
		want := sha256.Sum256(content)
		require.Equal(t, hex.EncodeToString(want[:]), sum)
		back, err := store.Get(t.Context(), "large")
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, back))
	}
}

// What was sent of a document before it failed is discarded, and what was there
// before stays.
func TestADocumentThatFailsInItsSecondPartLeavesNothing(t *testing.T) {
	t.Parallel()
	b := stack.S3(t)
	store := open(t, optionsOf(t, b))
	put(t, store, "a", "old")
	gone := errors.New("the caller is gone")
	stopped, stop := context.WithCancelCause(t.Context())
	half := func() io.Reader { return io.LimitReader(zeros{}, inParts) }
	for name, tc := range map[string]struct {
		ctx   context.Context
		from  io.Reader
		limit int64
		want  error
	}{
		"too large":             {t.Context(), half(), inParts - 1, &domain.Error{Reason: domain.ReasonDocumentTooLarge}},
		"the reader fails":      {t.Context(), io.MultiReader(half(), iotest.ErrReader(io.ErrUnexpectedEOF)), 1 << 30, io.ErrUnexpectedEOF},
		"the caller goes away":  {stopped, io.MultiReader(half(), calling(func() { stop(gone) })), 1 << 30, gone},
		"the caller was not in": {ended(t, gone), half(), 1 << 30, gone},
	} {
		_, _, err := store.Put(tc.ctx, "a", tc.from, tc.limit)
		require.ErrorIs(t, err, tc.want, name)
	}
	for upload := range b.Client.ListIncompleteUploads(t.Context(), b.Name, "", true) {
		require.NoError(t, upload.Err)
		require.Fail(t, "parts are left", upload.Key)
	}
	got, err := store.Get(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, "old", string(got))
}

func TestAStoreThatCantBeReachedIsUnavailableUntilItCan(t *testing.T) {
	t.Parallel()
	b := stack.S3(t)
	proxy := stack.NewProxy(t, b.Endpoint)
	opts := optionsOf(t, b)
	opts.Endpoint, opts.Timeout = proxy.Addr(), time.Second
	store := open(t, opts)
	put(t, store, "a", "text")
	for name, fault := range map[string]func(){"cut": proxy.Cut, "swallowed": proxy.Stall} {
		fault()
		_, _, err := store.Put(t.Context(), "b", strings.NewReader("text"), 10)
		requireUnavailable(t, err, name)
		_, err = store.Get(t.Context(), "a")
		requireUnavailable(t, err, name)
		requireUnavailable(t, store.Delete(t.Context(), "b"), name)
		require.ErrorContains(t, store.Ping(t.Context()), "check documents.options.endpoint", name)
		proxy.Restore()
		got, err := store.Get(t.Context(), "a")
		require.NoError(t, err, name)
		require.Equal(t, "text", string(got))
	}
}

func TestAConnectionThatBreaksInTheMiddleStoresNothing(t *testing.T) {
	t.Parallel()
	b := stack.S3(t)
	proxy := stack.NewProxy(t, b.Endpoint)
	opts := optionsOf(t, b)
	opts.Endpoint, opts.Timeout = proxy.Addr(), 5*time.Second
	_, _, err := open(t, opts).Put(t.Context(), "a", io.MultiReader(io.LimitReader(zeros{}, inParts), calling(proxy.Cut)), 1<<30)
	requireUnavailable(t, err, "cut")
	requireKeys(t, b)
}

func TestPrepareSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	b, strangers := stack.StartS3(t)
	mine := optionsOf(t, b)
	require.NoError(t, open(t, mine).Prepare(t.Context()))
	missing, wrongKey, nobody, nowhere := mine, mine, mine, mine
	missing.Bucket = "not-there"
	wrongKey.Login.Password = "s3cret"
	nobody.Login.User = "nobody"
	nowhere.Endpoint = "127.0.0.1:1"
	for _, tc := range []struct {
		opts s3blobs.Options
		want []string
	}{
		{missing, []string{"bucket not-there on " + b.Endpoint, "does not exist", "create_bucket"}},
		{optionsOf(t, strangers), []string{"Access Denied", "rights to list the bucket"}},
		{wrongKey, []string{"signature", "login"}},
		{nobody, []string{"Access Key Id", "login"}},
		{nowhere, []string{"connection refused", "documents.options.endpoint"}},
	} {
		err := open(t, tc.opts).Prepare(t.Context())
		for _, want := range tc.want {
			require.ErrorContains(t, err, want)
		}
		require.NotContains(t, err.Error(), "s3cret")
	}
	_, err := open(t, missing).Get(t.Context(), "a")
	require.Error(t, err)
	require.Empty(t, domain.ReasonOf(err), "a bucket that is missing is no document that is: %v", err)

	missing.CreateBucket = true
	for range 2 {
		require.NoError(t, open(t, missing).Prepare(t.Context()))
	}
	put(t, open(t, missing), "a", "text")
}

func TestKeysInFilesAreReadForEachRequest(t *testing.T) {
	t.Parallel()
	b := stack.S3(t)
	file := filepath.Join(t.TempDir(), "secret")
	opts := optionsOf(t, b)
	opts.Login.Password, opts.Login.PasswordFile = "", file
	store := open(t, opts)
	require.ErrorContains(t, store.Ping(t.Context()), "login.password_file")
	_, err := store.Get(t.Context(), "a")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Empty(t, domain.ReasonOf(err), "waiting helps nobody: %v", err)
	for text, ok := range map[string]bool{"wrong": false, b.Secret + "\n": true} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		require.Equal(t, ok, store.Ping(t.Context()) == nil)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	b := stack.S3(t)
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: b.Endpoint})
		r.Out.Host = r.In.Host // it is signed
	}})
	front.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	front.StartTLS()
	t.Cleanup(front.Close)
	opts := optionsOf(t, b)
	opts.Endpoint, opts.TLS.Enabled = front.Listener.Addr().String(), true
	require.ErrorContains(t, open(t, opts).Ping(t.Context()), "certificate")

	opts.TLS.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	require.NoError(t, os.WriteFile(opts.TLS.CAFile, block, 0o600))
	put(t, open(t, opts), "a", "text")
	requireKeys(t, b, "a")
}

func TestOptions(t *testing.T) {
	t.Parallel()
	opts, err := s3blobs.DecodeOptions(map[string]any{"endpoint": "s3.example.com", "bucket": "courses", "login": map[string]any{"user": "u", "password": "p"}})
	require.NoError(t, err)
	require.Equal(t, s3blobs.Options{
		Endpoint: "s3.example.com", Bucket: "courses", Region: "us-east-1", AddressingStyle: "auto",
		Login: configs.Login{User: "u", Password: "p"}, Timeout: time.Minute,
	}, opts)

	_, err = s3blobs.DecodeOptions(map[string]any{
		"endpoint": "https://u:s3cret@s3.example.com", "bucket": "B", "region": "", "prefix": "/a", "addressing_style": "dns", "timeout": "1ms",
		"login": map[string]any{"password": "s3cret", "password_file": "f"}, "tls": map[string]any{"ca_file": "f"},
	})
	for _, want := range []string{
		"endpoint must be host or host:port", "bucket must be given", "region must not", "prefix must", "addressing_style must", "timeout must",
		"login.user or login.user_file must", "login.password and login.password_file must not", "tls.enabled must",
	} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "s3cret")
	_, err = s3blobs.Module(map[string]any{"colour": "red"})
	require.ErrorContains(t, err, "unknown: colour; allowed: endpoint, bucket, region, prefix, addressing_style, login, tls, create_bucket, timeout")
}

func put(t *testing.T, store *s3blobs.Store, key, text string) {
	t.Helper()
	_, _, err := store.Put(t.Context(), key, strings.NewReader(text), 100)
	require.NoError(t, err)
}

func requireKeys(t *testing.T, b stack.S3Bucket, want ...string) {
	t.Helper()
	got, err := b.Keys(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func requireUnavailable(t *testing.T, err error, name string) {
	t.Helper()
	require.Equal(t, domain.ReasonUnavailable, domain.ReasonOf(err), "%s: %v", name, err)
}

// ended is a context that is over.
func ended(t *testing.T, cause error) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	return ctx
}

// zeros yields them without end.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(into []byte) (int, error) { clear(into); return len(into), nil }

// calling is a reader that does something when it is read, and yields nothing.
type calling func()

// Read implements io.Reader.
func (do calling) Read([]byte) (int, error) { do(); return 0, io.EOF }
