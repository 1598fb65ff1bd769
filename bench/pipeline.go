package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/adapters/connectapi/gen/lectern/v1/lecternv1connect"
	"lectern/bench/compare"
)

const (
	crowd       = 500 // courses queued at once
	alone       = 20  // courses one after the other
	callers     = 8   // who queue the crowd
	coursePoll  = 5 * time.Millisecond
	startLimit  = 2 * time.Minute // for the first start of Postgres
	courseTitle = "Sales in education: a practical course"
)

// pipeline is `lectern serve` with the built-in config, its own Postgres included,
// and is asked for courses from a title alone.
type pipeline struct {
	top     string // the file for the profile; empty for none
	dir     string
	process *exec.Cmd
	said    *said
	client  lecternv1connect.CourseServiceClient
}

func (p *pipeline) benches() []compare.Trial {
	return []compare.Trial{pdfText(), compare.Series{Name: "courses from a title alone, " + fmt.Sprint(crowd) + " queued at once", Run: p.courses}}
}

// said keeps what the program says, and finds its address.
type said struct {
	mu    sync.Mutex
	text  bytes.Buffer
	found chan string
}

var serveAddress = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// Write implements io.Writer.
func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := serveAddress.Find(p); at != nil {
		select {
		case s.found <- string(at):
		default:
		}
	}
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (p *pipeline) start(ctx context.Context) (err error) {
	if p.dir, err = os.MkdirTemp("", "lectern-bench-"); err != nil {
		return fmt.Errorf("make temporary folder: %w", err)
	}
	// When we are root another user runs Postgres.
	if err := os.Chmod(p.dir, 0o755); err != nil { //nolint:gosec // no secret is in it
		return fmt.Errorf("open temporary folder: %w", err)
	}
	program, err := buildProfiled(ctx, p.dir)
	if err != nil {
		return err
	}
	p.said = &said{found: make(chan string, 1)}
	p.process = exec.CommandContext(ctx, program, "serve", "--data-dir", filepath.Join(p.dir, "data"))
	p.process.Env = append(os.Environ(), "LECTERN_LISTEN=127.0.0.1:0", profileVariable+"="+p.profile())
	p.process.Stdout, p.process.Stderr = p.said, p.said
	if err := p.process.Start(); err != nil {
		return fmt.Errorf("start lectern: %w", err)
	}
	select {
	case at := <-p.said.found:
		p.client = lecternv1connect.NewCourseServiceClient(http.DefaultClient, at)
		return nil
	case <-time.After(startLimit):
		return fmt.Errorf("start lectern: it did not say where it serves: %s", p.said)
	}
}

