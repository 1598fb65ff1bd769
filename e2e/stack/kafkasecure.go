package stack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// SecureKafka is a Kafka that wants TLS and a login, by PLAIN or SCRAM.
type SecureKafka struct {
	*KafkaServer
	CAFile         string // PEM, of the authority that signed its certificate
	User, Password string
}

// SecureAddress is the host:port that wants TLS and a login; Address wants neither.
func (s SecureKafka) SecureAddress() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.node.port+2))
}

// StartSecureKafka is StartKafka with a second listener, for TLS and logins.
func StartSecureKafka(tb testing.TB) SecureKafka {
	tb.Helper()
	secure := &kafkaSecurity{user: "alice", password: "secret-" + strings.ToLower(rand.Text())}
	server := startKafkaServer(tb, secure)
	return SecureKafka{server, server.node.file(kafkaCA), secure.user, secure.password}
}

const (
	kafkaCA       = "ca.pem"
	kafkaKeystore = "keystore.pem"
)

type kafkaSecurity struct{ user, password string }

const kafkaSecureSettings = `
listeners=CONTROLLER://127.0.0.1:{controller},INTERNAL://127.0.0.1:{internal},SECURE://127.0.0.1:{secure}
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
listener.name.secure.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
`

// settings are those beside kafkaSettings; the later of two that are alike counts.
func (s *kafkaSecurity) settings(dir string, port int) (string, error) {
	ca, keystore, err := selfSigned()
	if err != nil {
		return "", fmt.Errorf("make certificate: %w", err)
	}
	for name, content := range map[string][]byte{kafkaCA: ca, kafkaKeystore: keystore} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return "", err
		}
	}
	return strings.NewReplacer("{secure}", strconv.Itoa(port), "{controller}", strconv.Itoa(port-1), "{internal}", strconv.Itoa(port-2),
		"{keystore}", filepath.Join(dir, kafkaKeystore), "{user}", s.user, "{password}", s.password).Replace(kafkaSecureSettings), nil
}

func (s *kafkaSecurity) formatArgs() []string {
	args := make([]string, 0, 4)
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, s.user, s.password))
	}
	return args
}

// selfSigned makes a certificate for 127.0.0.1 that is its own authority, and
// the same with its key.
func selfSigned() (ca, keystore []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "Kafka of a test"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return ca, append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), ca...), nil
}
