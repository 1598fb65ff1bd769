package postgresbroker

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// openAutocommit returns a database whose transactions are none: each
// statement commits at once and has the timeout. The stock subscriber can then
// hold its transaction while a handler runs, and the server knows nothing of it.
func openAutocommit(config *pgx.ConnConfig, timeout time.Duration) *sql.DB {
	return sql.OpenDB(connector{stdlib.GetConnector(*config), timeout})
}

type connector struct {
	driver.Connector
	timeout time.Duration
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	pgxConn, ok := inner.(*stdlib.Conn)
	if !ok {
		return nil, fmt.Errorf("connect: pgx returned a %T", inner)
	}
	return conn{pgxConn, c.timeout}, nil
}

type conn struct {
	*stdlib.Conn
	timeout time.Duration
}

func (c conn) Begin() (driver.Tx, error) { return noTx{}, nil }

func (c conn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) { return noTx{}, nil }

func (c conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Conn.ExecContext(ctx, query, args)
}

func (c conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	r, err := c.Conn.QueryContext(ctx, query, args)
	if err != nil {
		cancel()
		return nil, err
	}
	return rows{r, cancel}, nil
}

// rows ends its query's timeout when it is closed.
type rows struct {
	driver.Rows
	cancel context.CancelFunc
}

func (r rows) Close() error {
	defer r.cancel()
	return r.Rows.Close()
}

type noTx struct{}

func (noTx) Commit() error   { return nil }
func (noTx) Rollback() error { return nil }
