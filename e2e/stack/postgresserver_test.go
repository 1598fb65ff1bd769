package stack_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

func TestPostgresOfATestKeepsItsDataThroughAStop(t *testing.T) {
	t.Parallel()
	server := stack.StartPostgres(t)
	db := server.Database(t, "broker")
	run(t, db.Broker, "CREATE TABLE broker.kept AS SELECT 7 AS n")

	server.Stop()
	server.Stop() // one that is down stays so
	_, err := pgx.Connect(t.Context(), db.Broker)
	require.Error(t, err)

	server.Start()
	require.Equal(t, 7, query[int](t, db.Broker, "SELECT n FROM broker.kept"))
}
