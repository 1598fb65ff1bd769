package stack_test

import (
	"fmt"
	"runtime"
	"testing"
)

// recorder is a test that is expected to end early.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Fatal(args ...any) {
	r.said = fmt.Sprint(args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) { r.Fatal(fmt.Sprintf(format, args...)) }

// fatal returns what a function ends its test with.
func fatal(t *testing.T, do func(testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		do(r)
	}()
	<-ended
	if r.said == "" {
		t.Error("the test went on")
	}
	return r.said
}
