package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

// How much a fleet has to relay, in how many rounds of trouble.
const (
	fleetEntries  = 10_000 // of each test
	fleetCourses  = 200
	fleetRounds   = 6
	fleetWriters  = 4
	entriesAtOnce = 10 // that one transaction adds to a course
)

// fleet is several processes that relay one outbox, while others write to it
// and each may be killed, frozen or cut off. Its jobs are of runs that their
// courses have left, so that workers are done with them at once.
type fleet struct {
	deployment
	redis   *redis.Client
	proxy   *stack.Proxy // by which the processes reach Redis
	env     []string
	servers []*server
	courses []uuid.UUID
	rand    *rand.Rand
}

// fleetQueues are those that the jobs go to, in turn.
func fleetQueues() []string { return []string{"structure-analysis", "summarization"} }

func newFleet(t *testing.T, d deployment, relays int, more ...string) *fleet {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	f := &fleet{deployment: d, rand: rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // nothing to guess
	broker := onRedis()
	options := broker.at(t, d.db)
	number, err := strconv.Atoi(options["DB"])
	require.NoError(t, err)
	f.redis = redis.NewClient(&redis.Options{
		Addr: options["ADDRESSES"], DB: number, Username: options["LOGIN__USER"], Password: options["LOGIN__PASSWORD"],
	})
	t.Cleanup(func() { _ = f.redis.Close() })
	for _, queue := range fleetQueues() {
		// A group that never acknowledges: what it has not seen stays on the stream.
		require.NoError(t, f.redis.XGroupCreateMkStream(t.Context(), stream(queue), "witness", "0").Err())
	}
	f.proxy = stack.NewProxy(t, options["ADDRESSES"])
	options["ADDRESSES"] = f.proxy.Addr()
	pairs := []string{"KIND=redis"}
	for name, value := range options {
		pairs = append(pairs, "OPTIONS__"+name+"="+value)
	}
	f.env = append(d.config(pairs, nil), "LECTERN_RELAY__LEASE=1s", "LECTERN_RELAY__BATCH_SIZE=100")
	f.env = append(f.env, more...)
	f.addCourses()
	for range relays {
		f.servers = append(f.servers, f.start())
	}
	return f
}

func stream(queue string) string { return "lectern:" + queue }

func (f *fleet) start() *server {
	f.t.Helper()
	return serve(f.t, dataDir(f.t), f.env...)
}

func (f *fleet) connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, f.db.Superuser)
}

// query asks the database; a server that is down is asked again.
func (f *fleet) query(into any, sql string) {
	f.t.Helper()
	eventually(f.t, "the database answers", patience, func() bool {
		conn, err := f.connect(f.t.Context())
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close(f.t.Context()) }()
		return conn.QueryRow(f.t.Context(), sql).Scan(into) == nil
	})
}

// addCourses makes courses of a second run.
func (f *fleet) addCourses() {
	f.t.Helper()
	for range fleetCourses {
		f.courses = append(f.courses, uuid.New())
	}
	conn, err := f.connect(f.t.Context())
	require.NoError(f.t, err)
	defer func() { _ = conn.Close(f.t.Context()) }()
	for _, sql := range []string{
		`insert into lectern.courses (id, organization_id, user_id, title, slug, language, style)
		 select c, c, c, 'x', 'x', 'en', 'practical' from unnest($1::uuid[]) c`,
		`update lectern.courses set generation_status = 'failed' where id = any ($1)`,
		`update lectern.courses set generation_status = 'pending' where id = any ($1)`,
	} {
		_, err = conn.Exec(f.t.Context(), sql, f.courses)
		require.NoError(f.t, err)
	}
}

// write adds about n entries by several writers, some of which commit late, or
// never. What an outage keeps from being committed is just not there.
func (f *fleet) write(n int) (done func()) {
	var writers sync.WaitGroup
	for range fleetWriters {
		own := rand.New(rand.NewPCG(f.rand.Uint64(), 1)) //nolint:gosec // nothing to guess
		writers.Go(func() {
			var conn *pgx.Conn
			for left := n / fleetWriters; left > 0; left -= entriesAtOnce {
				if conn == nil || conn.IsClosed() {
					conn, _ = f.connect(f.t.Context()) // down: another time
				}
				if conn != nil {
					_ = f.writeOnce(conn, own)
				}
			}
			if conn != nil {
				_ = conn.Close(f.t.Context())
			}
		})
	}
	return writers.Wait
}

func (f *fleet) writeOnce(conn *pgx.Conn, own *rand.Rand) error {
	ctx := f.t.Context()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }() // it may be over
	course := f.courses[own.IntN(len(f.courses))]
	if _, err := tx.Exec(ctx, `select lectern.lock_course($1)`, course); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `select lectern.add_entries($1, 1, (
		select jsonb_agg(jsonb_build_object('outbox_id', gen_random_uuid(), 'queue', ($2::text[])[1 + n % 2],
		  'data', jsonb_build_object('course_id', $1::uuid))) from generate_series(1, $3) n), 'TEST', null)`,
		course, fleetQueues(), entriesAtOnce); err != nil {
		return err
	}
	switch own.IntN(20) {
	case 0:
		return tx.Rollback(ctx)
	case 1: // others draw numbers and commit meanwhile
		if _, err := tx.Exec(ctx, `select pg_sleep($1)`, own.Float64()/5); err != nil {
			return err
		}
	}
	return tx.Commit(ctx)
}

// trouble writes all entries, and in each round does something bad meanwhile.
func (f *fleet) trouble(bad func(round int)) {
	f.t.Helper()
	for round := range fleetRounds {
		written := f.write(fleetEntries / fleetRounds)
		bad(round)
		written()
	}
}

