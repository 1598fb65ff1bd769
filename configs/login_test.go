package configs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/configs"
)

func TestALoginComesFromTheConfigOrFromFiles(t *testing.T) {
	t.Parallel()
	user, password, err := configs.Login{User: "u", PasswordFile: write(t, " p w\r\n")}.Read()
	require.NoError(t, err)
	require.Equal(t, "u", user)
	require.Equal(t, " p w", password)

	user, password, err = configs.Login{UserFile: write(t, "u2\n"), Password: "p"}.Read()
	require.NoError(t, err)
	require.Equal(t, "u2", user)
	require.Equal(t, "p", password)

	key, err := configs.Secret("k").OrFile("key_file", "")
	require.NoError(t, err)
	require.Equal(t, "k", key)
	key, err = configs.Secret("").OrFile("key_file", write(t, "k2\n"))
	require.NoError(t, err)
	require.Equal(t, "k2", key)

	_, _, err = configs.Login{PasswordFile: "/nowhere/to/be/found"}.Read()
	require.ErrorContains(t, err, "login.password_file")
	require.ErrorContains(t, configs.Login{User: "u", UserFile: "f"}.Validate(), "login.user_file")
	require.ErrorContains(t, configs.Login{Password: "p", PasswordFile: "f"}.Validate(), "login.password_file")
}

func TestASecretIsNeverShown(t *testing.T) {
	t.Parallel()
	login := configs.Login{User: "u", Password: "hush"}
	text, err := json.Marshal(login)
	require.NoError(t, err)
	for _, shown := range []string{string(text), fmt.Sprint(login), fmt.Sprintf("%v %+v %#v %s", login, login, login, login.Password)} {
		require.NotContains(t, shown, "hush")
		require.Contains(t, shown, configs.Hidden)
	}
	require.Empty(t, configs.Secret("").String())
}

func TestTLSReadsItsFiles(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	config, err := configs.TLS{Enabled: true, CAFile: cert, CertFile: cert, KeyFile: key, ServerName: "broker"}.Config()
	require.NoError(t, err)
	require.NotNil(t, config.RootCAs)
	require.Len(t, config.Certificates, 1)
	require.Equal(t, "broker", config.ServerName)
	require.False(t, config.InsecureSkipVerify)

	config, err = configs.TLS{}.Config()
	require.NoError(t, err)
	require.Nil(t, config)

	for says, bad := range map[string]configs.TLS{
		"read tls.ca_file":       {Enabled: true, CAFile: "/nowhere/to/be/found"},
		"holds no certificate":   {Enabled: true, CAFile: key},
		"tls.cert_file and tls.": {Enabled: true, CertFile: key, KeyFile: key},
	} {
		_, err := bad.Config()
		require.ErrorContains(t, err, says)
	}
	require.ErrorContains(t, configs.TLS{CAFile: "f"}.Validate(), "tls.enabled")
	require.ErrorContains(t, configs.TLS{Enabled: true, CertFile: "f"}.Validate(), "tls.key_file")
	require.NoError(t, configs.TLS{Enabled: true}.Validate())
}

// certificate returns the files of one that signed itself.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		write(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}
