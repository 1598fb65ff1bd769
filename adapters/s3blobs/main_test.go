package s3blobs_test

import (
	"testing"

	"lectern/e2e/stack"
)

func TestMain(m *testing.M) { stack.Main(m, stack.WithS3) }