// check waits until all is relayed, and then compares what the database says
// was committed with what the broker got.
func (f *fleet) check() {
	f.t.Helper()
	eventually(f.t, "all is relayed", patience, func() bool {
		var left int
		f.query(&left, `select count(*) from lectern.job_outbox where processed_at is null`)
		return left == 0
	})
	got, doubles := map[string][]string{}, 0
	for _, queue := range fleetQueues() {
		seen := map[string]bool{}
		messages, err := f.redis.XRange(f.t.Context(), stream(queue), "-", "+").Result()
		require.NoError(f.t, err)
		for _, m := range messages {
			id := fmt.Sprint(m.Values["_watermill_message_uuid"])
			if seen[id] {
				doubles++
				continue
			}
			seen[id] = true
			got[queue] = append(got[queue], id)
		}
	}
	want := f.committed()
	total := 0
	for _, queue := range fleetQueues() {
		position := map[string]int{}
		for i, id := range got[queue] {
			position[id] = i
		}
		for course, ids := range want[queue] {
			total += len(ids)
			places := make([]int, len(ids))
			for i, id := range ids {
				place, there := position[id]
				require.True(f.t, there, "entry %s of course %s was lost", id, course)
				places[i] = place
			}
			require.True(f.t, slices.IsSorted(places), "course %s: out of order: %v", course, places)
		}
	}
	require.Greater(f.t, total, fleetEntries/2)
	f.t.Logf("%d entries, each there and in order; %d doubles", total, doubles)
	f.absorbed(total)
}

// committed returns the entries of each queue's courses in commit order.
func (f *fleet) committed() map[string]map[uuid.UUID][]string {
	f.t.Helper()
	conn, err := f.connect(f.t.Context())
	require.NoError(f.t, err)
	defer func() { _ = conn.Close(f.t.Context()) }()
	rows, err := conn.Query(f.t.Context(), `select queue_name, entity_id, array_agg(outbox_id::text order by seq)
		from lectern.job_outbox group by 1, 2`)
	require.NoError(f.t, err)
	all := map[string]map[uuid.UUID][]string{}
	var queue string
	var course uuid.UUID
	var ids []string
	_, err = pgx.ForEachRow(rows, []any{&queue, &course, &ids}, func() error {
		if all[queue] == nil {
			all[queue] = map[uuid.UUID][]string{}
		}
		all[queue][course] = slices.Clone(ids)
		return nil
	})
	require.NoError(f.t, err)
	return all
}

// absorbed waits until each entry's job was taken, and checks that none of them
// had its effect twice, nor went wrong.
func (f *fleet) absorbed(total int) {
	f.t.Helper()
	eventually(f.t, "each job was taken once", 2*patience, func() bool {
		var taken int
		f.query(&taken, `select count(*) from lectern.processed_jobs where consumer = 'workers'`)
		require.LessOrEqual(f.t, taken, total)
		return taken == total
	})
	var other int
	f.query(&other, `select count(*) from lectern.processed_jobs where outcome <> 'stale'`)
	require.Zero(f.t, other)
	f.query(&other, `select count(*) from lectern.job_outbox where attempts > 0 or dead_at is not null`)
	require.Zero(f.t, other, "an attempt was spent, or an entry buried")
}

// sometime waits for a moment that nobody can foresee.
func (f *fleet) sometime() { <-time.After(time.Duration(f.rand.Int64N(int64(500 * time.Millisecond)))) }

func TestRelaysThatAreKilledLoseNothingAndKeepTheOrder(t *testing.T) {
	t.Parallel()
	for _, relays := range []int{2, 4} {
		t.Run(fmt.Sprintf("%d relays", relays), func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, newDeployment(t), relays)
			f.trouble(func(int) {
				f.sometime()
				i := f.rand.IntN(relays)
				f.servers[i].kill(t)
				f.sometime()
				f.servers[i] = f.start()
			})
			f.check()
		})
	}
}

// A frozen holder's leases pass to another. When it wakes it may still send
// what it was about to: that is a double, and its settling is refused.
func TestARelayFrozenPastItsLeaseIsFenced(t *testing.T) {
	t.Parallel()
	f := newFleet(t, newDeployment(t), 2)
	var frozen *os.Process
	f.trouble(func(round int) {
		f.sometime()
		if frozen == nil {
			frozen = f.servers[round/2%2].cmd.Process
			require.NoError(t, frozen.Signal(syscall.SIGSTOP))
			f.others(round / 2 % 2)
			return
		}
		require.NoError(t, frozen.Signal(syscall.SIGCONT))
		frozen = nil
	})
	if frozen != nil {
		require.NoError(t, frozen.Signal(syscall.SIGCONT))
	}
	f.check()
}

// others waits until the rest of the fleet has all leases.
func (f *fleet) others(frozen int) {
	f.t.Helper()
	eventually(f.t, fmt.Sprintf("relay %d's leases have passed to another", frozen), patience, func() bool {
		var holders int
		f.query(&holders, `select count(distinct substring(holder from '(.*)/')) from lectern.leases where expires_at > now()`)
		return holders == 1
	})
}

func TestRelaysGoOnAfterPostgresWasKilled(t *testing.T) {
	t.Parallel()
	server := stack.StartPostgres(t)
	d := deployment{t: t, dir: dataDir(t), db: server.Database(t)}
	_, ok := d.run(d.config([]string{"KIND=memory"}, nil), "migrate", "up")
	require.True(t, ok)
	f := newFleet(t, d, 2)
	f.trouble(func(round int) {
		f.sometime()
		if round%3 == 1 {
			server.Stop()
			server.Start()
		}
	})
	f.check()
}
