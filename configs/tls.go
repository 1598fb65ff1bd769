package configs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLS is a section of an adapter's options: how to talk to a server in private.
type TLS struct {
	// Enabled turns TLS on; all else needs it.
	Enabled bool `koanf:"enabled"`

	// CAFile is a PEM file of the authorities that may have signed the server's
	// certificate; empty for the system's.
	CAFile string `koanf:"ca_file"`

	// CertFile and KeyFile are PEM files of our own certificate, for servers
	// that ask for one; both or neither.
	CertFile string `koanf:"cert_file"`
	KeyFile  string `koanf:"key_file"`

	// ServerName is the name in the server's certificate; empty for the host
	// of the address.
	ServerName string `koanf:"server_name"`

	// InsecureSkipVerify accepts any certificate, a stranger's too.
	InsecureSkipVerify bool `koanf:"insecure_skip_verify"`
}

// Validate says what is wrong, without a look at the files.
func (t TLS) Validate() error {
	if !t.Enabled && t != (TLS{}) {
		return errors.New("tls.enabled must be true beside other keys of tls")
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return errors.New("tls.cert_file and tls.key_file must be given together")
	}
	return nil
}

// Config reads the files. It returns nil while TLS is off.
func (t TLS) Config() (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify, //nolint:gosec // somebody asked for it by name
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read tls.ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read tls.ca_file: %s holds no certificate in PEM form", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read tls.cert_file and tls.key_file: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
