package e2e_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	"lectern/adapters/connectapi/gen/lectern/v1/lecternv1connect"
	"lectern/e2e/stack"
)

// patience bounds every wait for something that is bound to come.
const patience = 90 * time.Second

// binaryVariable names the environment variable with the path of the program
// under test, which TestMain builds once.
const binaryVariable = "LECTERN_E2E_BINARY"

// TestMain builds the program and runs the tests beside the servers they need,
// in a process of their own.
func TestMain(m *testing.M) {
	if os.Getenv(binaryVariable) != "" {
		stack.Main(m, servers()...)
	}
	os.Exit(run())
}

// servers are those that the tests need besides Postgres.
func servers() []stack.Option {
	return []stack.Option{stack.WithRedis, stack.WithKafka, stack.WithNATS, stack.WithS3}
}

func run() int {
	dir, err := os.MkdirTemp("", "lectern-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := build(filepath.Join(dir, "lectern")); err != nil {
		fmt.Fprintln(os.Stderr, "build lectern:", err)
		return 1
	}
	code, err := stack.Run(context.Background(), append([]string{os.Args[0]}, os.Args[1:]...), servers()...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func build(binary string) error {
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "lectern/cmd/lectern")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return errors.Join(cmd.Run(), os.Setenv(binaryVariable, binary))
}

// command prepares a run of the binary on a data folder, with no setting of
// ours in its environment but those given.
func command(ctx context.Context, dir string, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Getenv(binaryVariable), args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "LECTERN_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env, "LECTERN_DATA_DIR="+dir), env...)
	return cmd
}

// server is a running `lectern serve`.
type server struct {
	url  string
	cmd  *exec.Cmd
	log  *tail
	done chan error
}

var address = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// serve starts the binary on a data folder and waits until it says where it
// serves. The test ends it, if it still runs.
func serve(t *testing.T, dir string, env ...string) *server {
	t.Helper()
	s := &server{log: &tail{}, done: make(chan error, 1)}
	s.cmd = command(context.Background(), dir, append([]string{"LECTERN_LISTEN=127.0.0.1:0"}, env...), "serve")
	output, err := s.cmd.StderrPipe()
	require.NoError(t, err)
	s.cmd.Stdout = s.log
	require.NoError(t, s.cmd.Start())

	found := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(io.TeeReader(output, s.log))
		for lines.Scan() {
			if url := address.FindString(lines.Text()); url != "" {
				select {
				case found <- url:
				default:
				}
			}
		}
		s.done <- s.cmd.Wait()
	}()
	t.Cleanup(func() { s.end(t) })
	select {
	case s.url = <-found:
	case err := <-s.done:
		s.done <- err
		t.Fatalf("serve ended: %v\n%s", err, s.log)
	case <-time.After(patience):
		t.Fatalf("serve never said where it serves\n%s", s.log)
	}
	return s
}

// stop asks the server to end and returns how it ended.
func (s *server) stop(t *testing.T, sig os.Signal) error {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(sig))
	select {
	case err := <-s.done:
		s.done <- err
		return err
	case <-time.After(patience):
		t.Fatalf("serve did not end\n%s", s.log)
		return nil
	}
}

// kill ends the server as a crash would.
func (s *server) kill(t *testing.T) {
	t.Helper()
	_ = s.stop(t, syscall.SIGKILL)
}

func (s *server) end(t *testing.T) {
	t.Helper()
	select {
	case err := <-s.done:
		s.done <- err
	default:
		if err := s.stop(t, syscall.SIGTERM); err != nil {
			t.Errorf("serve ended badly: %v\n%s", err, s.log)
		}
	}
	if t.Failed() {
		t.Logf("the server's last lines:\n%s", s.log)
	}
}

// client speaks one of the three protocols to the server.
func (s *server) client(protocol string) lecternv1connect.CourseServiceClient {
	var options []connect.ClientOption
	switch protocol {
	case "grpc":
		options = append(options, connect.WithGRPC())
	case "grpcweb":
		options = append(options, connect.WithGRPCWeb())
	}
	return lecternv1connect.NewCourseServiceClient(h2c(), s.url, options...)
}

// h2c is an HTTP client that speaks HTTP/2 without TLS, as gRPC needs.
func h2c() *http.Client {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{
		Protocols:       &protocols,
		DialContext:     (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}}
}

// dataDir makes a folder that a server run by root can keep its data in.
func dataDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(stack.Dir(t), "data")
}

// tail keeps the end of what a process wrote.
type tail struct {
	mu    sync.Mutex
	bytes []byte
}

// Write implements io.Writer.
func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes = append(l.bytes, p...)
	if over := len(l.bytes) - 16<<10; over > 0 {
		l.bytes = l.bytes[over:]
	}
	return len(p), nil
}

// String returns what is kept.
func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.bytes)
}
