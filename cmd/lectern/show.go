package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lectern/adapters/connectapi"
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/configs"
	"lectern/domain"
)

const serverUsage = "`URL` of a running server (default: the data on this machine, which no server may be using)"

func (p *program) listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the courses, newest first",
		Example: "  lectern list\n  lectern list --server http://127.0.0.1:8080",
		Args:    positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withClient(cmd.Context(), p.list)
		},
	}
	cmd.Flags().StringVar(&p.server, "server", "", serverUsage)
	return cmd
}

func (p *program) showCommand() *cobra.Command {
	var format string
	var events bool
	cmd := &cobra.Command{
		Use:   "show COURSE_ID",
		Short: "Print a course, or what happened to it",
		Example: `  lectern show 0199c0de-0000-7000-8000-000000000001
  lectern show 0199c0de-0000-7000-8000-000000000001 --events
  lectern show 0199c0de-0000-7000-8000-000000000001 --format markdown > course.md`,
		Args: positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return p.withClient(cmd.Context(), func(ctx context.Context, c client) error {
				if events {
					return p.showEvents(ctx, c, args[0])
				}
				return p.showCourse(ctx, c, args[0], format)
			})
		},
	}
	cmd.Flags().StringVar(&p.server, "server", "", serverUsage)
	cmd.Flags().BoolVar(&events, "events", false, "print the course's events instead: every change of its state, every job")
	formatFlag(cmd, &format)
	return cmd
}

// withClient calls a server, or a service that runs here for as long.
func (p *program) withClient(ctx context.Context, use func(context.Context, client) error) error {
	if p.server != "" {
		c, err := newClient(p.server)
		if err != nil {
			return err
		}
		return use(ctx, c)
	}
	config, err := p.loadConfig(configs.ForService, ownService())
	if err != nil {
		return err
	}
	ui := newProgress(p.stderr)
	defer ui.close()
	return withService(ctx, config, p.logger(config.Log, true, ui), ui, func(ctx context.Context, url string) error {
		c, err := newClient(url)
		if err != nil {
			return err
		}
		return use(ctx, c)
	})
}

func (p *program) list(ctx context.Context, c client) error {
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "COURSE\tCREATED\tSTATE\tTITLE") // Flush tells
	err := c.courses(ctx, func(course *lecternv1.Course) {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", course.GetCourseId(),
			course.GetCreatedAt().AsTime().Local().Format(time.DateTime),
			connectapi.StateFromProto(course.GetState()), plain(course.GetTitle()))
	})
	if err != nil {
		return err
	}
	return table.Flush()
}

func (p *program) showCourse(ctx context.Context, c client, id, format string) error {
	got, err := c.course(ctx, id)
	if err != nil {
		return err
	}
	course := got.GetCourse()
	if course.GetStructure() == nil {
		return fmt.Errorf("course %s has no content yet, it is %s (%d%%): %s\nSee what happened: %s",
			id, connectapi.StateFromProto(course.GetState()), got.GetProgress().GetPercent(), plain(got.GetProgress().GetWords()), p.hint("show", id, "--events"))
	}
	text, err := render(connectapi.StructureFromProto(course.GetStructure()), format)
	if err == nil {
		_, err = p.stdout.Write(text)
	}
	return err
}

func (p *program) showEvents(ctx context.Context, c client, id string) error {
	events, err := c.events(ctx, id)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NO\tTIME\tBY\tEVENT\tDETAILS") // Flush tells
	for _, e := range events {
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", e.GetEventNo(),
			e.GetCreatedAt().AsTime().Local().Format("15:04:05.000"),
			strings.TrimPrefix(e.GetCreatedBy().String(), "ACTOR_"),
			strings.TrimPrefix(e.GetEventType().String(), "EVENT_TYPE_"), details(e.GetEventData()))
	}
	return table.Flush()
}

// details says what is particular about an event.
func details(d *lecternv1.EventData) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if d.GetTo() != lecternv1.State_STATE_UNSPECIFIED {
		add("%s -> %s (version %d)", connectapi.StateFromProto(d.GetFrom()), connectapi.StateFromProto(d.GetTo()), d.GetVersion())
	}
	if queue := connectapi.QueueFromProto(d.GetQueue()); queue != "" {
		add("%s job %s", queue, d.GetOutboxId())
	}
	if d.GetDocument() != "" {
		add("%s", plain(d.GetDocument()))
	}
	if d.GetReason() != "" {
		add("%s", plain(d.GetReason()))
	}
	return strings.Join(parts, ", ")
}

// hint is a command of ours to type next, for the same data.
func (p *program) hint(args ...string) string {
	words := append([]string{p.name}, args...)
	for _, flag := range []struct{ name, value string }{
		{"--server", p.server}, {"--config", p.config}, {"--data-dir", p.dataDir},
	} {
		if flag.value != "" {
			words = append(words, flag.name, flag.value)
		}
	}
	return strings.Join(words, " ")
}

func styleNames() []string {
	names := make([]string, len(domain.Styles()))
	for i, style := range domain.Styles() {
		names[i] = string(style)
	}
	return names
}

// wrapped lists names on lines that a help text can hold.
func wrapped(names []string) string { return wrap(strings.Join(names, ", "), "", helpWidth) }

const helpWidth = 70
