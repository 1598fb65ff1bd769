package natsbroker

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"lectern/configs"
)

const (
	reconnectWait   = 200 * time.Millisecond
	reconnectJitter = 300 * time.Millisecond
)

// connect returns a connection that is made again whenever it is lost, and for
// the first time when there is a server. What is sent meanwhile fails: kept for
// later, it would be published after Publish has said that it wasn't.
//
// The client holds its lock while it connects and while it writes, so what
// either may take is a part of the timeout; a server that swallows all bytes
// is noticed, by pings, after the timeout.
func (b *Broker) connect() (*nats.Conn, error) {
	opts, log := b.opts, b.log
	tried := make(chan struct{}, 1)
	tell := func() {
		select {
		case tried <- struct{}{}:
		default:
		}
	}
	options := []nats.Option{
		nats.Name("lectern"),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.ReconnectBufSize(-1),
		nats.Timeout(opts.Timeout / 4),
		nats.FlusherTimeout(opts.Timeout / 4),
		nats.ReconnectOnFlusherError(),
		nats.PingInterval(opts.Timeout / 2),
		nats.MaxPingsOutstanding(1),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("Broker reports an error", "error", err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("Broker not reached, trying again", "error", err)
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { b.failure.Store(&err); tell() }),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("Broker reached again"); tell() }),
		nats.ClosedHandler(func(*nats.Conn) { close(b.gone) }),
	}
	more, err := secrets(opts, log)
	if err != nil {
		return nil, err
	}
	conn, err := nats.Connect(strings.Join(opts.Addresses, ","), append(options, more...)...)
	if err != nil {
		return nil, fmt.Errorf("prepare connection: %w", err)
	}
	if !conn.IsConnected() {
		<-tried // the client tells at once why, though on a goroutine of its own
	}
	return conn, nil
}

// secrets returns how to log in, which is read anew for each connection since
// passwords change, and TLS.
func secrets(opts Options, log *slog.Logger) ([]nats.Option, error) {
	note := func(err error) {
		if err != nil {
			log.Warn("Login not read, the broker will refuse it", "error", err)
		}
	}
	var options []nats.Option
	if opts.Login != (configs.Login{}) {
		options = append(options, nats.UserInfoHandler(func() (string, string) {
			user, password, err := opts.Login.Read()
			note(err)
			return user, password
		}))
	}
	if opts.Token != "" || opts.TokenFile != "" {
		options = append(options, nats.TokenHandler(func() string {
			token, err := readToken(opts)
			note(err)
			return token
		}))
	}
	if opts.CredentialsFile != "" {
		options = append(options, nats.UserCredentials(opts.CredentialsFile))
	}
	tls, tlsErr := opts.TLS.Config()
	if tls != nil {
		options = append(options, nats.Secure(tls))
	}
	return options, errors.Join(checkLogin(opts), tlsErr)
}

// checkLogin says at once what can't be read.
func checkLogin(opts Options) error {
	_, _, loginErr := opts.Login.Read()
	_, tokenErr := readToken(opts)
	var credentialsErr error
	if opts.CredentialsFile != "" {
		if _, err := os.Stat(opts.CredentialsFile); err != nil {
			credentialsErr = fmt.Errorf("read credentials_file: %w", err)
		}
	}
	return errors.Join(loginErr, tokenErr, credentialsErr)
}

func readToken(opts Options) (string, error) {
	if opts.TokenFile == "" {
		return string(opts.Token), nil
	}
	_, token, err := configs.Login{PasswordFile: opts.TokenFile}.Read()
	if err != nil {
		return "", fmt.Errorf("read token_file: %w", errors.Unwrap(err))
	}
	return token, nil
}

// unreached says instead of a failure why there is no connection, if there is none.
func (b *Broker) unreached(err error) error {
	if b.conn.IsConnected() {
		return err
	}
	if cause := b.conn.LastError(); cause != nil { // a refused login among others
		err = cause
	} else if cause := b.failure.Load(); cause != nil {
		err = *cause
	}
	return fmt.Errorf("not connected to %s: %w", strings.Join(b.opts.Addresses, ", "), err)
}
