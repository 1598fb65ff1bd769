package s3blobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/minio/minio-go/v7"

	"lectern/ports"
)

const (
	// partSize is what a Put holds in memory, and 16 MiB enough for the largest
	// document that may be configured in four parts. No part but the last may be
	// smaller than 5 MiB.
	partSize = 16 << 20

	abortTimeout = 10 * time.Second
)

// Put implements [ports.Blobs]. What is larger than 16 MiB goes in parts, which
// become an object once all are there; when one fails, the others are discarded.
// Where the answer is lost, the object may be there all the same.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, limit int64) (int64, string, error) {
	if err := ports.CheckKey(key); err != nil {
		return 0, "", err
	}
	timed, cancel := s.timed(ctx)
	defer cancel()
	p := &parts{from: r, limit: limit, sum: sha256.New()}
	if err := s.put(timed, s.name(key), p); err != nil {
		if p.err == nil { // it was not the reader
			err = failure(ctx, err)
		}
		return 0, "", fmt.Errorf("store document %s: %w", key, err)
	}
	return p.size, hex.EncodeToString(p.sum.Sum(nil)), nil
}

// put sends the whole at once if it is one part.
func (s *Store) put(ctx context.Context, name string, p *parts) error {
	part := p.next()
	switch {
	case p.err != nil:
		return p.err
	case !p.ended:
		return s.putInParts(ctx, name, p, part)
	}
	_, err := s.client.PutObject(ctx, s.opts.Bucket, name, bytes.NewReader(part), int64(len(part)), "", sumOf(part), minio.PutObjectOptions{})
	return err
}

func (s *Store) putInParts(ctx context.Context, name string, p *parts, first []byte) error {
	id, err := s.client.NewMultipartUpload(ctx, s.opts.Bucket, name, minio.PutObjectOptions{})
	if err != nil {
		return err
	}
	sent, err := s.sendParts(ctx, name, id, p, first)
	if err == nil {
		_, err = s.client.CompleteMultipartUpload(ctx, s.opts.Bucket, name, id, sent, minio.PutObjectOptions{})
	}
	if err != nil {
		return errors.Join(err, s.discard(context.WithoutCancel(ctx), name, id))
	}
	return nil
}

// sendParts sends one part after the other, each from the same memory.
func (s *Store) sendParts(ctx context.Context, name, id string, p *parts, part []byte) ([]minio.CompletePart, error) {
	var sent []minio.CompletePart
	for number := 1; ; number++ {
		options := minio.PutObjectPartOptions{Sha256Hex: sumOf(part)}
		got, err := s.client.PutObjectPart(ctx, s.opts.Bucket, name, id, number, bytes.NewReader(part), int64(len(part)), options)
		if err != nil {
			return nil, err
		}
		sent = append(sent, minio.CompletePart{PartNumber: number, ETag: got.ETag})
		if p.ended {
			return sent, nil
		}
		if part = p.next(); p.err != nil {
			return nil, p.err
		}
	}
}

// discard removes the parts that no object came of.
func (s *Store) discard(ctx context.Context, name, id string) error {
	ctx, cancel := context.WithTimeout(ctx, min(abortTimeout, s.opts.Timeout))
	defer cancel()
	err := s.client.AbortMultipartUpload(ctx, s.opts.Bucket, name, id)
	if err != nil && codeOf(err) != minio.NoSuchUpload {
		return fmt.Errorf("discard the parts of upload %s, which a life cycle rule of the bucket can do: %w", id, err)
	}
	return nil
}

// sumOf is what the server compares with what it received.
func sumOf(part []byte) string {
	sum := sha256.Sum256(part)
	return hex.EncodeToString(sum[:])
}

// parts cuts what a reader yields.
type parts struct {
	from   io.Reader
	limit  int64
	buffer bytes.Buffer
	size   int64 // of what was read
	sum    hash.Hash
	ended  bool  // the last part was returned
	err    error // the reader's, or that it yields too much
}

// next returns the next part, which holds until the next call. It reads a byte
// ahead, so as to know which is the last.
func (p *parts) next() []byte {
	if p.buffer.Len() > partSize {
		ahead := p.buffer.Bytes()[partSize]
		p.buffer.Reset()
		p.buffer.WriteByte(ahead)
	}
	n, err := io.CopyN(&p.buffer, p.from, int64(partSize+1-p.buffer.Len()))
	p.size += n
	p.ended = errors.Is(err, io.EOF)
	switch {
	case err != nil && !p.ended:
		p.err = err
	case p.size > p.limit:
		p.err = ports.TooLarge(p.limit)
	}
	part := p.buffer.Bytes()[:min(partSize, p.buffer.Len())]
	_, _ = p.sum.Write(part) // never fails
	return part
}
