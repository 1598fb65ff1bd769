package kafkabroker

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"lectern/configs"
)

// dial opens a connection to a broker; nil is the usual way.
type dial func(ctx context.Context, network, address string) (net.Conn, error)

// clientOptions are those of every client of a broker. It reads the files that
// the options name.
func clientOptions(o Options, log *slog.Logger, dialer dial) ([]kgo.Opt, error) {
	config, err := o.TLS.Config()
	if err != nil {
		return nil, err
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(o.Addresses...),
		kgo.ClientID("lectern"),
		kgo.SoftwareNameAndVersion("lectern", "devel"),
		kgo.DisableClientMetrics(),
		kgo.WithLogger(logger{log}),
		kgo.DialTimeout(o.Timeout),
		kgo.RequestTimeoutOverhead(max(o.Timeout/2, 100*time.Millisecond)), // its least
		kgo.RetryTimeout(o.Timeout),
		kgo.MetadataMinAge(250 * time.Millisecond), // of retries, when something is not there yet
		kgo.RetryBackoffFn(retryBackoff),
	}
	switch {
	case dialer != nil:
		opts = append(opts, kgo.Dialer(dialer))
	case config != nil:
		opts = append(opts, kgo.DialTLSConfig(config))
	}
	if o.SASLMechanism == "" {
		return opts, nil
	}
	if _, _, err := o.Login.Read(); err != nil {
		return nil, err
	}
	return append(opts, kgo.SASL(mechanism(o.SASLMechanism, o.Login))), nil
}

// mechanism reads the login anew for each connection: passwords change.
func mechanism(name string, login configs.Login) sasl.Mechanism {
	byScram := func(context.Context) (scram.Auth, error) {
		user, password, err := login.Read()
		return scram.Auth{User: user, Pass: password}, err
	}
	switch name {
	case scramSHA256Mechanism:
		return scram.Sha256(byScram)
	case scramSHA512Mechanism:
		return scram.Sha512(byScram)
	}
	return plain.Plain(func(context.Context) (plain.Auth, error) {
		user, password, err := login.Read()
		return plain.Auth{User: user, Pass: password}, err
	})
}

// retryBackoff is shorter at first than the library's own, which begins at
// 250 ms: what is not there yet (a leader, a coordinator) mostly is soon.
func retryBackoff(fails int) time.Duration {
	return min(25*time.Millisecond<<min(fails, 8), 2500*time.Millisecond)
}

// logger passes on what the library says, for who looks for it: what matters
// to an operator comes as errors, and is logged where they are handled.
type logger struct{ log *slog.Logger }

// Level implements kgo.Logger.
func (l logger) Level() kgo.LogLevel {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		return kgo.LogLevelInfo
	}
	return kgo.LogLevelNone
}

// Log implements kgo.Logger.
func (l logger) Log(level kgo.LogLevel, said string, keyvals ...any) {
	l.log.Debug(fmt.Sprintf("Kafka client (%s): %s", level, said), keyvals...)
}
