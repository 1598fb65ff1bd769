package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"connectrpc.com/connect"

	"lectern/adapters/connectapi"
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/adapters/connectapi/gen/lectern/v1/lecternv1connect"
	"lectern/domain"
)

// client drives a server through its API, whether it is in this process or not.
type client struct {
	api    lecternv1connect.CourseServiceClient
	outbox lecternv1connect.OutboxServiceClient
}

func newClient(server string) (client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return client{}, inputError{fmt.Errorf("--server: %q is not an address like http://127.0.0.1:8080", server)}
	}
	return client{
		api:    lecternv1connect.NewCourseServiceClient(http.DefaultClient, server),
		outbox: lecternv1connect.NewOutboxServiceClient(http.DefaultClient, server),
	}, nil
}

// place makes an order's course, uploads its files and starts it. Done again,
// it goes on where it stopped: the keys and the files are the same.
func (c client) place(ctx context.Context, o order, ui progress) (string, error) {
	created, err := c.api.CreateCourse(ctx, connect.NewRequest(&lecternv1.CreateCourseRequest{
		Title: o.Title, Language: o.Language, Style: connectapi.StyleToProto(o.Style),
		Settings:       &lecternv1.Settings{Lessons: int32(o.Lessons), Pipeline: lecternv1.Pipeline_PIPELINE_AUTOMATIC},
		IdempotencyKey: o.Key + "-create",
	}))
	if err != nil {
		return "", fromServer(err)
	}
	id := created.Msg.GetCourse().GetCourseId()
	if err := c.upload(ctx, id, o.Files, ui); err != nil && !wasStarted(err) {
		return id, err
	}
	_, err = c.api.InitiateGeneration(ctx, connect.NewRequest(&lecternv1.InitiateGenerationRequest{
		CourseId: id, IdempotencyKey: o.Key + "-start",
	}))
	return id, fromServer(err)
}

// wasStarted tells a course that an earlier try had started already.
func wasStarted(err error) bool {
	return connect.CodeOf(err) == connect.CodeFailedPrecondition
}

func (c client) upload(ctx context.Context, id string, files []string, ui progress) error {
	for i, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return inputError{fmt.Errorf("read document: %w", err)}
		}
		_, err = c.api.UploadDocument(ctx, connect.NewRequest(&lecternv1.UploadDocumentRequest{
			CourseId: id, Name: filepath.Base(file), Content: content,
		}))
		if wasStarted(err) {
			return err
		}
		if err != nil {
			return fmt.Errorf("upload %s: %w", relative(file), fromServer(err))
		}
		ui.stage("upload documents", int64(i+1), int64(len(files)))
	}
	return nil
}

// cancel takes back a course that could not be started, even when ctx ended.
func (c client) cancel(ctx context.Context, id, key string) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer stop()
	_, err := c.api.CancelGeneration(ctx, connect.NewRequest(&lecternv1.CancelGenerationRequest{
		CourseId: id, IdempotencyKey: key + "-cancel", Reason: "lectern generate did not get to start it",
	}))
	return fromServer(err)
}

const (
	cancelTimeout = 5 * time.Second
	watchRetry    = time.Second
)

// watch tells a course's events after one, until its run has ended. A connection
// that breaks is made again, as soon as there is a server, and goes on after the
// last event.
func (c client) watch(ctx context.Context, id string, after int64, see func(*lecternv1.WatchCourseResponse)) error {
	for {
		var err error
		if after, err = c.watchOnce(ctx, id, after, see); err == nil || ctx.Err() != nil || !brokenOff(err) {
			return fromServer(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(watchRetry):
		}
	}
}

// brokenOff tells an answer that was cut off, or that no server has given, from one
// that would be given again.
func brokenOff(err error) bool {
	return connect.CodeOf(err) == connect.CodeUnavailable || !connect.IsWireError(err)
}

func (c client) watchOnce(
	ctx context.Context, id string, after int64, see func(*lecternv1.WatchCourseResponse),
) (last int64, err error) {
	stream, err := c.api.WatchCourse(ctx, connect.NewRequest(&lecternv1.WatchCourseRequest{CourseId: id, AfterEventNo: after}))
	if err != nil {
		return after, err
	}
	defer func() { _ = stream.Close() }()
	for stream.Receive() {
		after = stream.Msg().GetEvent().GetEventNo()
		see(stream.Msg())
	}
	return after, stream.Err()
}

// events returns the events that there are.
func (c client) events(ctx context.Context, id string) ([]*lecternv1.Event, error) {
	stream, err := c.api.WatchCourse(ctx, connect.NewRequest(&lecternv1.WatchCourseRequest{CourseId: id, SnapshotOnly: true}))
	if err != nil {
		return nil, fromServer(err)
	}
	defer func() { _ = stream.Close() }()
	var events []*lecternv1.Event
	for stream.Receive() {
		events = append(events, stream.Msg().GetEvent())
	}
	return events, fromServer(stream.Err())
}

// course returns a course and its documents.
func (c client) course(ctx context.Context, id string) (*lecternv1.GetCourseResponse, error) {
	got, err := c.api.GetCourse(ctx, connect.NewRequest(&lecternv1.GetCourseRequest{CourseId: id}))
	if err != nil {
		return nil, fromServer(err)
	}
	return got.Msg, nil
}

// courses hands over all courses, newest first.
func (c client) courses(ctx context.Context, see func(*lecternv1.Course)) error {
	for token := ""; ; {
		page, err := c.api.ListCourses(ctx, connect.NewRequest(&lecternv1.ListCoursesRequest{PageSize: 100, PageToken: token}))
		if err != nil {
			return fromServer(err)
		}
		for _, course := range page.Msg.GetCourses() {
			see(course)
		}
		if token = page.Msg.GetNextPageToken(); token == "" {
			return nil
		}
	}
}

// running tells a course that goes on by itself until its run has ended.
func running(c *lecternv1.Course) bool {
	state := connectapi.StateFromProto(c.GetState())
	return !state.Terminal() && state != domain.StatePending && c.GetSettings().GetPipeline() == lecternv1.Pipeline_PIPELINE_AUTOMATIC
}
