package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/configs"
)

// result is what a command line came to.
type result struct {
	code           int
	stdout, stderr string
}

// lectern runs a command line, with a folder for data that nothing is in.
func lectern(t *testing.T, environ []string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := &program{
		name: "lectern", stdout: &stdout, stderr: &stderr,
		environ: append([]string{"LECTERN_DATA_DIR=" + filepath.Join(t.TempDir(), "data")}, environ...),
	}
	code := run(context.WithoutCancel(t.Context()), p, args)
	return result{code, stdout.String(), stderr.String()}
}

func TestBadUsageIsSaidOnceAndExitsWith2(t *testing.T) {
	t.Parallel()
	busy := filepath.Join(t.TempDir(), "busy")
	require.NoError(t, os.MkdirAll(filepath.Join(busy, "somebody's"), 0o755))
	for name, tc := range map[string]struct {
		environ []string
		args    []string
		want    string
	}{
		"an unknown command":   {args: []string{"nope"}, want: "lectern: unknown command \"nope\"\n  see 'lectern --help'\n"},
		"a misspelt command":   {args: []string{"serv"}, want: "lectern: unknown command \"serv\": did you mean serve?\n  see 'lectern --help'\n"},
		"an unknown flag":      {args: []string{"serve", "--foo"}, want: "lectern: unknown flag: --foo\n  see 'lectern serve --help'\n"},
		"an argument too many": {args: []string{"version", "x"}, want: "lectern: unknown command \"x\" for \"lectern version\"\n  see 'lectern version --help'\n"},
		"a flag that is no number": {
			args: []string{"generate", "--title", "T", "--lessons", "many"},
			want: "lectern: invalid argument \"many\" for \"--lessons\" flag: strconv.ParseInt: parsing \"many\": invalid syntax\n" +
				"  see 'lectern generate --help'\n",
		},
		"an unknown format": {
			args: []string{"generate", "--title", "T", "--format", "pdf"},
			want: "lectern: --format: \"pdf\" is not one of outline, json, markdown\n",
		},
		"an output that is a folder": {
			args: []string{"generate", "--title", "T", "--out", busy},
			want: "lectern: --out: " + busy + " is a folder: name a file\n",
		},
		"an output in no folder": {
			args: []string{"generate", "--title", "T", "--out", "/not/there/x.md"},
			want: "lectern: --out: there is no folder /not/there\n",
		},
		"a server that is no address": {
			args: []string{"list", "--server", "localhost:8080"},
			want: "lectern: --server: \"localhost:8080\" is not an address like http://127.0.0.1:8080\n",
		},
		"migrate down unconfirmed": {
			args: []string{"migrate", "down"},
			want: "lectern: migrate down deletes all courses: pass --yes if you mean it\n  see 'lectern migrate down --help'\n",
		},
		"an unknown config": {
			args: []string{"serve", "--config", "rabbit"},
			want: "lectern: read config rabbit: there is no such file, and the built-in configs are " + strings.Join(configs.Names(), ", ") + "\n",
		},
		"an unknown config by the environment": {
			environ: []string{"LECTERN_CONFIG=rabbit"}, args: []string{"serve"},
			want: "lectern: read config rabbit: there is no such file, and the built-in configs are " + strings.Join(configs.Names(), ", ") + "\n",
		},
		"an unknown variable": {
			environ: []string{"LECTERN_LOG__LEVELS=debug"}, args: []string{"serve"},
			want: "lectern: read config embedded.yaml:\n  LECTERN_LOG__LEVELS: unknown variable; allowed: LECTERN_LOG__LEVEL, LECTERN_LOG__FORMAT\n",
		},
		"an unknown kind of broker": {
			environ: []string{"LECTERN_BROKER__KIND=kafkaa"}, args: []string{"serve"},
			want: "lectern: read config embedded.yaml:\n  LECTERN_BROKER__KIND: broker.kind: \"kafkaa\" is not one of " + strings.Join(brokerKinds(), ", ") + "\n",
		},
		"options that the broker has not, beside another problem": {
			environ: []string{"LECTERN_BROKER__KIND=memory", "LECTERN_BROKER__OPTIONS__DSN=x", "LECTERN_PIPELINE=never"}, args: []string{"serve"},
			want: "lectern: read config embedded.yaml:\n" +
				"  broker.options: read options of the memory broker: unknown: dsn; " +
				"allowed: concurrency, max_message_bytes, max_pending, retry_delay, retry_delay_max, max_deliveries, close_timeout\n" +
				"  LECTERN_PIPELINE: pipeline.mode: \"never\" is not one of automatic, manual\n",
		},
		"an address that others reach": {
			args: []string{"serve", "--listen", "0.0.0.0:8080"},
			want: "lectern: read config embedded.yaml:\n  --listen: listen: 0.0.0.0:8080 can be reached from other machines, and everyone who calls " +
				"is the fixed identity: use a loopback address, such as 127.0.0.1:8080\n",
		},
		"a data folder that is not ours": {
			args: []string{"list", "--data-dir", busy},
			want: "lectern: open data folder " + busy + ": it is not empty and not Lectern's (it has no file lectern-postgres), " +
				"so nothing in it was touched: pass a --data-dir that is empty or does not exist yet\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, result{code: exitInput, stderr: tc.want}, lectern(t, tc.environ, tc.args...))
		})
	}
}

