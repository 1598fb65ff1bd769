package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"lectern/adapters/connectapi"
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/domain"
)

func (p *program) watchCommand() *cobra.Command {
	var after int64
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "watch COURSE_ID",
		Short: "Print what happens to a course, as it happens",
		Long: `Prints a course's events, those there are and then each as it happens, until its
run has ended: number, time, per cent, and in words. A course that failed or was
cancelled is exit code 1.

When the server goes away it waits until there is one again, and goes on after
the last event that it printed.`,
		Example: `  lectern watch 0199c0de-0000-7000-8000-000000000001 --server http://127.0.0.1:8080
  lectern watch 0199c0de-0000-7000-8000-000000000001 --after 12
  lectern watch 0199c0de-0000-7000-8000-000000000001 --json | jq -r .words`,
		Args: positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if after < 0 {
				return inputError{fmt.Errorf("--after: must be 0 or more, is %d", after)}
			}
			return p.withClient(cmd.Context(), func(ctx context.Context, c client) error {
				return p.watchCourse(ctx, c, args[0], after, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&p.server, "server", "", serverUsage)
	cmd.Flags().Int64Var(&after, "after", 0, "leave out the events up to this `number`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each event as a line of JSON")
	return cmd
}

func (p *program) watchCourse(ctx context.Context, c client, id string, after int64, asJSON bool) error {
	// It is asked for first, so that a mistake shows at once.
	if _, err := c.course(ctx, id); err != nil {
		return err
	}
	var lost error // to write to
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := c.watch(ctx, id, after, func(r *lecternv1.WatchCourseResponse) {
		text, err := watchedLine(r), error(nil)
		if asJSON {
			text, err = watchedJSON(r)
		}
		if err == nil {
			_, err = fmt.Fprintln(p.stdout, text)
		}
		if err != nil {
			lost = fmt.Errorf("print event: %w", err)
			cancel()
		}
	})
	if lost != nil || err != nil {
		return cmp.Or(lost, err)
	}
	return p.verdict(ctx, c, id)
}

// verdict is nil for a course that is complete.
func (p *program) verdict(ctx context.Context, c client, id string) error {
	got, err := c.course(ctx, id)
	if err != nil {
		return err
	}
	if state := connectapi.StateFromProto(got.GetCourse().GetState()); state != domain.StateCompleted {
		return fmt.Errorf("course %s is %s: %s\nSee what happened: %s",
			id, state, plain(got.GetProgress().GetWords()), p.hint("show", id, "--events"))
	}
	return nil
}

// watchedLine is an event for a person.
func watchedLine(r *lecternv1.WatchCourseResponse) string {
	e := r.GetEvent()
	return strings.TrimRight(fmt.Sprintf("%4d  %s  %3d%%  %s  [%s %s", e.GetEventNo(), e.GetCreatedAt().AsTime().Local().Format("15:04:05.000"),
		r.GetProgress().GetPercent(), plain(r.GetProgress().GetWords()), eventType(e), details(e.GetEventData())), " ") + "]"
}

func eventType(e *lecternv1.Event) string {
	return strings.TrimPrefix(e.GetEventType().String(), "EVENT_TYPE_")
}

// watchedEvent is an event for a program.
type watchedEvent struct {
	No        int64           `json:"event_no"`
	Type      string          `json:"event_type"`
	CreatedAt time.Time       `json:"created_at"`
	CreatedBy string          `json:"created_by"`
	Data      json.RawMessage `json:"event_data"`
	Percent   int32           `json:"percent"`
	Words     string          `json:"words"`
}

func watchedJSON(r *lecternv1.WatchCourseResponse) (string, error) {
	e := r.GetEvent()
	data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(e.GetEventData())
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err = encoder.Encode(watchedEvent{
		e.GetEventNo(), eventType(e), e.GetCreatedAt().AsTime(), strings.TrimPrefix(e.GetCreatedBy().String(), "ACTOR_"),
		data, r.GetProgress().GetPercent(), r.GetProgress().GetWords(),
	})
	return strings.TrimSpace(text.String()), err
}
