package natsbroker_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

func TestEachWayToLogInServes(t *testing.T) {
	t.Parallel()
	file := func(text string) string { return write(t, filepath.Join(t.TempDir(), "secret"), text) }
	users := "authorization: {user: lectern, password: secret}"
	server, credentials := operated(t)
	for name, tc := range map[string]struct {
		server  string
		options []any
	}{
		"user and password":          {users, []any{"login", map[string]any{"user": "lectern", "password": "secret"}}},
		"user, and password by file": {users, []any{"login", map[string]any{"user": "lectern", "password_file": file("secret\n")}}},
		"token":                      {"authorization: {token: secret}", []any{"token", "secret"}},
		"token by file":              {"authorization: {token: secret}", []any{"token_file", file("secret\n")}},
		"credentials":                {server, []any{"credentials_file", file(credentials)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stack.StartNATS(t, tc.server)
			b := prepared(t, stack.NATSStreams{Address: s.Address(), Prefix: "test."}, tc.options...)
			require.NoError(t, b.Publish("topic", jobs(1)...))
		})
	}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// Nobody has to be started again.
func TestASecretThatChangedIsReadForTheNextConnection(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		server  string // with the secret to come
		options func(file string) []any
	}{
		"password": {"authorization: {user: lectern, password: %s}", func(file string) []any {
			return []any{"login", map[string]any{"user": "lectern", "password_file": file}}
		}},
		"token": {"authorization: {token: %s}", func(file string) []any { return []any{"token_file", file} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := write(t, filepath.Join(t.TempDir(), "secret"), "first\n")
			s := stack.StartNATS(t, fmt.Sprintf(tc.server, "first"))
			b := prepared(t, stack.NATSStreams{Address: s.Address(), Prefix: "test."}, tc.options(file)...)
			_, msgs := subscribe(t, b)

			s.Kill()
			s.Configure(fmt.Sprintf(tc.server, "second"))
			s.Start()
			refused := func() bool { return strings.Contains(fmt.Sprint(b.Ping(t.Context())), "Authorization") }
			require.Eventually(t, refused, patience, tick)
			require.NoError(t, os.Remove(file))
			require.Never(t, func() bool { return b.Ping(t.Context()) == nil }, time.Second, tick)
			write(t, file, "second\n")
			require.Eventually(t, func() bool { return b.Ping(t.Context()) == nil }, patience, tick)
			require.NoError(t, b.Publish("topic", jobs(1)...))
			require.True(t, receive(t, msgs).Ack())
		})
	}
}

// operated returns the configuration of a server that trusts an operator, and
// what a user needs whom one of its accounts let in.
func operated(t *testing.T) (server, credentials string) {
	t.Helper()
	pair := func(make func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
		p, err := make()
		require.NoError(t, err)
		public, err := p.PublicKey()
		require.NoError(t, err)
		return p, public
	}
	encode := func(claims jwt.Claims, by nkeys.KeyPair) string {
		token, err := claims.Encode(by)
		require.NoError(t, err)
		return token
	}
	operator, operatorKey := pair(nkeys.CreateOperator)
	account, accountKey := pair(nkeys.CreateAccount)
	_, systemKey := pair(nkeys.CreateAccount)
	user, userKey := pair(nkeys.CreateUser)
	ours := jwt.NewAccountClaims(accountKey)
	ours.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, Streams: -1, Consumer: -1}
	seed, err := user.Seed()
	require.NoError(t, err)
	file, err := jwt.FormatUserConfig(encode(jwt.NewUserClaims(userKey), account), seed)
	require.NoError(t, err)
	return fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: {%s: %s\n%s: %s}",
		encode(jwt.NewOperatorClaims(operatorKey), operator), systemKey, accountKey, encode(ours, operator),
		systemKey, encode(jwt.NewAccountClaims(systemKey), operator)), string(file)
}

// The first call says so too. The password is in nothing that is said.
func TestAWrongPasswordIsSaidToBeTheReason(t *testing.T) {
	t.Parallel()
	s := stack.StartNATS(t, "authorization: {user: lectern, password: secret}")
	b := open(t, stack.NATSStreams{Address: s.Address(), Prefix: "test."}, map[string]any{
		"login": map[string]any{"user": "lectern", "password": "mistaken"},
	})
	require.EqualError(t, b.Ping(t.Context()), "reach broker: not connected to "+host(s.Address())+": nats: Authorization Violation")
}

func TestASecretThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	for key, options := range map[string]map[string]any{
		"login.password_file": {"login": map[string]any{"password_file": missing}},
		"token_file":          {"token_file": missing},
		"credentials_file":    {"credentials_file": missing},
		"tls.ca_file":         {"tls": map[string]any{"enabled": true, "ca_file": missing}},
	} {
		options["addresses"] = []any{"127.0.0.1:1"}
		require.ErrorContains(t, tryOpen(t, options), key)
	}
}

func TestTLSIsUsedWhenItIsEnabled(t *testing.T) {
	t.Parallel()
	certificate, key := certified(t)
	s := stack.StartNATS(t, fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", certificate, key))
	streams := stack.NATSStreams{Address: s.Address(), Prefix: "test."}
	b := prepared(t, streams, "tls", map[string]any{"enabled": true, "ca_file": certificate})
	require.NoError(t, b.Publish("topic", jobs(1)...))
	b = open(t, streams, map[string]any{"tls": map[string]any{"enabled": true}})
	require.Eventually(t, func() bool { return strings.Contains(fmt.Sprint(b.Ping(t.Context())), "unknown authority") }, patience, tick)
}

// certified returns the files of a certificate for 127.0.0.1 and of its key.
func certified(t *testing.T) (certificate, key string) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pair := s.TLS.Certificates[0]
	pkcs8, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600))
		return path
	}
	return write("cert.pem", "CERTIFICATE", pair.Certificate[0]), write("key.pem", "PRIVATE KEY", pkcs8)
}

// configs/nats.yaml names them.
func TestThePermissionsThatTheConfigNamesAreEnough(t *testing.T) {
	t.Parallel()
	s := stack.StartNATS(t, `authorization: {users: [{user: lectern, password: secret, permissions:
		{publish: ["lectern.>", "$JS.API.>", "$JS.ACK.>"], subscribe: ["_INBOX.>"]}}]}`)
	b := prepared(t, stack.NATSStreams{Address: s.Address(), Prefix: "lectern."},
		"login", map[string]any{"user": "lectern", "password": "secret"}, "retry_delay", "1ms", "max_deliveries", 1)
	require.NoError(t, b.Publish("topic", jobs(2)...))
	sub, msgs := subscribe(t, b)
	require.True(t, receive(t, msgs).Ack())
	require.True(t, receive(t, msgs).Nack())
	require.NoError(t, sub.Close())
	for topic, pending := range map[string]int64{"topic": 0, "topic_dead": 1} {
		states, err := b.Topics(t.Context(), []string{topic}, []string{"group", "dead"})
		require.NoError(t, err)
		require.Equal(t, pending, states[0].Groups[0].Pending+states[0].Groups[1].Pending, topic)
	}
}