func TestAServerThatIsNotThereIsAFailure(t *testing.T) {
	t.Parallel()
	got := lectern(t, nil, "list", "--server", "http://127.0.0.1:1")
	require.Equal(t, exitFailure, got.code)
	require.Empty(t, got.stdout)
	require.Contains(t, got.stderr, "lectern: the server can't be reached, or can't answer now: ")
	require.Contains(t, got.stderr, "\n  start one with 'lectern serve', or leave out --server\n")
}

func TestAnAddressInUseIsAFailureThatTouchesNothing(t *testing.T) {
	t.Parallel()
	l := listen(t)
	dir := filepath.Join(t.TempDir(), "data")
	got := lectern(t, nil, "serve", "--listen", l.Addr().String(), "--data-dir", dir)
	require.Equal(t, result{code: exitFailure, stderr: "lectern: listen on " + l.Addr().String() +
		": the address is in use: stop the program that listens there, or choose another address\n"}, got)
	require.NoDirExists(t, dir)
}

func TestEveryCommandHasHelpWithTheWayToUseIt(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"serve", "migrate", "generate", "list", "show", "outbox", "topics", "config", "version"} {
		got := lectern(t, nil, command, "--help")
		require.Zero(t, got.code, command)
		require.Empty(t, got.stderr, command)
		require.Contains(t, got.stdout, "lectern "+command, command)
	}
}

func TestTheShellCompletesWhatIsEnumerated(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"styles":    {[]string{"generate", "--style", ""}, strings.Join(styleNames(), "\n") + "\n:4\n"},
		"languages": {[]string{"generate", "--language", ""}, "en\nru\n:4\n"},
		"roles":     {[]string{"serve", "--roles", ""}, "api\nrelay\nworker\napi,relay\napi,worker\nrelay,worker\n:4\n"},
		"formats":   {[]string{"show", "--format", ""}, "outline\njson\nmarkdown\n:4\n"},
		"configs":   {[]string{"serve", "--config", ""}, strings.Join(configs.Names(), "\n") + "\n:4\n"},
		"documents": {[]string{"generate", ""}, "pdf\ndocx\npptx\nxlsx\nodt\nepub\nmd\ntxt\nhtml\n:8\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, lectern(t, nil, append([]string{"__complete"}, tc.args...)...).stdout)
		})
	}
}

func TestVersionSaysWhatWasBuiltAndWith(t *testing.T) {
	t.Parallel()
	got := lectern(t, nil, "version")
	require.Zero(t, got.code)
	require.Regexp(t, `^lectern \S+, commit \S+( \(modified\))?, go1\.\S+ \w+/\w+\n$`, got.stdout)
}
