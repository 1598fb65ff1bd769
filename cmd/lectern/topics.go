package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lectern/configs"
	"lectern/ports"
)

func (p *program) topicsCommand() *cobra.Command {
	var create, asJSON bool
	cmd := &cobra.Command{
		Use:   "topics",
		Short: "Show what the broker has of the topics and groups that Lectern needs",
		Long: `Asks the broker of the config for the topics and groups that Lectern needs: each
queue with the groups workers and backup, and its dead letters with the group dead.
PENDING is what a group has yet to settle. Something that is missing makes the
exit code 1, unless --create makes it; 'serve' and 'migrate up' make it as well.
(Of the broker memory nothing is there: each process has its own.) A broker on
the Postgres that Lectern starts itself can be asked while no server uses it.

The brokers that are being replaced (broker.also_consume) are shown as well, and
whether they are drained. Nothing is ever made on them.`,
		Example: `  lectern topics
  lectern topics --config my.yaml --create
  lectern topics --json`,
		Args: positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.topics(cmd.Context(), create, asJSON) },
	}
	cmd.Flags().BoolVar(&create, "create", false, "make what is missing first")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (p *program) topics(ctx context.Context, create, asJSON bool) (err error) {
	config, err := p.loadConfig(configs.ForBroker, nil)
	if err != nil {
		return err
	}
	ui := newProgress(p.stderr)
	defer ui.close()
	log := p.logger(config.Log, true, ui)
	var at addresses
	if slices.ContainsFunc(configuredBrokers(config), func(b namedBroker) bool { return onOurServer(config, b.Broker) != "" }) {
		server, found, err := startServer(ctx, config, log, ui)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stopServer(ctx, server)) }()
		at = found
	}
	reports, problems := p.inspectAll(ctx, config, at, log, create)
	return errors.Join(p.printTopics(reports, asJSON), errors.Join(problems...))
}

// inspectAll asks all brokers at once: one that is down has none wait for it.
func (p *program) inspectAll(ctx context.Context, c configs.Config, at addresses, log *slog.Logger, create bool) ([]brokerReport, []error) {
	all := configuredBrokers(c)
	reports, problems := make([]brokerReport, len(all)), make([]error, len(all))
	var asking sync.WaitGroup
	for i, b := range all {
		asking.Go(func() {
			var err error
			reports[i], err = inspect(ctx, c, b, at, log, create && !b.isOld())
			problems[i] = p.problem(b, reports[i], err)
		})
	}
	asking.Wait()
	return reports, problems
}

// problem says what is wrong with a broker, and what to do about it.
func (p *program) problem(b namedBroker, r brokerReport, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w\nto try its connection: %s", b, err, p.hint("config", "check"))
	case r.Complete:
		return nil
	case b.isOld():
		return fmt.Errorf("%s lacks topics or groups, so nothing of it is consumed: "+
			"are its options those of the broker that is being replaced?", b)
	default:
		return fmt.Errorf("%s lacks topics or groups\nmake them: %s", b, p.hint("topics", "--create"))
	}
}

// brokerReport is what a broker has.
type brokerReport struct {
	Broker      string        `json:"broker"` // its key in the config
	Kind        string        `json:"kind"`
	Error       string        `json:"error,omitempty"` // why it could not be asked
	Complete    bool          `json:"complete"`        // nothing is missing
	Pending     int64         `json:"pending"`         // messages that workers and backup have yet to settle
	DeadLetters int64         `json:"dead_letters"`
	Topics      []topicReport `json:"topics"`
}

type topicReport struct {
	Topic  string        `json:"topic"`
	Exists bool          `json:"exists"`
	Layout string        `json:"layout"`
	Groups []groupReport `json:"groups"`
}

type groupReport struct {
	Group   string `json:"group"`
	Exists  bool   `json:"exists"`
	Pending int64  `json:"pending"`
}

// inspect asks a broker what it has, once what is missing was made, if it is to be.
func inspect(ctx context.Context, c configs.Config, b namedBroker, at addresses, log *slog.Logger, create bool) (brokerReport, error) {
	r := brokerReport{Broker: b.name, Kind: b.Kind, Topics: []topicReport{}}
	var err error
	if create {
		err = checkBrokerRole(ctx, c, b, at)
	}
	if err == nil {
		err = withBroker(ctx, b.Broker, at, log, func(ctx context.Context, broker ports.Broker) error {
			if create {
				if err := prepare(ctx, broker); err != nil {
					return err
				}
			}
			return r.read(ctx, broker)
		})
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r, err
}

func (r *brokerReport) read(ctx context.Context, broker ports.Broker) error {
	queues, err := broker.Topics(ctx, queueTopics(), queueGroups())
	if err != nil {
		return err
	}
	var deadTopics []string
	for _, topic := range queueTopics() {
		deadTopics = append(deadTopics, ports.DeadTopic(topic))
	}
	dead, err := broker.Topics(ctx, deadTopics, []string{ports.GroupDead})
	if err != nil {
		return err
	}
	r.Complete = true
	for i := range queues {
		r.Pending += r.add(queues[i])
		r.DeadLetters += r.add(dead[i])
	}
	return nil
}

// add reports a topic, and returns what is pending in it.
func (r *brokerReport) add(s ports.TopicState) (pending int64) {
	t := topicReport{Topic: s.Topic, Exists: s.Exists, Layout: s.Detail, Groups: []groupReport{}}
	r.Complete = r.Complete && s.Exists
	for _, g := range s.Groups {
		t.Groups = append(t.Groups, groupReport(g))
		r.Complete = r.Complete && g.Exists
		pending += g.Pending
	}
	r.Topics = append(r.Topics, t)
	return pending
}

func (p *program) printTopics(reports []brokerReport, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(p.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(reports)
	}
	if !slices.ContainsFunc(reports, func(r brokerReport) bool { return len(r.Topics) > 0 }) {
		return nil // why is said elsewhere
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "BROKER\tTOPIC\tSTATE\tGROUP\tPENDING\tLAYOUT") // Flush tells
	for _, r := range reports {
		for _, t := range r.Topics {
			for _, g := range t.Groups {
				_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\n", r.Broker, t.Topic, state(t, g), g.Group, g.Pending, t.Layout)
			}
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range reports[1:] {
		p.printDrained(r)
	}
	return nil
}

func state(t topicReport, g groupReport) string {
	switch {
	case !t.Exists:
		return "missing"
	case !g.Exists:
		return "no group"
	default:
		return "ok"
	}
}

// printDrained says whether a broker that is being replaced is still needed.
func (p *program) printDrained(r brokerReport) {
	switch {
	case !r.Complete: // what is wrong is said elsewhere
	case r.Pending > 0:
		p.print("%s (%s) is not drained: %d messages are yet to be settled\n", r.Broker, r.Kind, r.Pending)
	default:
		p.print("%s (%s) is drained, and can leave the config once no process sends to it; it keeps %d dead letters\n",
			r.Broker, r.Kind, r.DeadLetters)
	}
}
