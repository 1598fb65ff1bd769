package stack

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Ports that systems do not give to clients: one that a server keeps while it
// is down is not taken by a client's own connection meanwhile.
const (
	firstPort = 20000
	ports     = 12000
	portTries = 20
)

const (
	readyTimeout  = 30 * time.Second
	answerTimeout = time.Second
)

// redisDatabases is far more than tests use at a time.
const redisDatabases = "1024"

// RedisServer is a Redis for one test alone, which may go down and hang. Its
// methods end the test when they fail, so call them on the test's goroutine.
type RedisServer struct {
	tb      testing.TB
	program string
	dir     string // where data is kept; empty for nowhere
	port    int
	process *redisProcess // nil while down
}

// StartRedis starts an empty Redis that ends with the test. It keeps nothing on
// disk. Tests that need no outage use Redis, which costs less.
func StartRedis(tb testing.TB) *RedisServer {
	tb.Helper()
	return startRedisServer(tb, "")
}

// StartDurableRedis is StartRedis with a server that keeps what it has
// acknowledged through Stop and Start.
func StartDurableRedis(tb testing.TB) *RedisServer {
	tb.Helper()
	return startRedisServer(tb, tb.TempDir())
}

func startRedisServer(tb testing.TB, dir string) *RedisServer {
	tb.Helper()
	program, err := redisProgram(tb.Context())
	if err != nil {
		tb.Fatalf("start Redis: %v", err)
	}
	process, err := launchRedisSomewhere(tb.Context(), program, dir)
	if err != nil {
		tb.Fatal(err)
	}
	s := &RedisServer{tb: tb, program: program, dir: dir, port: process.port, process: process}
	tb.Cleanup(s.Stop)
	return s
}

// Address is the redis:// address. It stays the same through Stop and Start.
func (s *RedisServer) Address() string { return redisAddress(s.port) }

// Stop kills the server, and its data is gone unless it is durable; when it
// returns, connections are refused. One that is down stays so.
func (s *RedisServer) Stop() {
	if s.process != nil {
		s.process.kill()
		s.process = nil
	}
}

// Start brings a server that was stopped up again, with what it has kept, on the
// same port.
func (s *RedisServer) Start() {
	s.tb.Helper()
	if s.process != nil {
		s.tb.Fatal("start Redis: it is running")
	}
	process, err := launchRedis(s.tb.Context(), s.program, s.port, s.dir)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.process = process
}

// Pause makes the server hang: it accepts connections and answers nothing.
func (s *RedisServer) Pause() {
	s.tb.Helper()
	s.signal(syscall.SIGSTOP)
}

// Resume ends a Pause. What was sent meanwhile is answered then.
func (s *RedisServer) Resume() {
	s.tb.Helper()
	s.signal(syscall.SIGCONT)
}

func (s *RedisServer) signal(number syscall.Signal) {
	s.tb.Helper()
	if s.process == nil {
		s.tb.Fatalf("signal Redis (%s): it is down", number)
	}
	if err := s.process.cmd.Process.Signal(number); err != nil {
		s.tb.Fatalf("signal Redis (%s): %v", number, err)
	}
}

// redisProcess is a Redis that runs.
type redisProcess struct {
	*process
	port int
}

// launchRedisSomewhere finds a port. It can't be known to be free before the
// server has it.
func launchRedisSomewhere(ctx context.Context, program, dir string) (*redisProcess, error) {
	for range portTries {
		process, err := launchRedis(ctx, program, firstPort+rand.IntN(ports), dir)
		if !errors.Is(err, errPortTaken) {
			return process, err
		}
	}
	return nil, fmt.Errorf("start Redis: %w, %d times over", errPortTaken, portTries)
}

// launchRedis returns once the server answers. It outlives the context. It keeps
// its data in a folder, or nowhere. A kill loses nothing of what it has written,
// synced or not.
func launchRedis(ctx context.Context, program string, port int, dir string) (*redisProcess, error) {
	started, err := startProcess(exec.CommandContext(context.WithoutCancel(ctx), program,
		"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--databases", redisDatabases,
		"--save", "", "--appendfsync", "no", "--appendonly", appendOnly(dir), "--dir", cmp.Or(dir, os.TempDir())))
	if err != nil {
		return nil, err
	}
	p := &redisProcess{started, port}
	if err := p.waitReady(ctx, readyTimeout, "Address already in use", p.answers); err != nil {
		p.kill()
		return nil, fmt.Errorf("start Redis (%s): %w", program, err)
	}
	return p, nil
}

func appendOnly(dir string) string {
	if dir == "" {
		return "no"
	}
	return "yes"
}

// answers asks whoever listens who it is: it might be another test's Redis,
// before ours has noticed.
func (p *redisProcess) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("INFO server\r\n")); err != nil {
		return err
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		pid, found := strings.CutPrefix(lines.Text(), "process_id:")
		switch {
		case !found:
		case pid == strconv.Itoa(p.cmd.Process.Pid):
			return nil
		default:
			return errPortTaken
		}
	}
	return cmp.Or(lines.Err(), io.ErrUnexpectedEOF)
}

func redisAddress(port int) string { return fmt.Sprintf("redis://127.0.0.1:%d/0", port) }
