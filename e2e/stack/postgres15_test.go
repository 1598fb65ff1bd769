package stack_test

import (
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

const majorVersion = "SELECT current_setting('server_version_num')::int / 10000"

func TestPostgres15IsOfItsVersionAndGoesWithItsTest(t *testing.T) {
	temp := stack.Dir(t)
	t.Setenv("TMPDIR", temp)
	t.Setenv(stack.Postgres15Variable, "")
	var db *stack.DB
	t.Run("a test", func(t *testing.T) {
		db = stack.Postgres15(t, "broker")
		require.Equal(t, 15, query[int](t, db.Owner, majorVersion))
		run(t, db.Broker, "CREATE TABLE broker.messages ()")
	})
	_, err := pgx.Connect(t.Context(), db.Owner)
	require.Error(t, err)
	left, err := filepath.Glob(filepath.Join(temp, "lectern-stack-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestPostgres15IsTheServerThatTheEnvironmentNames(t *testing.T) {
	t.Setenv(stack.Postgres15Variable, stack.Postgres15(t).Superuser)
	first, second := stack.Postgres15(t), stack.Postgres15(t)
	for _, db := range []*stack.DB{first, second} {
		require.Equal(t, 15, query[int](t, db.App, majorVersion))
	}
	require.NotEqual(t, first.Name, second.Name)
	run(t, first.Owner, "CREATE ROLE lectern_test_made_by_owner; DROP ROLE lectern_test_made_by_owner")
}
