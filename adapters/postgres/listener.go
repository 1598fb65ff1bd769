package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/ports"
)

var (
	_ ports.EntryListener = (*Listener)(nil)
	_ ports.EventListener = (*Listener)(nil)
)

const (
	checkEvery  = 10 * time.Second // of silence
	hearTimeout = 5 * time.Second
)

// ear is a channel to listen on, and what to do where nothing is heard there.
type ear struct{ channel, advice string }

// errDeaf is what a dead network looks like, and a pooler that gives each
// transaction another session: LISTEN succeeds there, and nothing ever comes.
func (e ear) errDeaf() error {
	return errors.New("what is sent does not arrive: the network is gone, or a pooler in transaction mode such as PgBouncer lies between (then " +
		e.advice + ")")
}

// Listener implements ports.EntryListener and ports.EventListener by LISTEN on a
// connection of its own for each.
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
	e := ear{entryChannel, "let postgres.relay_dsn lead to Postgres itself, or set relay.listen to false"}
	err := l.listen(ctx, e, ready, func(what string) {
		// Its own relay knows already.
		if who, isNews := strings.CutPrefix(what, newEntries); isNews && who != l.sender.self {
			heard()
		}
	})
	return fmt.Errorf("listen for entries: %w", err)
}

// ListenForEvents implements ports.EventListener.
func (l *Listener) ListenForEvents(ctx context.Context, ready func(), heard func(courses ...uuid.UUID)) error {
	e := ear{eventChannel, "let postgres.app_dsn lead to Postgres itself, or set watch.listen to false"}
	err := l.listen(ctx, e, ready, func(what string) {
		news, isNews := strings.CutPrefix(what, newEvents)
		if who, ids, _ := strings.Cut(news, ":"); isNews && who != l.sender.self {
			heard(readIDs(ids)...)
		}
	})
	return fmt.Errorf("listen for events: %w", err)
}

// readIDs leaves out what is none: whoever can log in may send anything.
func readIDs(list string) []uuid.UUID {
	var ids []uuid.UUID
	for text := range strings.SplitSeq(list, ",") {
		if id, err := uuid.Parse(text); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// listen tells what is sent until nothing is heard any more, and returns why.
func (l *Listener) listen(ctx context.Context, e ear, ready func(), tell func(what string)) error {
	conn, err := l.connect(ctx, e)
	if err != nil {
		return asDomain(err)
	}
	defer l.close(ctx, conn)
	if err := l.check(ctx, conn, e, tell); err != nil {
		return err
	}
	ready()
	for err == nil {
		var what string
		switch what, err = l.next(ctx, conn, l.CheckEvery); {
		case err == nil:
			tell(what)
		case ctx.Err() == nil && !conn.IsClosed(): // silence
			err = l.check(ctx, conn, e, tell)
		}
	}
	return asDomain(err)
}

func (l *Listener) connect(ctx context.Context, e ear) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.HearTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, l.config)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "listen "+e.channel); err != nil {
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
func (l *Listener) check(ctx context.Context, conn *pgx.Conn, e ear, tell func(what string)) error {
	limited, cancel := context.WithTimeout(ctx, l.HearTimeout)
	defer cancel()
	if err := l.sender.send(limited, []string{e.channel}, []string{probe + l.sender.self}); err != nil {
		return err
	}
	what, err := l.next(limited, conn, l.HearTimeout)
	switch {
	case err == nil:
		tell(what)
		return nil
	case ctx.Err() != nil || conn.IsClosed():
		return err
	}
	return e.errDeaf()
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
