package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/ports"
)

var _ ports.EntryListener = (*Listener)(nil)

const (
	checkEvery  = 10 * time.Second // of silence
	hearTimeout = 5 * time.Second
)

// errDeaf is what a dead network looks like, and a pooler that gives each
// transaction another session: LISTEN succeeds there, and nothing ever comes.
var errDeaf = errors.New("what is sent does not arrive: the network is gone, or a pooler in transaction mode such as PgBouncer lies between " +
	"(then let postgres.relay_dsn lead to Postgres itself, or set relay.listen to false)")

// Listener implements ports.EntryListener by LISTEN on a connection of its own.
type Listener struct {
	CheckEvery  time.Duration // silence after which it sees whether it still hears; 10 s
	HearTimeout time.Duration // for connecting, and for a check; 5 s

	config *pgx.ConnConfig
	sender *Notifier
}

// NewListener makes a listener that logs in as a pool does. It checks whether it
// hears by what the process's notifier sends, and else takes no notice of that.
func NewListener(like *pgxpool.Pool, sender *Notifier) *Listener {
	config := like.Config().ConnConfig
	config.RuntimeParams["application_name"] = "lectern listen"
	config.OnNotification = nil
	return &Listener{CheckEvery: checkEvery, HearTimeout: hearTimeout, config: config, sender: sender}
}

// ListenForEntries implements ports.EntryListener.
func (l *Listener) ListenForEntries(ctx context.Context, ready, heard func()) error {
	conn, err := l.connect(ctx)
	if err != nil {
		return fmt.Errorf("listen for entries: %w", asDomain(err))
	}
	defer l.close(ctx, conn)
	if err := l.check(ctx, conn, heard); err != nil {
		return fmt.Errorf("listen for entries: %w", err)
	}
	ready()
	for err == nil {
		var n string
		switch n, err = l.next(ctx, conn, l.CheckEvery); {
		case err == nil:
			l.tell(n, heard)
		case ctx.Err() == nil && !conn.IsClosed(): // silence
			err = l.check(ctx, conn, heard)
		}
	}
	return fmt.Errorf("listen for entries: %w", asDomain(err))
}

func (l *Listener) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.HearTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, l.config)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "listen "+channel); err != nil {
		l.close(ctx, conn)
		return nil, err
	}
	return conn, nil
}

func (l *Listener) close(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // it is of no use any more
}

// check sends from another session, and returns nil once anything arrives. A
// round trip on the connection itself would not do: it works with a pooler.
func (l *Listener) check(ctx context.Context, conn *pgx.Conn, heard func()) error {
	limited, cancel := context.WithTimeout(ctx, l.HearTimeout)
	defer cancel()
	if err := l.sender.send(limited, probe+l.sender.self); err != nil {
		return err
	}
	n, err := l.next(limited, conn, l.HearTimeout)
	switch {
	case err == nil:
		l.tell(n, heard)
		return nil
	case ctx.Err() != nil || conn.IsClosed():
		return err
	}
	return errDeaf
}

func (*Listener) next(ctx context.Context, conn *pgx.Conn, within time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	n, err := conn.WaitForNotification(ctx)
	if err != nil {
		return "", err
	}
	return n.Payload, nil
}

// tell passes on what another process has sent. Its own relay knows already.
func (l *Listener) tell(what string, heard func()) {
	if who, isNews := strings.CutPrefix(what, newEntries); isNews && who != l.sender.self {
		heard()
	}
}
