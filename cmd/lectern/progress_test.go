package main

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOffATerminalProgressIsALineATenth(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	ui := newProgress(&out)
	for _, done := range []int64{0, 1, 3, 25, 26, 31} {
		ui.stage("fetch", done, 31)
	}
	ui.stage("unknown yet", 5, 0)
	for done := range int64(3) {
		ui.stage("read", done, 2)
	}
	ui.close()
	ui.say("%d%%", 100)
	require.Equal(t, "fetch: 25/31\nfetch: 31/31\nread: 1/2\nread: 2/2\n100%\n", out.String())
}

func TestAHintLeadsToTheSameData(t *testing.T) {
	t.Parallel()
	p := &program{name: "bin/lectern", dataDir: "/tmp/d", config: "memory"}
	require.Equal(t, "bin/lectern show ID --config memory --data-dir /tmp/d", p.hint("show", "ID"))
}

func TestWhatEndedTheServiceIsTheReason(t *testing.T) {
	t.Parallel()
	broken, result := errors.New("Postgres ended"), errors.New("the server can't be reached")
	for name, tc := range map[string]struct {
		end  func(context.CancelCauseFunc)
		err  error
		want error
	}{
		"nothing ended":         {func(context.CancelCauseFunc) {}, result, result},
		"a part failed":         {func(fail context.CancelCauseFunc) { fail(broken) }, result, broken},
		"we were asked to stop": {func(fail context.CancelCauseFunc) { fail(nil) }, result, errInterrupted},
		"all was done by then":  {func(fail context.CancelCauseFunc) { fail(nil) }, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, fail := context.WithCancelCause(t.Context())
			tc.end(fail)
			require.Equal(t, tc.want, why(ctx, tc.err))
			fail(nil)
		})
	}
}
