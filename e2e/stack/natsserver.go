package stack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// natsTool is the server's program, which is written in Go: go.mod says which
// version, and the go command builds it once and keeps it. It runs as a process
// of its own, so that it can be killed and no test links it.
const natsTool = "nats-server"

func natsProgram(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "tool", "-n", natsTool)
	said := &bytes.Buffer{}
	cmd.Stderr = said
	path, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build %s by `go tool -n`, inside of the repository: %w; it said:\n%s", natsTool, err, said)
	}
	return strings.TrimSpace(string(path)), nil
}

// natsNode is a folder of a NATS server, running or not.
type natsNode struct {
	program string
	dir     string
	port    int
	name    string
	process *process // nil while down
}

// launchNATSSomewhere finds a port. It can't be known to be free before the
// server has it.
func launchNATSSomewhere(ctx context.Context, config string) (*natsNode, error) {
	program, err := natsProgram(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := tempDir()
	if err != nil {
		return nil, err
	}
	node := &natsNode{program: program, dir: dir, name: uuid.NewString()}
	for range portTries {
		node.port = firstPort + rand.IntN(ports)
		if err = node.configure(config); err == nil {
			err = node.launch(ctx)
		}
		if !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, node.remove())
	}
	return node, nil
}

func (n *natsNode) configure(more string) error {
	settings := fmt.Sprintf("server_name: %q\nlisten: \"127.0.0.1:%d\"\njetstream: {store_dir: %q}\n%s\n",
		n.name, n.port, filepath.Join(n.dir, "store"), more)
	if err := os.WriteFile(n.file(), []byte(settings), 0o600); err != nil {
		return fmt.Errorf("configure NATS: %w", err)
	}
	return nil
}

// launch returns once the server answers. It outlives the context.
func (n *natsNode) launch(ctx context.Context) error {
	p, err := startProcess(exec.CommandContext(context.WithoutCancel(ctx), n.program, "-c", n.file()))
	if err != nil {
		return fmt.Errorf("start NATS: %w", err)
	}
	if err := p.waitReady(ctx, readyTimeout, "address already in use", n.answers); err != nil {
		p.kill()
		return fmt.Errorf("start NATS: %w", err)
	}
	n.process = p
	return nil
}

// answers reads who listens: it might be another test's NATS, before ours has
// noticed. A server listens when its streams are there.
func (n *natsNode) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", n.host())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	if err != nil {
		return err
	}
	var info struct {
		Name string `json:"server_name"`
	}
	if err := json.Unmarshal(bytes.TrimPrefix(line, []byte("INFO ")), &info); err != nil || info.Name != n.name {
		return errPortTaken
	}
	return nil
}

func (n *natsNode) kill() {
	if n.process != nil {
		n.process.kill()
		n.process = nil
	}
}

func (n *natsNode) host() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

func (n *natsNode) address() string { return "nats://" + n.host() }

func (n *natsNode) file() string { return filepath.Join(n.dir, "nats.conf") }

func (n *natsNode) remove() error {
	if err := os.RemoveAll(n.dir); err != nil {
		return fmt.Errorf("remove the folder of NATS: %w", err)
	}
	return nil
}
