package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"lectern/app"
	"lectern/ports"
)

// How many entries a second are committed for BenchmarkRelayLatency, and by how
// many at a time.
const (
	latencyRate    = 1000
	latencyWriters = 8
)

// BenchmarkRelayLatency measures the time from a commit of one entry until the
// broker has it, at 1,000 a second, by brokers and lanes.
func BenchmarkRelayLatency(b *testing.B) {
	for kind, broker := range map[string]func(*testing.B) ports.Broker{"redis": benchRedis, "kafka": benchKafka} {
		for _, lanes := range []int{1, 2, 4} {
			b.Run(fmt.Sprintf("%s/%d", kind, lanes), func(b *testing.B) { benchLatency(b, broker(b), lanes) })
		}
	}
}

func benchLatency(b *testing.B, broker ports.Broker, lanes int) {
	b.Helper()
	db := benchDatabase(b)
	pool, err := pgxpool.New(b.Context(), db.Superuser)
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	_, err = pool.Exec(b.Context(), benchCourses)
	require.NoError(b, err)
	rows, err := pool.Query(b.Context(), `select id from lectern.courses`)
	require.NoError(b, err)
	courses, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	require.NoError(b, err)
	arrivals := &arrivals{Broker: broker, at: map[string]time.Time{}}
	wake := app.NewSignal()
	runLanes(b, db, arrivals, wake, lanes, &settledCount{whole: make(chan struct{}, 1)})

	b.ResetTimer()
	next := make(chan int)
	committed := make([]time.Time, b.N)
	ids := make([]string, b.N)
	var writers sync.WaitGroup
	for range latencyWriters {
		writers.Go(func() {
			for i := range next {
				id, course := uuid.NewString(), courses[i%len(courses)]
				if err := addOne(b.Context(), pool, course, id); err != nil {
					b.Error(err)
				}
				ids[i], committed[i] = id, time.Now()
				wake.NotifyCourse(course)
			}
		})
	}
	ticks := time.NewTicker(time.Second / latencyRate)
	defer ticks.Stop()
	for i := range b.N {
		<-ticks.C
		next <- i
	}
	close(next)
	writers.Wait()
	require.Eventually(b, func() bool { return arrivals.count() >= b.N }, patience, 10*time.Millisecond)
	b.StopTimer()
	took := make([]time.Duration, b.N)
	for i, id := range ids {
		took[i] = arrivals.at[id].Sub(committed[i])
	}
	slices.Sort(took)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(took[b.N/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[b.N*99/100].Seconds()*1000, "p99-ms")
}

// addOne commits an entry of a course.
func addOne(ctx context.Context, pool *pgxpool.Pool, course uuid.UUID, id string) error {
	batch := &pgx.Batch{}
	batch.Queue(`select lectern.lock_course($1)`, course)
	batch.Queue(`select lectern.add_entries($1, 1, jsonb_build_array(jsonb_build_object('outbox_id', $2::uuid, 'queue', 'summarization',
		'data', jsonb_build_object('course_id', $1::uuid))), 'TEST', null)`, course, id)
	return pool.SendBatch(ctx, batch).Close()
}

// arrivals is a broker that notes what it has got, and when.
type arrivals struct {
	ports.Broker
	mu sync.Mutex
	at map[string]time.Time
}

func (a *arrivals) Publish(topic string, msgs ...*message.Message) error {
	err := a.Broker.Publish(topic, msgs...)
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, msg := range msgs {
		a.at[msg.UUID] = now
	}
	return err
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.at)
}
