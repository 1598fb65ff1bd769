package stack

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

// S3Variable names the environment variable with the address of the S3 server
// that the tests use.
const S3Variable = "LECTERN_TEST_S3"

const s3Region = "us-east-1"

// WithS3 adds S3 to the servers of a run.
func WithS3(n *needs) { *n = append(*n, need{variable: S3Variable, start: startS3}) }

func startS3(ctx context.Context) (*server, error) {
	node, err := launchS3(ctx)
	if err != nil {
		return nil, fmt.Errorf("there is no S3 for the tests: %w: or set %s to http://ACCESS_KEY:SECRET@HOST:PORT of a server that is used "+
			"for tests alone", err, S3Variable)
	}
	return &server{address: node.address(), stop: node.stop}, nil
}

// S3Bucket is a bucket, and the login of one who may use it.
type S3Bucket struct {
	Endpoint  string // host:port
	AccessKey string
	Secret    string
	Name      string
	Client    *minio.Client // logged in, to look at what is there
}

// S3 returns an empty bucket of the test's own on the S3 server of the run, which
// goes when it ends. Tests may call it in parallel.
func S3(tb testing.TB) S3Bucket {
	tb.Helper()
	address := os.Getenv(S3Variable)
	if address == "" {
		tb.Fatalf("%s is not set: let TestMain call stack.Main with stack.WithS3, or run under with-stack", S3Variable)
	}
	b := makeBucket(tb, address)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		err := b.remove(ctx)
		for minio.ToErrorResponse(err).Code == minio.BucketNotEmpty { // what a test sent may come late
			err = b.remove(ctx)
		}
		if err != nil {
			tb.Errorf("remove the test's bucket: %v", err)
		}
	})
	return b
}

// StartS3 starts an S3 server for one test alone and returns a bucket on it, and the
// same as somebody sees it who may not use it. Tests that need no such stranger use S3,
// which costs less.
func StartS3(tb testing.TB) (own, strangers S3Bucket) {
	tb.Helper()
	node, err := launchS3(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := node.stop(); err != nil {
			tb.Error(err)
		}
	})
	own = makeBucket(tb, node.address())
	strangers = own
	strangers.AccessKey = s3Stranger
	return own, strangers
}

func makeBucket(tb testing.TB, address string) S3Bucket {
	tb.Helper()
	at, err := url.Parse(address)
	if err != nil {
		tb.Fatalf("read %s: %v", S3Variable, err)
	}
	client, err := s3Client(address, 1)
	if err != nil {
		tb.Fatal(err)
	}
	b := S3Bucket{Endpoint: at.Host, AccessKey: at.User.Username(), Name: "test-" + strings.ToLower(rand.Text()), Client: client}
	b.Secret, _ = at.User.Password()
	if err := client.MakeBucket(tb.Context(), b.Name, minio.MakeBucketOptions{Region: s3Region}); err != nil {
		tb.Fatalf("make the test's bucket: %v", err)
	}
	return b
}

// Keys returns the names of what is in the bucket.
func (b S3Bucket) Keys(ctx context.Context) ([]string, error) {
	var keys []string
	for object := range b.Client.ListObjects(ctx, b.Name, minio.ListObjectsOptions{Recursive: true}) {
		if object.Err != nil {
			return nil, object.Err
		}
		keys = append(keys, object.Key)
	}
	return keys, nil
}

// remove removes the bucket with all that is in it.
func (b S3Bucket) remove(ctx context.Context) error {
	keys, err := b.Keys(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := b.Client.RemoveObject(ctx, b.Name, key, minio.RemoveObjectOptions{}); err != nil {
			return fmt.Errorf("remove %s: %w", key, err)
		}
	}
	return b.Client.RemoveBucket(ctx, b.Name)
}
