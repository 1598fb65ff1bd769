package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"lectern/adapters/postgres"
	"lectern/app"
	"lectern/bench/compare"
	"lectern/domain"
	"lectern/ports"
)

// latencyTurns is how often each way has its turn. What is reported is the
// median of the turns' percentiles.
const latencyTurns = 3

// jobQueue is that of the commands' jobs.
const jobQueue = domain.QueueStructureAnalysis

// latency measures from commit to consumer in one process, River beside it.
func (r *relays) latency() compare.Series {
	return compare.Series{Name: "commit to consumer, one process", Run: func(ctx context.Context, run compare.Runner) ([]compare.Result, error) {
		ways := []way{
			{"Redis", busyLoad(), r.inProcess(r.toRedis())},
			{"River", busyLoad(), r.byRiver(0)},
			{"Kafka", busyLoad(), r.inProcess(r.toKafka())},
			{"River 1ms", busyLoad(), r.byRiver(time.Millisecond)},
		}
		p50, p99, err := r.takeTurns(ctx, run, ways)
		if err != nil {
			return nil, err
		}
		var found []compare.Result
		for _, broker := range []string{"Redis", "Kafka"} {
			name := fmt.Sprintf("commit to consumer over %s, 1,000 commands/s in one process, ", broker)
			found = append(found,
				compare.Bounded(compare.Result{Name: name + "p50", Unit: "µs"}, p50[broker], 1000),
				compare.Bounded(compare.Result{Name: name + "p99", Unit: "µs"}, p99[broker], 10_000),
				compare.Found(compare.Result{
					Name: name + "p50 against River", Unit: "µs", Against: "River at its defaults", Goal: compare.AtMost(0.05),
				}, p50[broker], p50["River"]),
				compare.Found(compare.Result{
					Name: name + "p50 against River, hurried", Unit: "µs", Against: "River at FetchCooldown 1ms", Goal: compare.NoGoal(),
				}, p50[broker], p50["River 1ms"]))
		}
		return found, nil
	}}
}

// apart measures from commit to consumer with the relay in a process of its own.
func (r *relays) apart() compare.Series {
	return compare.Series{Name: "commit to consumer, separate processes", Run: func(ctx context.Context, run compare.Runner) ([]compare.Result, error) {
		var found []compare.Result
		for _, to := range []target{r.toRedis(), r.toKafka()} {
			open := r.acrossProcesses(to)
			p50, p99, err := r.takeTurns(ctx, run, []way{{"busy", busyLoad(), open}, {"idle", idleLoad(), open}})
			if err != nil {
				return nil, err
			}
			name := fmt.Sprintf("commit to consumer over %s, separate processes, ", to.name)
			found = append(found,
				compare.Bounded(compare.Result{Name: name + "1,000 commands/s, p50", Unit: "µs"}, p50["busy"], 5000),
				compare.Bounded(compare.Result{Name: name + "from idle, p50", Unit: "µs"}, p50["idle"], 5000),
				compare.Bounded(compare.Result{Name: name + "from idle, p99", Unit: "µs"}, p99["idle"], 10_000))
		}
		return found, nil
	}}
}

// way is a flow with the load it is under. It is opened for its turn alone, so
// that no relay takes another's share.
type way struct {
	name string
	load load
	open func(ctx context.Context) (flow, func() error, error)
}

// takeTurns returns each way's percentiles, turn by turn.
func (r *relays) takeTurns(ctx context.Context, run compare.Runner, ways []way) (p50, p99 map[string][]float64, err error) {
	p50, p99 = map[string][]float64{}, map[string][]float64{}
	for turn := range latencyTurns {
		for _, w := range ways {
			took, err := r.turn(ctx, w)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", w.name, err)
			}
			p50[w.name] = append(p50[w.name], percentile(50, took.job))
			p99[w.name] = append(p99[w.name], percentile(99, took.job))
			run.Log.Info("turn", "of", w.name, "no", turn+1, "p50_us", percentile(50, took.job), "p99_us", percentile(99, took.job),
				"command_p50_us", percentile(50, took.command), "command_p99_us", percentile(99, took.command))
		}
	}
	return p50, p99, nil
}

func (r *relays) turn(ctx context.Context, w way) (_ took, err error) {
	if err := r.emptyOutbox(ctx); err != nil {
		return took{}, err
	}
	f, stop, err := w.open(ctx)
	if err != nil {
		return took{}, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if _, err := (load{gap: 20 * time.Millisecond, counted: 50}).run(ctx, f); err != nil { // joins the group, plans statements
		return took{}, fmt.Errorf("warm up: %w", err)
	}
	if err := r.pg.settle(ctx); err != nil {
		return took{}, err
	}
	return w.load.run(ctx, f)
}

// inProcess is a command, a relay and a consumer in this process, as `lectern
// serve` with all roles has them.
func (r *relays) inProcess(to target) func(context.Context) (flow, func() error, error) {
	return func(ctx context.Context) (flow, func() error, error) {
		seen, stopConsumer, err := r.consumer(ctx, to)
		if err != nil {
			return flow{}, nil, err
		}
		l, err := r.startLanes(ctx, to.broker(), asShipped())
		if err != nil {
			return flow{}, nil, errors.Join(err, stopConsumer())
		}
		return r.commands(l.signals, seen), func() error { l.stop(); return stopConsumer() }, nil
	}
}

// consumer acknowledges each message at once, when it has told of it.
func (r *relays) consumer(ctx context.Context, to target) (*watch, func() error, error) {
	topic := string(jobQueue)
	if err := to.broker().Prepare(ctx, []string{topic}, []string{group}); err != nil {
		return nil, nil, err
	}
	sub, err := to.broker().Subscriber(group)
	if err != nil {
		return nil, nil, err
	}
	msgs, err := sub.Subscribe(ctx, topic)
	if err != nil {
		return nil, nil, errors.Join(err, sub.Close())
	}
	seen := &watch{}
	var consuming sync.WaitGroup
	consuming.Go(func() {
		for m := range msgs {
			seen.arrived(m.Metadata.Get(ports.MetaSubject))
			m.Ack()
		}
	})
	return seen, func() error {
		err := sub.Close()
		consuming.Wait()
		return err
	}, nil
}

// commands are a caller's: each starts a course of its own.
func (r *relays) commands(signals app.Signals, seen *watch) flow {
	service := app.NewCourseService(app.CourseDeps{
		Commands: postgres.NewCommands(r.pg.app), Signals: signals, NewID: uuid.NewV7, Log: slog.New(slog.DiscardHandler),
	})
	return flow{seen: seen, prepare: func(ctx context.Context, n int, of *trace) (func(context.Context, int) error, error) {
		courses, err := r.pg.insertCourses(ctx, "lectern.courses", r.caller, n)
		if err != nil {
			return nil, err
		}
		requests := make([]app.InitializeRequest, n)
		for i, course := range courses {
			of.index.Store(course.String(), i)
			data, err := json.Marshal(domain.JobData{CourseID: course})
			if err != nil {
				return nil, fmt.Errorf("encode job: %w", err)
			}
			requests[i] = app.InitializeRequest{
				CourseID: course, Key: "start-" + course.String(), State: domain.StateStage4Init,
				Jobs: []app.JobRequest{{Queue: jobQueue, Data: data}},
			}
		}
		return func(ctx context.Context, i int) error {
			_, err := service.InitializeFSM(ctx, r.caller, requests[i])
			return err
		}, nil
	}}
}
