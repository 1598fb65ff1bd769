package stack

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	random "math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// s3Stranger is the access key of an account that may log in, and do nothing.
const s3Stranger = "stranger"

// s3Node is a running S3 server, and its folder.
type s3Node struct {
	program string
	dir     string
	port    int
	access  string // of this server alone, which is how it is known
	secret  string // of all its accounts
	process *process
}

// launchS3 finds a port. It can't be known to be free before the server has it.
func launchS3(ctx context.Context) (*s3Node, error) {
	program, err := s3Program(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := tempDir()
	if err != nil {
		return nil, err
	}
	node := &s3Node{program: program, dir: dir, access: strings.ToLower(rand.Text()), secret: rand.Text()}
	err = node.makeFolders()
	for try := 0; err == nil && try < portTries; try++ {
		node.port = firstPort + random.IntN(ports)
		launched := node.launch(ctx)
		if !errors.Is(launched, errPortTaken) {
			err = launched
			break
		}
	}
	if err == nil && node.process == nil {
		err = errPortTaken
	}
	if err != nil {
		return nil, errors.Join(err, node.remove())
	}
	return node, nil
}

// makeFolders makes what the server keeps: accounts, objects, and what belongs
// to objects, which could be attributes of their files but not in every folder.
func (n *s3Node) makeFolders() error {
	for _, name := range []string{"accounts", "objects", "meta"} {
		if err := os.Mkdir(filepath.Join(n.dir, name), 0o700); err != nil {
			return fmt.Errorf("make the folders of S3: %w", err)
		}
	}
	stranger := map[string]string{"access": s3Stranger, "secret": n.secret, "role": "user"}
	text, err := json.Marshal(map[string]any{"accessAccounts": map[string]any{s3Stranger: stranger}})
	if err == nil {
		err = os.WriteFile(filepath.Join(n.dir, "accounts", "users.json"), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("make the accounts of S3: %w", err)
	}
	return nil
}

// launch returns once the server answers. It outlives the context.
func (n *s3Node) launch(ctx context.Context) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), n.program,
		"--port", n.host(), "--quiet", "--keep-alive", "--iam-dir", filepath.Join(n.dir, "accounts"),
		"posix", "--sidecar", filepath.Join(n.dir, "meta"), filepath.Join(n.dir, "objects"))
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+n.access, "ROOT_SECRET_KEY="+n.secret)
	p, err := startProcess(cmd)
	if err != nil {
		return fmt.Errorf("start S3: %w", err)
	}
	if err := p.waitReady(ctx, readyTimeout, "address already in use", n.answers); err != nil {
		p.kill()
		return fmt.Errorf("start S3: %w", err)
	}
	n.process = p
	return nil
}

// answers asks for what only our server tells us: it might be another test's
// that listens, before ours has noticed.
func (n *s3Node) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	client, err := s3Client(n.address(), 1)
	if err != nil {
		return err
	}
	_, err = client.ListBuckets(ctx)
	if code := minio.ToErrorResponse(err).Code; code == minio.InvalidAccessKeyID || code == minio.SignatureDoesNotMatch {
		return errPortTaken
	}
	return err
}

// s3Client logs in where an address leads.
func s3Client(address string, tries int) (*minio.Client, error) {
	at, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("read the address of S3: %w", err)
	}
	secret, _ := at.User.Password()
	return minio.New(at.Host, &minio.Options{
		Creds: credentials.NewStaticV4(at.User.Username(), secret, ""), Secure: at.Scheme == "https", Region: s3Region, MaxRetries: tries,
	})
}

func (n *s3Node) host() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

func (n *s3Node) address() string {
	at := url.URL{Scheme: "http", User: url.UserPassword(n.access, n.secret), Host: n.host()}
	return at.String()
}

func (n *s3Node) stop() error {
	n.process.kill()
	return n.remove()
}

func (n *s3Node) remove() error {
	if err := os.RemoveAll(n.dir); err != nil {
		return fmt.Errorf("remove the folder of S3: %w", err)
	}
	return nil
}