func (p *pipeline) stop(context.Context) (err error) {
	if p.process != nil && p.process.Process != nil {
		_ = p.process.Process.Signal(syscall.SIGTERM) // Wait has the error if it had ended
		if err = p.process.Wait(); err != nil {
			err = fmt.Errorf("lectern ended: %w: %s", err, p.said)
		}
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

func (p *pipeline) settle(context.Context) error { return nil }

func (p *pipeline) settings(context.Context) ([]string, error) {
	return []string{fmt.Sprintf("Courses are made by one process with the built-in config, its Postgres on the same machine, from a title alone; %d queued at once", crowd)}, nil
}

// courses measures some alone, then the crowd, and what it does to the memory.
func (p *pipeline) courses(ctx context.Context, _ compare.Runner) ([]compare.Result, error) {
	if _, _, err := p.make(ctx, alone, 1); err != nil { // what was never called is slow
		return nil, err
	}
	var took, plans, writes []float64
	for range alone {
		made, seconds, err := p.make(ctx, 1, 1)
		if err != nil {
			return nil, err
		}
		plan, write, err := p.stages(ctx, made[0])
		if err != nil {
			return nil, err
		}
		took, plans, writes = append(took, seconds*1e3), append(plans, plan), append(writes, write)
	}
	memory := watchMemory(p.process.Process.Pid)
	_, seconds, err := p.make(ctx, crowd, callers)
	early, late := memory.halves()
	if err != nil {
		return nil, err
	}
	if p.top != "" {
		err := p.profiled(ctx, p.top, func() error { _, _, err := p.make(ctx, crowd, callers); return err })
		if err != nil {
			return nil, err
		}
	}
	rate := make([]float64, len(took))
	one := make([]float64, len(took))
	for i := range took {
		rate[i], one[i] = crowd/seconds, 1e3/took[i]
	}
	stage := func(name string, of []float64) compare.Result {
		return compare.Found(compare.Result{Name: "a course alone, " + name, Unit: "ms", Against: "the whole course", Goal: compare.NoGoal()}, of, took)
	}
	return []compare.Result{
		compare.Found(compare.Result{
			Name: fmt.Sprintf("courses from a title alone, %d queued at once", crowd), Unit: "courses/s", Against: "one after the other", Goal: compare.NoGoal(),
		}, rate, one),
		stage("stage 4", plans), stage("stage 5", writes),
		compare.Found(compare.Result{
			Name: fmt.Sprintf("memory of the process while %d courses are made, second half", crowd), Unit: "MiB", Against: "first half", Goal: compare.AtMost(1.2),
		}, []float64{late}, []float64{early}),
	}, nil
}

// make makes courses, and says how long it took from the first order to the last
// course.
func (p *pipeline) make(ctx context.Context, n, callers int) (courses []string, seconds float64, err error) {
	for range n {
		made, err := p.client.CreateCourse(ctx, connect.NewRequest(&lecternv1.CreateCourseRequest{Title: courseTitle, Language: "en"}))
		if err != nil {
			return nil, 0, fmt.Errorf("create a course: %w", err)
		}
		courses = append(courses, made.Msg.GetCourse().GetCourseId())
	}
	began := time.Now()
	orders, ordering := errgroup.WithContext(ctx)
	orders.SetLimit(callers)
	for _, course := range courses {
		orders.Go(func() error {
			_, err := p.client.InitiateGeneration(ordering, connect.NewRequest(&lecternv1.InitiateGenerationRequest{
				CourseId: course, IdempotencyKey: uuid.NewString(),
			}))
			return err
		})
	}
	if err := orders.Wait(); err != nil {
		return nil, 0, fmt.Errorf("order a course: %w", err)
	}
	for _, course := range courses {
		if err := p.wait(ctx, course); err != nil {
			return nil, 0, err
		}
	}
	return courses, time.Since(began).Seconds(), nil
}

func (p *pipeline) wait(ctx context.Context, course string) error {
	for {
		got, err := p.client.GetCourse(ctx, connect.NewRequest(&lecternv1.GetCourseRequest{CourseId: course}))
		if err != nil {
			return fmt.Errorf("look at a course: %w", err)
		}
		state := got.Msg.GetCourse().GetState()
		if state == lecternv1.State_STATE_COMPLETED {
			return nil
		}
		if state == lecternv1.State_STATE_FAILED || state == lecternv1.State_STATE_CANCELLED {
			return fmt.Errorf("course %s is %s", course, state)
		}
		sleepUntil(ctx, time.Now().Add(coursePoll))
	}
}

// stages says by a course's events how many milliseconds stages 4 and 5 took, from
// the commit that queued each to the commit of its result.
func (p *pipeline) stages(ctx context.Context, course string) (plan, write float64, err error) {
	stream, err := p.client.WatchCourse(ctx, connect.NewRequest(&lecternv1.WatchCourseRequest{CourseId: course, SnapshotOnly: true}))
	if err != nil {
		return 0, 0, fmt.Errorf("read events: %w", err)
	}
	at := map[lecternv1.State]time.Time{}
	for stream.Receive() {
		event := stream.Msg().GetEvent()
		if to := event.GetEventData().GetTo(); to != lecternv1.State_STATE_UNSPECIFIED {
			at[to] = event.GetCreatedAt().AsTime()
		}
	}
	if err := errors.Join(stream.Err(), stream.Close()); err != nil {
		return 0, 0, fmt.Errorf("read events: %w", err)
	}
	queued, planned, done := at[lecternv1.State_STATE_STAGE_4_INIT], at[lecternv1.State_STATE_STAGE_5_INIT], at[lecternv1.State_STATE_COMPLETED]
	if queued.IsZero() || planned.IsZero() || done.IsZero() {
		return 0, 0, fmt.Errorf("course %s did not go through stages 4 and 5: %v", course, at)
	}
	return planned.Sub(queued).Seconds() * 1e3, done.Sub(planned).Seconds() * 1e3, nil
}
