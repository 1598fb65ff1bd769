package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"lectern/adapters/connectapi"
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/domain"
)

func (p *program) outboxCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "outbox",
		Short: "Look at the jobs on their way to the broker, and redrive or discard dead ones",
		Long: `For the operator: what waits in the outbox, what is dead and why, and what to do
with it. A dead entry is a job that the broker would not take; its course has
failed. docs/operating.md goes through what can be wrong.`,
		Example: `  lectern outbox stats
  lectern outbox list --state dead
  lectern outbox redrive --all --dry-run`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&p.server, "server", "", serverUsage)
	cmd.AddCommand(p.outboxListCommand(), p.outboxShowCommand(), p.outboxStatsCommand(), p.outboxRedriveCommand(), p.outboxDiscardCommand())
	return cmd
}

func (p *program) outboxListCommand() *cobra.Command {
	var chosen entryFlags
	var states []string
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List entries, newest first: those that wait or are dead, unless --state says otherwise",
		Example: `  lectern outbox list
  lectern outbox list --state dead --queue document-processing --older-than 10m
  lectern outbox list --course 0199c0de-0000-7000-8000-000000000001 --state all --json`,
		Args: positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := chosen.filter()
			if err == nil {
				filter.States, err = entryStates(states)
			}
			if err == nil {
				err = checkLimit(limit)
			}
			if err != nil {
				return err
			}
			return p.withClient(cmd.Context(), func(ctx context.Context, c client) error {
				entries, more, err := c.entries(ctx, filter, limit)
				if err != nil {
					return err
				}
				if more {
					defer p.say("There are more: --limit shows them.\n")
				}
				return p.printEntries(entries, asJSON)
			})
		},
	}
	chosen.register(cmd)
	cmd.Flags().StringSliceVar(&states, "state", []string{"pending", "dead"}, "`states`, separated by commas: pending (which is ready and parked),\n"+
		"parked (backoff, delay, blocked, held), processed, dead, discarded, all")
	complete(cmd, "state", append(groupNames(), stateNames()...)...)
	cmd.Flags().IntVar(&limit, "limit", defaultLimit, "the most entries")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (p *program) outboxShowCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show OUTBOX_ID",
		Short:   "Print an entry, with its job and why it failed",
		Example: `  lectern outbox show 0199c0de-0000-7000-8000-000000000002`,
		Args:    positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withClient(cmd.Context(), func(ctx context.Context, c client) error {
				got, err := c.outbox.GetEntry(ctx, connect.NewRequest(&lecternv1.GetEntryRequest{OutboxId: args[0]}))
				if err != nil {
					return fromServer(err)
				}
				return p.printEntry(got.Msg.GetEntry(), asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (p *program) outboxStatsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Count what waits or is dead, by queue and state, and say how old it is",
		Args:  positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withClient(cmd.Context(), func(ctx context.Context, c client) error {
				got, err := c.outbox.GetStats(ctx, connect.NewRequest(&lecternv1.GetStatsRequest{}))
				if err != nil {
					return fromServer(err)
				}
				return p.printStats(got.Msg.GetCounts(), asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// entryFlags are the flags that choose entries.
type entryFlags struct {
	course, queue  string
	older, younger time.Duration
	changed        func(flag string) bool
}

func (f *entryFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.StringVar(&f.course, "course", "", "of this `course`")
	set.StringVar(&f.queue, "queue", "", "of this `queue`: "+strings.Join(queueTopics(), ", "))
	set.DurationVar(&f.older, "older-than", 0, "queued this long ago or longer, such as 10m")
	set.DurationVar(&f.younger, "younger-than", 0, "queued less long ago than this, such as 2h")
	complete(cmd, "queue", queueTopics()...)
	f.changed = set.Changed
}

// given tells that a flag chooses.
func (f *entryFlags) given() bool {
	return slices.ContainsFunc([]string{"course", "queue", "older-than", "younger-than"}, f.changed)
}

func (f *entryFlags) filter() (*lecternv1.EntryFilter, error) {
	filter := &lecternv1.EntryFilter{CourseId: f.course}
	if _, err := uuid.Parse(f.course); f.changed("course") && err != nil {
		return nil, inputError{fmt.Errorf("--course: %q is not the id of a course", f.course)}
	}
	if f.changed("queue") {
		queue, err := domain.ParseQueue(f.queue)
		if err != nil {
			return nil, inputError{fmt.Errorf("--queue: %q is not one of %s", f.queue, strings.Join(queueTopics(), ", "))}
		}
		filter.Queue = connectapi.QueueToProto(queue)
	}
	for _, age := range []struct {
		flag  string
		value time.Duration
		to    **durationpb.Duration
	}{{"older-than", f.older, &filter.OlderThan}, {"younger-than", f.younger, &filter.YoungerThan}} {
		if !f.changed(age.flag) {
			continue
		}
		if age.value <= 0 {
			return nil, inputError{fmt.Errorf("--%s: must be more than 0, is %s", age.flag, age.value)}
		}
		*age.to = durationpb.New(age.value)
	}
	return filter, nil
}

// stateGroups are names for several states.
func stateGroups() map[string][]domain.EntryState {
	return map[string][]domain.EntryState{
		"pending": {domain.EntryReady, domain.EntryBackoff, domain.EntryDelay, domain.EntryBlocked, domain.EntryHeld},
		"parked":  {domain.EntryBackoff, domain.EntryDelay, domain.EntryBlocked, domain.EntryHeld},
		"all":     domain.EntryStates(),
	}
}

func groupNames() []string { return []string{"pending", "parked", "all"} }

func stateNames() []string {
	names := make([]string, 0, len(domain.EntryStates()))
	for _, s := range domain.EntryStates() {
		names = append(names, string(s))
	}
	return names
}

// entryStates reads the names of states and of groups of them.
func entryStates(names []string) ([]lecternv1.EntryState, error) {
	var chosen []lecternv1.EntryState
	for _, name := range names {
		states, ok := stateGroups()[name]
		if !ok && !slices.Contains(stateNames(), name) {
			return nil, inputError{fmt.Errorf("--state: %q is not one of %s", name, strings.Join(append(groupNames(), stateNames()...), ", "))}
		}
		if !ok {
			states = []domain.EntryState{domain.EntryState(name)}
		}
		for _, s := range states {
			if e := connectapi.EntryStateToProto(s); !slices.Contains(chosen, e) {
				chosen = append(chosen, e)
			}
		}
	}
	return chosen, nil
}

const (
	defaultLimit = 100
	maxLimit     = 100_000
)

func checkLimit(limit int) error {
	if limit < 1 || limit > maxLimit {
		return inputError{fmt.Errorf("--limit: must be 1 to %d, is %d", maxLimit, limit)}
	}
	return nil
}

// entryPage is how many entries are asked for at a time.
const entryPage = 1000

// entries returns up to limit entries, newest first, and whether there are more.
func (c client) entries(ctx context.Context, f *lecternv1.EntryFilter, limit int) ([]*lecternv1.OutboxEntry, bool, error) {
	var found []*lecternv1.OutboxEntry
	for token := ""; ; {
		page, err := c.outbox.ListEntries(ctx, connect.NewRequest(&lecternv1.ListEntriesRequest{
			Filter: f, PageSize: int32(min(limit-len(found), entryPage)), PageToken: token,
		}))
		if err != nil {
			return nil, false, fromServer(err)
		}
		found = append(found, page.Msg.GetEntries()...)
		token = page.Msg.GetNextPageToken()
		if token == "" || len(found) >= limit {
			return found, token != "", nil
		}
	}
}

// say tells a person what belongs to no output.
func (p *program) say(format string, args ...any) {
	_, _ = fmt.Fprintf(p.stderr, format, args...) // nobody left to tell
}

// errNothingChosen refuses to decide on everything by mistake.
var errNothingChosen = errors.New("say which: ids, or --course, --queue, --older-than, --younger-than, or --all")
