package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"lectern/configs"
)

func (p *program) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check the config, and what it connects to",
		Args:  subcommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var offline bool
	check := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Read a config as 'serve' does, print it, and try every connection",
		Long: `Reads a config, a file's or a built-in one, with what the environment adds to it,
and names everything that is wrong with it at once. Then it prints the whole,
defaults and the options of broker, cache, documents and generator included, as YAML on standard
output. Secrets are hidden; given by the environment, what is printed is a
config that loads.

At last it tries every connection for up to 5 seconds, and says on standard
error which works. If one does not, the exit code is 1. Where a broker can tell
that its server would lose messages, as it is set up, that is a warning. It
changes nothing, and starts no Postgres of Lectern's own: of that, it looks at
the data folder.`,
		Example: `  lectern config check
  lectern config check my.yaml
  lectern config check postgres --offline > effective.yaml`,
		Args: positional(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				p.config = args[0]
			}
			return p.checkConfig(cmd.Context(), offline)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return configs.Names(), cobra.ShellCompDirectiveDefault
		},
	}
	check.Flags().BoolVar(&offline, "offline", false, "connect to nothing")
	cmd.AddCommand(check)
	return cmd
}

func (p *program) checkConfig(ctx context.Context, offline bool) error {
	config, err := p.loadConfig(configs.ForService, nil)
	if err != nil {
		return err
	}
	whole, err := withDefaults(config)
	if err != nil {
		return err
	}
	text, err := whole.YAML()
	if err != nil {
		return err
	}
	if _, err := p.stdout.Write(text); err != nil || offline {
		return err
	}
	return p.tryConnections(ctx, config)
}

// withDefaults fills in the defaults of the adapters' options.
func withDefaults(c configs.Config) (configs.Config, error) {
	var errs []error
	options := func(b configs.Broker) map[string]any {
		if !c.Roles.NeedBroker() {
			return b.Options // as given: they are not for this process
		}
		decoded, err := decodeBroker(c, b)
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		fields := configs.Fields(decoded)
		if option := onOurServer(c, b); option != "" {
			fields[option] = "" // as is filled in when that has started
		}
		return fields
	}
	whole := c
	whole.Broker.Options = options(c.Broker)
	whole.Broker.AlsoConsume = make([]configs.OldBroker, len(c.Broker.AlsoConsume))
	for i, old := range c.Broker.AlsoConsume {
		whole.Broker.AlsoConsume[i] = configs.OldBroker{Kind: old.Kind, Options: options(old.Broker())}
	}
	if c.Roles.Has(configs.RoleAPI) {
		cache, err := decodeCache(c)
		whole.Cache.Options = fields(cache, err)
		errs = append(errs, err)
	}
	if c.Roles.NeedDocuments() {
		documents, err := decodeDocuments(c)
		whole.Documents.Options = fields(documents, err)
		errs = append(errs, err)
	}
	if c.Roles.Has(configs.RoleWorker) {
		generator, err := decodeGenerator(c)
		whole.Generator.Options = fields(generator, err)
		errs = append(errs, err)
	}
	return whole, errors.Join(errs...)
}

// fields are those of options that could be decoded.
func fields(options any, err error) map[string]any {
	if err != nil {
		return nil
	}
	return configs.Fields(options)
}
