package redisbroker_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
	"lectern/ports"
)

func TestAFullServerMakesPublishingUnavailable(t *testing.T) {
	t.Parallel()
	address := stack.StartRedis(t).Address()
	b, outside := open(t, address, map[string]any{}), admin(t, address)
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	require.NoError(t, outside.ConfigSet(t.Context(), "maxmemory", "1").Err())
	requireFailed(t, ports.Unavailable, b.Publish("topic", jobs(2)...), 2)

	require.NoError(t, outside.ConfigSet(t.Context(), "maxmemory", "0").Err())
	require.NoError(t, b.Publish("topic", jobs(2)...))
}

func TestAReplicaMakesPublishingUnavailable(t *testing.T) {
	t.Parallel()
	address := stack.StartRedis(t).Address()
	b, outside := open(t, address, map[string]any{}), admin(t, address)
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	require.NoError(t, outside.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err())
	requireFailed(t, ports.Unavailable, b.Publish("topic", jobs(1)...), 1)
}

func TestAKeyThatIsNoStreamRefusesMessages(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{})
	require.NoError(t, s.outside.Set(t.Context(), prefix+"text", "value", 0).Err())
	requireFailed(t, ports.Refused, s.Publish("text", jobs(1)...), 1)
	require.ErrorContains(t, s.Prepare(t.Context(), []string{"text"}, []string{"group"}), `"lectern:text"`)
}

// Publishing makes no stream, where nobody would look.
func TestPublishingToNobodyMakesNoStream(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{})
	requireFailed(t, ports.Refused, s.Publish("unknown", jobs(1)...), 1)
	require.Zero(t, s.outside.Exists(t.Context(), prefix+"unknown").Val())
}

// A server that lost its data is no reason to give up messages for good.
func TestAStreamThatVanishedMakesPublishingUnavailable(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{})
	_, msgs := subscribe(t, s.Broker)
	require.NoError(t, s.outside.FlushDB(t.Context()).Err())
	requireFailed(t, ports.Unavailable, s.Publish("topic", jobs(1)...), 1)

	require.NoError(t, s.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	sent := s.publish(t, 1)
	m := receive(t, msgs)
	require.Equal(t, sent[0].UUID, m.UUID, "its consumers go on")
	require.True(t, m.Ack())
}

// The server has all three; we know of the first two.
func TestOnlyMessagesWithoutAnAnswerFailWhenTheConnectionIsLost(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{})
	at, err := url.Parse(s.address)
	require.NoError(t, err)
	at.Host = relayAnswers(t, at.Host, 2)
	b := open(t, at.String(), map[string]any{})
	sent := jobs(3)
	err = b.Publish("topic", sent...)
	requireFailed(t, ports.Unavailable, err, 1)
	require.ErrorContains(t, err, sent[2].UUID)
}

// relayAnswers passes everything on to a server, and of its answers those up to
// the nth id of an entry. Then it closes.
func relayAnswers(t *testing.T, server string, ids int) string {
	t.Helper()
	return relay(t, listen(t), server, func(to io.Writer, from io.Reader) {
		lines := bufio.NewReader(from)
		for left := ids; left > 0; {
			line, err := lines.ReadString('\n')
			if _, _ = io.WriteString(to, line); err != nil {
				return
			}
			if first, _, found := strings.Cut(line, "-"); found && len(first) == 13 {
				left--
			}
		}
	})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return listener
}

// relay leads to a server, whose answers are passed on by a function.
func relay(t *testing.T, listener net.Listener, server string, answers func(to io.Writer, from io.Reader)) string {
	t.Helper()
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	t.Cleanup(func() { _ = listener.Close() })
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := new(net.Dialer).DialContext(context.WithoutCancel(t.Context()), "tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			running.Go(func() { _, _ = io.Copy(upstream, client); _ = upstream.Close() })
			running.Go(func() { answers(client, upstream); _ = client.Close() })
		}
	})
	return listener.Addr().String()
}

