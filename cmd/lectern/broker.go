package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"go.uber.org/dig"
	"go.uber.org/fx"

	"lectern/adapters/postgres"
	"lectern/app"
	"lectern/configs"
	"lectern/domain"
	"lectern/ports"
)

// brokerModule makes the module of the configured kind.
func brokerModule(b configs.Broker, a addresses) (fx.Option, error) {
	kind := brokers()[b.Kind]
	return kind.module(kind.withAddress(b.Options, a))
}

// decodeBroker lets the adapter look at its options before anything starts.
func decodeBroker(c configs.Config, b configs.Broker) (any, error) {
	at := addresses{}
	if c.Postgres.Embedded {
		at.broker = "postgres://127.0.0.1/not-started-yet"
	}
	kind := brokers()[b.Kind]
	return kind.decode(kind.withAddress(b.Options, at))
}

// decodeCache does the same for a cache.
func decodeCache(c configs.Config) (any, error) {
	return caches()[c.Cache.Kind].decode(c.Cache.Options)
}

// decodeDocuments does the same for what keeps documents.
func decodeDocuments(c configs.Config) (any, error) {
	return documentStores()[c.Documents.Kind].decode(c.Documents.Options)
}

// decodeGenerator does the same for a generator.
func decodeGenerator(c configs.Config) (any, error) {
	return generators()[c.Generator.Kind].decode(c.Generator.Options)
}

const brokerSection = "broker"

// namedBroker is a broker and what the config calls it.
type namedBroker struct {
	name string
	configs.Broker
}

// configuredBrokers returns the broker, then those that it replaces.
func configuredBrokers(c configs.Config) []namedBroker {
	all := []namedBroker{{brokerSection, c.Broker}}
	for i, old := range c.Broker.AlsoConsume {
		all = append(all, namedBroker{brokerSection + ".also_consume." + strconv.Itoa(i), old.Broker()})
	}
	return all
}

// String names it for people.
func (b namedBroker) String() string { return fmt.Sprintf("%s (%s)", b.name, b.Kind) }

// isOld tells a broker that is being replaced.
func (b namedBroker) isOld() bool { return b.name != brokerSection }

// onOurServer names the option for the address of a broker that is on the
// Postgres that Lectern starts; "" for one that is not.
func onOurServer(c configs.Config, b configs.Broker) string {
	option := brokers()[b.Kind].dsn
	if option != "" && c.Postgres.Embedded && isEmpty(b.Options[option]) {
		return option
	}
	return ""
}

// lone is a broker in an application of its own, beside the service or without one.
type lone struct {
	ports.Broker
	app *fx.App
}

func newLone(b configs.Broker, a addresses, log *slog.Logger) (*lone, error) {
	module, err := brokerModule(b, a)
	if err != nil {
		return nil, err
	}
	l := &lone{}
	l.app = fx.New(fx.Supply(log), fx.WithLogger(quietly), module, fx.Populate(&l.Broker))
	return l, dig.RootCause(l.app.Err())
}

// withBroker opens a broker for as long as use takes.
func withBroker(
	ctx context.Context, b configs.Broker, a addresses, log *slog.Logger, use func(context.Context, ports.Broker) error,
) error {
	l, err := newLone(b, a, log)
	if err != nil {
		return err
	}
	if err := l.app.Start(ctx); err != nil {
		return err
	}
	return errors.Join(use(ctx, l.Broker), l.app.Stop(context.WithoutCancel(ctx)))
}

// oldBrokers makes those that are being replaced. None is asked for anything
// yet: the service starts though they are down.
func oldBrokers(lc fx.Lifecycle, c configs.Config, db *database, log *slog.Logger) ([]app.OldBroker, error) {
	var old []app.OldBroker
	for _, b := range configuredBrokers(c)[1:] {
		l, err := newLone(b.Broker, db.addresses, log)
		if err != nil {
			return nil, fmt.Errorf("make %s: %w", b, err)
		}
		lc.Append(fx.StartStopHook(l.app.Start, l.app.Stop))
		old = append(old, app.OldBroker{Name: b.String(), Broker: l})
	}
	return old, nil
}

// prepareBroker makes topics and groups before anything uses them.
func prepareBroker(lc fx.Lifecycle, broker ports.Broker) {
	lc.Append(fx.StartHook(func(ctx context.Context) error { return prepare(ctx, broker) }))
}

// prepare registers what the pipeline uses. It may be done again at any time.
func prepare(ctx context.Context, broker ports.Broker) error {
	return broker.Prepare(ctx, queueTopics(), queueGroups())
}

func queueTopics() []string {
	topics := make([]string, len(domain.Queues()))
	for i, queue := range domain.Queues() {
		topics[i] = string(queue)
	}
	return topics
}

func queueGroups() []string { return []string{ports.GroupWorkers, ports.GroupBackup} }

// registerTopics prepares the configured broker, as the service will find it.
func registerTopics(ctx context.Context, c configs.Config, at addresses, log *slog.Logger) error {
	err := checkBrokerRole(ctx, c, configuredBrokers(c)[0], at)
	if err == nil {
		err = withBroker(ctx, c.Broker, at, log, prepare)
	}
	if err != nil {
		return fmt.Errorf("register topics: %w", err)
	}
	return nil
}

// checkBrokerRoles looks at the roles of all brokers on Postgres. One of an old
// broker that can't be asked now is logged: the service goes on without it.
func checkBrokerRoles(ctx context.Context, c configs.Config, a addresses, log *slog.Logger) error {
	for _, b := range configuredBrokers(c) {
		err := checkBrokerRole(ctx, c, b, a)
		var refused *postgres.RoleError
		switch {
		case err == nil:
		case b.isOld() && !errors.As(err, &refused):
			log.WarnContext(ctx, "old broker not reached", "broker", b.String(), "error", err)
		default:
			return err
		}
	}
	return nil
}

// checkBrokerRole refuses a broker on Postgres whose role would pass over row
// security, should it be used in our database.
func checkBrokerRole(ctx context.Context, c configs.Config, b namedBroker, a addresses) error {
	kind := brokers()[b.Kind]
	dsn, ok := kind.withAddress(b.Options, a)[kind.dsn].(string)
	if !ok {
		return nil
	}
	if err := postgres.CheckRole(ctx, dsn); err != nil {
		return useRole(b.name+".options."+kind.dsn, c.Postgres.RolePrefix+"_broker", err)
	}
	return nil
}
