// Package s3blobs keeps documents' bytes as objects in a bucket of a server that
// speaks S3, whole or not at all.
//
// It needs the rights to get, put, delete and list objects, and to abort
// multipart uploads. It sets no encryption, versions, life cycle or access rules:
// those are the bucket's.
package s3blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"lectern/ports"
)

var _ ports.Blobs = (*Store)(nil)

const (
	tries       = 4 // of one request, with up to 1s between, within the timeout
	dialTimeout = 10 * time.Second
	idleTimeout = time.Minute
	idleConns   = 16
)

// Store is a bucket of blobs. It is safe for concurrent use; of two Puts under one
// key the later to end wins.
type Store struct {
	opts      Options
	client    *minio.Core
	transport *http.Transport
}

// New makes a store, and connects to nothing yet. Close it after use.
func New(opts Options) (*Store, error) {
	tls, err := opts.TLS.Config()
	if err != nil {
		return nil, fmt.Errorf("use S3: %w", err)
	}
	transport := &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		DialContext:     (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig: tls, ForceAttemptHTTP2: true,
		IdleConnTimeout: idleTimeout, MaxIdleConnsPerHost: idleConns,
		DisableCompression: true, // bytes are wanted as they are
	}
	client, err := minio.NewCore(opts.Endpoint, &minio.Options{
		Creds: credentials.New(&login{opts.Login}), Secure: tls != nil, Transport: transport, Region: opts.Region,
		BucketLookup: opts.lookup(), MaxRetries: tries,
	})
	if err != nil {
		return nil, fmt.Errorf("use S3 at documents.options.endpoint: %w", err)
	}
	return &Store{opts, client, transport}, nil
}

func (o Options) lookup() minio.BucketLookupType {
	switch o.AddressingStyle {
	case stylePath:
		return minio.BucketLookupPath
	case styleVirtual:
		return minio.BucketLookupDNS
	}
	return minio.BucketLookupAuto
}

// Close releases what idle connections there are.
func (s *Store) Close() { s.transport.CloseIdleConnections() }

// Prepare makes the bucket, if that is wanted and it is not there, and returns what
// Ping does.
func (s *Store) Prepare(ctx context.Context) error {
	err := s.Ping(ctx)
	if !s.opts.CreateBucket || codeOf(err) != minio.NoSuchBucket {
		return err
	}
	ctx, cancel := s.timed(ctx)
	defer cancel()
	err = s.client.MakeBucket(ctx, s.opts.Bucket, minio.MakeBucketOptions{Region: s.opts.Region})
	if err == nil || codeOf(err) == minio.BucketAlreadyOwnedByYou { // by another process
		return nil
	}
	return fmt.Errorf("create bucket %s on %s: %w", s.opts.Bucket, s.opts.Endpoint, withAdvice(err))
}

// probe is a key that no document has.
const probe = "is-this-bucket-there"

// Ping returns why documents can't be read, and what to do about it. It reads a
// key that is not there, as those may who may read objects and list the bucket.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := s.timed(ctx)
	defer cancel()
	_, err := s.read(ctx, probe)
	if err == nil || codeOf(err) == minio.NoSuchKey {
		return nil
	}
	return fmt.Errorf("look at bucket %s on %s: %w", s.opts.Bucket, s.opts.Endpoint, withAdvice(err))
}

// Get implements [ports.Blobs].
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	if err := ports.CheckKey(key); err != nil {
		return nil, err
	}
	timed, cancel := s.timed(ctx)
	defer cancel()
	content, err := s.read(timed, key)
	switch {
	case codeOf(err) == minio.NoSuchKey:
		return nil, ports.NoSuchKey(key, err)
	case err != nil:
		return nil, fmt.Errorf("read document %s: %w", key, failure(ctx, err))
	}
	return content, nil
}

func (s *Store) read(ctx context.Context, key string) ([]byte, error) {
	body, _, _, err := s.client.GetObject(ctx, s.opts.Bucket, s.name(key), minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(body)
	return content, errors.Join(err, body.Close())
}

// Delete implements [ports.Blobs].
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := ports.CheckKey(key); err != nil {
		return err
	}
	timed, cancel := s.timed(ctx)
	defer cancel()
	err := s.client.RemoveObject(timed, s.opts.Bucket, s.name(key), minio.RemoveObjectOptions{})
	if err != nil && codeOf(err) != minio.NoSuchKey {
		return fmt.Errorf("delete document %s: %w", key, failure(ctx, err))
	}
	return nil
}

// timed bounds what follows by the timeout.
func (s *Store) timed(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.opts.Timeout)
}

// name is what the bucket knows a key by.
func (s *Store) name(key string) string {
	if s.opts.Prefix == "" {
		return key
	}
	return s.opts.Prefix + "/" + key
}