func TestLoginAndTLS(t *testing.T) {
	t.Parallel()
	address := stack.StartRedis(t).Address()
	outside := admin(t, address)
	require.NoError(t, outside.Do(t.Context(), "ACL", "SETUSER", "lectern", "on", ">right", "~lectern:*", "+xadd", "+xreadgroup", "+xack",
		"+xclaim", "+xpending", "+xrange", "+xtrim", "+xgroup", "+xinfo", "+hello", "+auth", "+select", "+ping", "+eval", "+evalsha").Err())
	require.NoError(t, outside.ConfigSet(t.Context(), "requirepass", "another").Err())
	at, err := url.Parse(address)
	require.NoError(t, err)
	ca, certificate := selfSigned(t)
	private := tls.NewListener(listen(t), &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	at.Host = relay(t, private, at.Host, func(to io.Writer, from io.Reader) { _, _ = io.Copy(to, from) })
	right := write(t, "right\n")
	tlsOn := map[string]any{"enabled": true, "ca_file": ca}

	b := open(t, at.String(), map[string]any{"tls": tlsOn, "login": map[string]any{"user": "lectern", "password_file": right}, "lease": "100ms"})
	require.NoError(t, b.Ping(t.Context()))
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	sub, msgs := subscribe(t, b)
	require.NoError(t, b.Publish("topic", jobs(2)...))
	require.True(t, receive(t, msgs).Nack())
	require.True(t, receive(t, msgs).Ack())
	require.True(t, receive(t, msgs).Ack())
	require.NoError(t, sub.Close())
	_, err = b.Topics(t.Context(), []string{"topic"}, []string{"group"})
	require.NoError(t, err)

	for name, raw := range map[string]map[string]any{
		"a wrong password":  {"tls": tlsOn, "login": map[string]any{"user": "lectern", "password": "wrong"}},
		"no password":       {"tls": tlsOn},
		"an unknown signer": {"tls": map[string]any{"enabled": true}, "login": map[string]any{"user": "lectern", "password_file": right}},
		"no TLS":            {"login": map[string]any{"user": "lectern", "password_file": right}, "timeout": "200ms"},
	} {
		b := open(t, at.String(), raw)
		require.Error(t, b.Ping(t.Context()), name)
		err := b.Publish("topic", jobs(1)...)
		requireFailed(t, ports.Unavailable, err, 1)
		require.Error(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}), name)
	}
}

// selfSigned returns the file of a certificate for 127.0.0.1, and what a server
// needs of it.
func selfSigned(t *testing.T) (string, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	file := write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return file, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestWhatMayNotBeMadeIsMissed(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{})
	b := open(t, s.address, map[string]any{"create_topics": false})
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	err := b.Prepare(t.Context(), []string{"topic", "other"}, []string{"group", "second"})
	require.ErrorContains(t, err, "XGROUP CREATE lectern:topic second 0 MKSTREAM")
	require.ErrorContains(t, err, "XGROUP CREATE lectern:other group 0 MKSTREAM")
	require.ErrorContains(t, err, "XGROUP CREATE lectern:other_dead dead 0 MKSTREAM")
	require.Zero(t, s.outside.Exists(t.Context(), prefix+"other").Val())
}

func TestTopicsAndGroupsCanHaveOtherNamesOnTheServer(t *testing.T) {
	t.Parallel()
	address := stack.Redis(t)
	outside := admin(t, address)
	b := open(t, address, map[string]any{"topic_prefix": "jobs.", "groups": map[string]any{"group": "renamed"}})
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	groups, err := outside.XInfoGroups(t.Context(), "jobs.topic").Result()
	require.NoError(t, err)
	require.Equal(t, "renamed", groups[0].Name)
	require.EqualValues(t, 1, outside.Exists(t.Context(), "jobs.topic_dead").Val())

	sent := jobs(1)
	require.NoError(t, b.Publish("topic", sent...))
	_, msgs := subscribe(t, b)
	m := receive(t, msgs)
	require.Equal(t, sent[0].UUID, m.UUID)
	require.True(t, m.Ack())
	states, err := b.Topics(t.Context(), []string{"topic"}, []string{"group"})
	require.NoError(t, err)
	require.True(t, states[0].Groups[0].Exists)
	require.Equal(t, "group", states[0].Groups[0].Group)
}

func TestTopicsCountsMoreThanAPage(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{})
	s.publish(t, 2500)
	s.take(t, "someone", 100)
	states, err := s.Topics(t.Context(), []string{"topic"}, []string{"group"})
	require.NoError(t, err)
	require.EqualValues(t, 2500, states[0].Groups[0].Pending)
	require.Contains(t, states[0].Detail, "lectern:topic")
}
