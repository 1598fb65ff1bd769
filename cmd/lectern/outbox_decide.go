package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
)

// decision is what redrive and discard have in common.
type decision struct {
	verb, done string // "redrive", "redriven"
	chosen     entryFlags
	all        bool
	limit      int
	dryRun     bool
	yes        bool
	asJSON     bool
	decide     func(ctx context.Context, c client, ids []string, dryRun bool) ([]*lecternv1.EntryResult, error)
}

func (p *program) outboxRedriveCommand() *cobra.Command {
	d := &decision{verb: "redrive", done: "redriven"}
	cmd := &cobra.Command{
		Use:   "redrive [OUTBOX_ID...]",
		Short: "Try dead entries again, by id or by filter",
		Long: `Makes dead entries ready again, as if they were new, once what they died of is
mended. Their course, which failed for them, goes on where it failed, with the
jobs that workers skipped meanwhile. Of a course, all that is dead is redriven
together. An entry is refused where that can't help: when its course has been
restarted since, was cancelled, or failed for another reason.

What is refused makes the exit code 1. Several entries want a confirmation.`,
		Example: `  lectern outbox redrive 0199c0de-0000-7000-8000-000000000002
  lectern outbox redrive --course 0199c0de-0000-7000-8000-000000000001
  lectern outbox redrive --all --dry-run
  lectern outbox redrive --queue summarization --younger-than 2h --yes`,
	}
	d.decide = func(ctx context.Context, c client, ids []string, dryRun bool) ([]*lecternv1.EntryResult, error) {
		got, err := c.outbox.RedriveEntries(ctx, connect.NewRequest(&lecternv1.RedriveEntriesRequest{OutboxIds: ids, DryRun: dryRun}))
		if err != nil {
			return nil, fromServer(err)
		}
		return got.Msg.GetResults(), nil
	}
	d.register(p, cmd)
	return cmd
}

func (p *program) outboxDiscardCommand() *cobra.Command {
	var reason string
	d := &decision{verb: "discard", done: "discarded"}
	cmd := &cobra.Command{
		Use:   "discard [OUTBOX_ID...] --reason WHY",
		Short: "Give dead entries up, by id or by filter",
		Long: `Gives dead entries up: they are counted no more, and what was held behind them
goes on. Nothing is deleted, and who discarded them, and why, stands among their
course's events. Their course stays failed; restart it to have it made anew.
A discarded entry can't be redriven.

What is refused makes the exit code 1. Several entries want a confirmation.`,
		Example: `  lectern outbox discard 0199c0de-0000-7000-8000-000000000002 --reason "the file is corrupt"
  lectern outbox discard --older-than 168h --reason "restarted by their authors" --yes`,
	}
	d.decide = func(ctx context.Context, c client, ids []string, dryRun bool) ([]*lecternv1.EntryResult, error) {
		got, err := c.outbox.DiscardEntries(ctx, connect.NewRequest(&lecternv1.DiscardEntriesRequest{
			OutboxIds: ids, DryRun: dryRun, Reason: reason,
		}))
		if err != nil {
			return nil, fromServer(err)
		}
		return got.Msg.GetResults(), nil
	}
	d.register(p, cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who look at the course later (required)")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if strings.TrimSpace(reason) == "" {
			return misuse(cmd, errors.New("say why, with --reason"))
		}
		return nil
	}
	return cmd
}

func (d *decision) register(p *program, cmd *cobra.Command) {
	d.chosen.register(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&d.all, "all", false, "all that are dead")
	flags.IntVar(&d.limit, "limit", entryPage, "the most entries that flags choose, the newest first")
	flags.BoolVar(&d.dryRun, "dry-run", false, "say what would be done, and do nothing")
	flags.BoolVarP(&d.yes, "yes", "y", false, "don't ask for a confirmation")
	flags.BoolVar(&d.asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := d.check(cmd, args); err != nil {
			return err
		}
		return p.withClient(cmd.Context(), func(ctx context.Context, c client) error { return p.carryOut(ctx, c, d, args) })
	}
}

func (d *decision) check(cmd *cobra.Command, args []string) error {
	choosing := d.all || d.chosen.given()
	switch {
	case len(args) > 0 && choosing:
		return misuse(cmd, errors.New("give either ids or flags that choose, not both"))
	case len(args) == 0 && !choosing:
		return misuse(cmd, errNothingChosen)
	}
	for _, id := range args {
		if _, err := uuid.Parse(id); err != nil {
			return inputError{fmt.Errorf("%q is not the id of an entry", id)}
		}
	}
	return checkLimit(d.limit)
}

// carryOut decides on what the command line names, once it was confirmed.
func (p *program) carryOut(ctx context.Context, c client, d *decision, args []string) error {
	batches, err := d.batches(ctx, c, args)
	if err != nil {
		return err
	}
	total := 0
	for _, b := range batches {
		total += len(b)
	}
	if total > 1 && !d.dryRun && !d.yes {
		if err := p.confirm(ctx, fmt.Sprintf("%s %d entries", d.verb, total)); err != nil {
			return err
		}
	}
	results := []*lecternv1.EntryResult{}
	for _, b := range batches {
		some, err := d.decide(ctx, c, b, d.dryRun)
		if err != nil { // what was done already is told all the same
			return errors.Join(p.printResults(results, d), err)
		}
		results = append(results, some...)
	}
	return p.printResults(results, d)
}

// batches are the ids of what is chosen, for a request each. A course's
// entries stand in one batch: they are redriven together.
func (d *decision) batches(ctx context.Context, c client, args []string) ([][]string, error) {
	if len(args) > 0 {
		ids := slices.Clone(args)
		slices.Sort(ids)
		return slices.Collect(slices.Chunk(slices.Compact(ids), entryPage)), nil
	}
	filter, err := d.chosen.filter()
	if err != nil {
		return nil, err
	}
	filter.States = []lecternv1.EntryState{lecternv1.EntryState_ENTRY_STATE_DEAD}
	dead, _, err := c.entries(ctx, filter, d.limit)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(dead, func(a, b *lecternv1.OutboxEntry) int { return cmp.Compare(a.GetCourseId(), b.GetCourseId()) })
	var batches [][]string
	for len(dead) > 0 {
		n := min(len(dead), entryPage)
		whole := n
		for whole > 0 && whole < len(dead) && dead[whole].GetCourseId() == dead[whole-1].GetCourseId() {
			whole--
		}
		if whole > 0 { // else one course fills it
			n = whole
		}
		batch := make([]string, n)
		for i := range batch {
			batch[i] = dead[i].GetOutboxId()
		}
		batches, dead = append(batches, batch), dead[n:]
	}
	return batches, nil
}

// confirm asks the person at the terminal; where there is none, it refuses.
func (p *program) confirm(ctx context.Context, what string) error {
	f, ok := p.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return inputError{fmt.Errorf("%s: pass --yes if you mean it, or --dry-run to see what it would do", what)}
	}
	p.say("%s? [y/N] ", strings.ToUpper(what[:1])+what[1:])
	answer := make(chan string, 1)
	go func() { // left behind when we are interrupted: a read of a terminal can't be broken off
		line, _ := bufio.NewReader(f).ReadString('\n') // an end is a no
		answer <- line
	}()
	select {
	case <-ctx.Done():
		return errInterrupted
	case line := <-answer:
		if line = strings.ToLower(strings.TrimSpace(line)); line == "y" || line == "yes" {
			return nil
		}
	}
	return errors.New("nothing was done")
}
