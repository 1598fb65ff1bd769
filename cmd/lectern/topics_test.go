package main

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

// execAs runs a statement as a role and returns how many rows it touched.
func execAs(t *testing.T, dsn, sql string) int64 {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	tag, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err)
	return tag.RowsAffected()
}

// brokerOn is a config whose broker is in a schema, and which replaces the
// broker in another, if one is given.
func brokerOn(db *stack.DB, schema, old string) []string {
	environ := []string{"LECTERN_CONFIG=postgres", "LECTERN_BROKER__OPTIONS__DSN=" + db.Broker, "LECTERN_BROKER__OPTIONS__SCHEMA=" + schema}
	if old != "" {
		environ = append(environ, "LECTERN_BROKER__ALSO_CONSUME__0__KIND=postgres",
			"LECTERN_BROKER__ALSO_CONSUME__0__OPTIONS__DSN="+db.Broker, "LECTERN_BROKER__ALSO_CONSUME__0__OPTIONS__SCHEMA="+old)
	}
	return environ
}

func TestTopicsAreShownAndMadeWhenAskedFor(t *testing.T) {
	t.Parallel()
	db := stack.Database(t, "current")
	environ := brokerOn(db, "current", "")

	missing := lectern(t, environ, "topics")
	require.Equal(t, exitFailure, missing.code)
	require.Regexp(t, `(?m)^BROKER +TOPIC +STATE +GROUP +PENDING +LAYOUT\nbroker +document-processing +missing +workers +0 +rows of current.messages\n`, missing.stdout)
	require.Equal(t, "lectern: broker (postgres) lacks topics or groups\n  make them: lectern topics --create\n", missing.stderr)
	require.Zero(t, execAs(t, db.Superuser, `select from pg_tables where schemaname = 'current'`), "showing made something")

	made := lectern(t, environ, "topics", "--create")
	require.Zero(t, made.code, made.stderr)
	for _, row := range []string{
		"document-processing +ok +workers", "document-processing +ok +backup", "document-processing_dead +ok +dead",
		"structure-generation +ok +workers", "structure-generation_dead +ok +dead",
	} {
		require.Regexp(t, `(?m)^broker +`+row+` +0 `, made.stdout)
	}
	require.NotContains(t, made.stdout, "drained", "nothing is being replaced")

	execAs(t, db.Superuser, `delete from current.subscriptions where topic = 'summarization' and group_name = 'backup'`)
	one := lectern(t, environ, "topics", "--json")
	require.Equal(t, exitFailure, one.code)
	var reports []brokerReport
	require.NoError(t, json.Unmarshal([]byte(one.stdout), &reports))
	require.Len(t, reports, 1)
	require.False(t, reports[0].Complete)
	require.Len(t, reports[0].Topics, 8)
	require.Equal(t, topicReport{
		Topic: "summarization", Exists: true, Layout: "rows of current.messages",
		Groups: []groupReport{{Group: "workers", Exists: true}, {Group: "backup"}},
	}, reports[0].Topics[2])
}

func TestTopicsTellWhetherAnOldBrokerIsDrained(t *testing.T) {
	t.Parallel()
	db := stack.Database(t, "current", "old")
	both := brokerOn(db, "current", "old")

	strange := lectern(t, both, "topics", "--create")
	require.Equal(t, exitFailure, strange.code)
	require.Equal(t, "lectern: broker.also_consume.0 (postgres) lacks topics or groups, so nothing of it is consumed: "+
		"are its options those of the broker that is being replaced?\n", strange.stderr)
	require.Zero(t, execAs(t, db.Superuser, `select from pg_tables where schemaname = 'old'`), "nothing is made on an old broker")

	require.Zero(t, lectern(t, brokerOn(db, "old", ""), "topics", "--create").code)
	execAs(t, db.Superuser, `insert into old.messages (topic, group_name, uuid, payload, metadata) values
		('summarization', 'workers', '1', '', '{}'), ('summarization', 'backup', '1', '', '{}'), ('summarization_dead', 'dead', '2', '', '{}')`)
	full := lectern(t, both, "topics")
	require.Zero(t, full.code, full.stderr)
	require.Regexp(t, `(?m)^broker.also_consume.0 +summarization +ok +workers +1 +rows of old.messages$`, full.stdout)
	require.Contains(t, full.stdout, "\nbroker.also_consume.0 (postgres) is not drained: 2 messages are yet to be settled\n")

	execAs(t, db.Superuser, `delete from old.messages where topic = 'summarization'`)
	drained := lectern(t, both, "topics")
	require.Zero(t, drained.code, drained.stderr)
	require.Contains(t, drained.stdout, "\nbroker.also_consume.0 (postgres) is drained, and can leave the config once no process sends to it; it keeps 1 dead letters\n")
}

func TestABrokerThatCanNotBeAskedHidesNoOther(t *testing.T) {
	t.Parallel()
	db := stack.Database(t, "current")
	got := lectern(t, append(brokerOn(db, "current", ""), "LECTERN_BROKER__ALSO_CONSUME__0__KIND=postgres",
		"LECTERN_BROKER__ALSO_CONSUME__0__OPTIONS__DSN=postgres://old:secret@127.0.0.1:1/x"), "topics", "--create")
	require.Equal(t, exitFailure, got.code)
	require.Contains(t, got.stdout, "structure-generation_dead")
	require.Contains(t, got.stderr, "broker.also_consume.0 (postgres): list topics: ")
	require.NotContains(t, got.stderr, "secret")
}

func TestAllBrokersAreAskedAtOnce(t *testing.T) {
	t.Parallel()
	var met sync.WaitGroup
	met.Add(2)
	// meeting hangs up once both brokers have been called.
	meeting := func() string {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		var running sync.WaitGroup
		running.Go(func() {
			for first := true; ; first = false {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				if first {
					met.Done()
				}
				running.Go(func() { met.Wait(); _ = conn.Close() })
			}
		})
		t.Cleanup(func() { _ = listener.Close(); running.Wait() })
		return listener.Addr().String()
	}
	got := lectern(t, []string{
		"LECTERN_BROKER__OPTIONS__ADDRESSES=" + meeting(), "LECTERN_BROKER__ALSO_CONSUME__0__KIND=redis",
		"LECTERN_BROKER__ALSO_CONSUME__0__OPTIONS__ADDRESSES=" + meeting(),
	}, "topics", "--config", "redis")
	require.Equal(t, exitFailure, got.code)
	require.NotContains(t, got.stderr, "timeout", "one waited for the other")
	require.Regexp(t, `^lectern: broker \(redis\): .*\n.*\n *broker.also_consume.0 \(redis\): `, got.stderr)
}

func TestABrokerThatIsDownIsSaidToBeWithHowToTry(t *testing.T) {
	t.Parallel()
	for kind, says := range map[string]string{
		"kafka": `.*dial tcp 127.0.0.1:1: .*connection refused`,
		"nats":  `.*not connected to 127.0.0.1:1: (nats: no servers available for connection|.*connection refused)`, // at first, later,
		"redis": `.* at 127.0.0.1:1: .*connection refused`,
	} {
		for _, args := range [][]string{{"topics"}, {"topics", "--create"}} {
			got := lectern(t, []string{"LECTERN_BROKER__OPTIONS__ADDRESSES=127.0.0.1:1"}, append(args, "--config", kind)...)
			require.Equal(t, exitFailure, got.code)
			require.Empty(t, got.stdout, "a table of nothing")
			require.Regexp(t, `^lectern: broker \(`+kind+`\): `+says+"\n  to try its connection: lectern config check --config "+kind+"\n$", got.stderr)
		}
	}
}
